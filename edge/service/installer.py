"""`nanoface service install`, `rollback` and `uninstall`. Each may be run again at any time, also after a power cut.

What is in use is switched last, by one rename; until then the version before stays in use.
"""
import os
from typing import NamedTuple, TextIO, Tuple

from edge.core.errors import ConfigError, EngineError
from edge.host import commands
from edge.host.process import is_tegra
from edge.service import networks, places
from edge.service.accounts import make_accounts, remove_accounts
from edge.service.acting import service_account
from edge.service.configuration import OLD, data_of, install_config, is_ours, protect
from edge.service.places import Places
from edge.service.program import CHECK, check_python, install_program
from edge.service.statefolder import check_state, close, hand_over, remove_home
from edge.service.steps import ServiceError, Steps, all_to_disk

UP = ("active", "activating", "reloading")
UMASK = 0o022  # the service's user is to read what root writes


class InstallOptions(NamedTuple):
    """The options of the command line."""

    root: str = "/"
    yes: bool = False
    dry: bool = False
    start: bool = True
    build: bool = True
    clocks: bool = False
    purge: bool = False


def run_install(home: str, options: InstallOptions, out: TextIO) -> int:
    """`home`: where the networks lie that are brought along. Raises ConfigError, ModelError, ServiceError, StorageError."""
    tree, steps = _begin("install", options, out)
    check_python(tree)
    check_state(tree)
    networks.check_networks(home, tree)
    before = os.umask(UMASK)
    try:
        steps.say("program")
        version, in_use = install_program(steps, tree), tree.version(places.CURRENT)
        steps.say("user and groups")
        make_accounts(steps, tree)
        steps.user = service_account()
        steps.say("configuration")
        install_config(steps, tree)
        _check_config(steps, version, tree)
        _upgrade(steps, home, version, in_use, options, tree)
        steps.say("units")
        _put_units(steps, places.shipped_folder(), tree)
        _switch(steps, version, in_use, tree)
        _enable(steps, options, version, tree)
        _start(steps, options, version, tree)
        _prune(steps, tree)
    finally:
        os.umask(before)
    _say_end(steps, version, options)
    return 0


def run_rollback(options: InstallOptions, out: TextIO) -> int:
    """Back to the version before, with its networks and engines; once more goes forward again."""
    tree, steps = _begin("rollback", options, out)
    in_use, version = tree.version(places.CURRENT), tree.before
    if not in_use:
        raise ServiceError("nothing is installed: " + commands.command("service install"))
    if not version or not data_of(tree, version):
        raise ServiceError("there is no version before {}".format(in_use))
    before = os.umask(UMASK)
    try:
        _stop(steps)
        _put_units(steps, data_of(tree, version), tree)
        _switch(steps, version, in_use, tree)
        _start(steps, options, version, tree)
    finally:
        os.umask(before)
    steps.say("{} is in use again, {} is kept: the same command goes forward".format(version, in_use))
    return 0


def run_rebuild(force: bool, options: InstallOptions, out: TextIO) -> int:
    """The engines of the version in use: what does not fit, with `force` all of them. The tracker makes room meanwhile."""
    tree, steps = _begin("rebuild", options, out)
    version = tree.version(places.CURRENT)
    if not version:
        raise ServiceError("nothing is installed: " + commands.command("service install"))
    steps.user = service_account()
    running = _active(steps)
    _stop(steps)
    try:
        networks.build(steps, version, tree, *(["--force"] if force else []))
    finally:
        if running or options.start:
            steps.run("systemctl", "start", "--no-block", places.SERVICE)
    return 0


def run_uninstall(options: InstallOptions, out: TextIO) -> int:
    """Everything but the data and a configuration that was changed; with `purge` these too."""
    tree, steps = _begin("uninstall", options, out)
    for unit in (places.ARGUS_REQUESTS, places.ENGINE_REQUESTS, places.SERVICE, places.ENGINES, places.CLOCKS):
        if os.path.exists(tree.at("{}/{}".format(places.UNIT_FOLDER, unit))):
            steps.run("systemctl", "disable", "--now", unit)
    for unit in places.UNITS:
        steps.remove(tree.at("{}/{}".format(places.UNIT_FOLDER, unit)))
        steps.remove(tree.at("{}/{}.d".format(places.UNIT_FOLDER, unit)))
    steps.run("systemctl", "daemon-reload")
    for unit in (places.SERVICE, places.ENGINES):
        if steps.ask("systemctl", "is-failed", "--quiet", unit).code == 0:
            steps.run("systemctl", "reset-failed", unit)
    if options.purge or is_ours(tree):
        steps.remove(tree.at(os.path.dirname(places.CONFIG)))
    folders, files = [[tree.at(path) for path in paths if os.path.exists(tree.at(path))] for paths in (
        (places.HOME, places.LOGS), (places.CONFIG, places.CONFIG + OLD))]
    for path in folders:
        close(steps, path)  # before another account can get the removed user's number
    for path in files:
        protect(steps, path, 0)
    data = folders + files
    for path in data if options.purge else []:
        steps.remove(path)
    remove_accounts(steps, tree)
    for path in (places.PROGRAMS, places.CACHE, places.RUN, "/run/nanoface-argus.last", "/run/nanoface-clocks.conf"):
        steps.remove(tree.at(path))
    kept = "" if options.purge or not data else "; kept: {} (--purge removes them too)".format(", ".join(data))
    steps.say(("would be" if options.dry else "is") + " uninstalled" + kept)
    return 0


def _begin(action: str, options: InstallOptions, out: TextIO) -> Tuple[Places, Steps]:
    tree = Places(options.root)
    if not os.path.isdir(tree.at(places.MANAGER)):
        raise ServiceError("systemd does not run this machine, so there is no service: start `nanoface run` by what "
                           "starts programs here")
    if tree.live and not options.dry and os.geteuid() != 0:
        raise ConfigError("this changes the system, so it needs root: " + commands.command("service " + action))
    return tree, Steps(out, options.dry, options.yes, tree.environment())


def _check_config(steps: Steps, version: str, tree: Places) -> None:
    """By the program that will read it. Raises ConfigError before anything in use is touched."""
    path = tree.at(places.CONFIG)
    python = os.path.join(tree.program(version), "bin", "python3")
    if os.path.exists(path) and os.path.exists(python):
        result = steps.ask_as_user(python, *(CHECK + (path,)))
        if result.code == EngineError.exit_code:
            raise ServiceError("the program cannot run any more: {}".format(result.last))
        if result.code != 0:
            raise ConfigError("{}: correct it and install again, or let it be replaced with --yes".format(result.last))


def _upgrade(steps: Steps, home: str, version: str, in_use: str, options: InstallOptions, tree: Places) -> None:
    """Networks and engines of the new version. The old one is stopped for the build, which needs its memory, and started
    again where that fails."""
    steps.say("networks and engines")
    for path in [tree.at(places.HOME)] + [path for path in [tree.at(places.LOGS)] if os.path.exists(path)]:
        hand_over(steps, path)
    networks.prepare(steps, home, version, in_use, tree)
    if not options.build:
        steps.say("  the engines are not looked at: what is missing is built when the service starts (engines.rebuild), or by "
                  + commands.of_service("build"))
        return
    if not networks.has_tensorrt(steps, version, tree):
        steps.say("  no TensorRT here: there are no engines to build")
        return
    running, done = _active(steps), False
    if running:
        _stop(steps)
    try:
        networks.build(steps, version, tree)
        done = True
    finally:
        if running and not done:
            steps.run("systemctl", "start", "--no-block", places.SERVICE)


def _put_units(steps: Steps, folder: str, tree: Places) -> None:
    changed = False
    for unit in places.UNITS:
        if not os.path.exists(os.path.join(folder, unit)):
            continue  # an older version has fewer
        with open(os.path.join(folder, unit), "rb") as f:
            changed |= steps.write(tree.at("{}/{}".format(places.UNIT_FOLDER, unit)), f.read())
    if changed:
        steps.run("systemctl", "daemon-reload")


def _switch(steps: Steps, version: str, in_use: str, tree: Places) -> None:
    if version == in_use:
        return
    if in_use:
        steps.link(tree.program(places.PREVIOUS), in_use)
    all_to_disk()
    steps.link(tree.program(places.CURRENT), version)
    all_to_disk()


def _enable(steps: Steps, options: InstallOptions, version: str, tree: Places) -> None:
    units = [places.SERVICE] + ([places.CLOCKS] if options.clocks else [])
    if tree.has_unit(places.ARGUS_DAEMON):
        units.append(places.ARGUS_REQUESTS)
    if is_tegra() or networks.has_tensorrt(steps, version, tree):  # on a board it may come later
        units.append(places.ENGINE_REQUESTS)
    for unit in units:
        if steps.ask("systemctl", "is-enabled", "--quiet", unit).code != 0:
            steps.run("systemctl", "enable", unit)
    for unit in units[1:] if options.start else []:
        steps.run("systemctl", "start", unit)


def _start(steps: Steps, options: InstallOptions, version: str, tree: Places) -> None:
    if not options.start:
        return
    steps.say("start: until the first frame, or until it is known that there is no camera")
    try:
        steps.run("systemctl", "restart", places.SERVICE)
    except ServiceError:
        status = steps.ask("systemctl", "show", places.SERVICE, "--property=StatusText", "--value").text.strip()
        back = "; the version before: " + commands.command("service rollback") if tree.before else ""
        raise ServiceError("{} does not start{}: see {}{}".format(
            version, " (" + status + ")" if status else "", commands.command("service logs"), back))


def _stop(steps: Steps) -> None:
    """The tracker, and a build that it waits for. `is-active` is false for a unit that is starting."""
    units = [unit for unit in (places.SERVICE, places.ENGINES) if _state(steps, unit) in UP]
    if units:
        steps.run("systemctl", "stop", *units)


def _active(steps: Steps) -> bool:
    return _state(steps, places.SERVICE) in UP


def _state(steps: Steps, unit: str) -> str:
    return steps.ask("systemctl", "is-active", unit).text.strip()


def _prune(steps: Steps, tree: Places) -> None:
    """Versions that no command leads back to."""
    used = {tree.version(places.CURRENT), tree.before}
    for version in tree.versions():
        if version not in used and not steps.dry:
            steps.remove(tree.program(version))
            remove_home(steps, tree.home(version))


def _say_end(steps: Steps, version: str, options: InstallOptions) -> None:
    if options.dry:
        steps.say("nothing was changed")
        return
    steps.say("{} is installed{}; its configuration is {}".format(
        version, " and runs" if options.start else ", and starts at the next boot", places.CONFIG))
