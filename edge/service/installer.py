"""`nanoface service install`, `rollback` and `uninstall`. Each may be run again at any time, also after a power cut.

What is in use is switched last, by one rename; until then the version before goes on.
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


class Wishes(NamedTuple):
    """What the command line asks for."""

    root: str = "/"
    yes: bool = False
    dry: bool = False
    start: bool = True
    build: bool = True
    clocks: bool = False
    purge: bool = False


def run_install(home: str, wishes: Wishes, out: TextIO) -> int:
    """`home`: where the networks lie that are brought along. Raises ConfigError, ModelError, ServiceError, StorageError."""
    seen, steps = _begin("install", wishes, out)
    check_python(seen)
    check_state(seen)
    networks.check_networks(home, seen)
    before = os.umask(UMASK)
    try:
        steps.say("program")
        version, in_use = install_program(steps, seen), seen.version(places.CURRENT)
        steps.say("user and groups")
        make_accounts(steps, seen)
        steps.user = service_account()
        steps.say("configuration")
        install_config(steps, seen)
        _check_config(steps, version, seen)
        _upgrade(steps, home, version, in_use, wishes, seen)
        steps.say("units")
        _put_units(steps, places.shipped_folder(), seen)
        _switch(steps, version, in_use, seen)
        _enable(steps, wishes, version, seen)
        _start(steps, wishes, version, seen)
        _prune(steps, seen)
    finally:
        os.umask(before)
    _say_end(steps, version, wishes)
    return 0


def run_rollback(wishes: Wishes, out: TextIO) -> int:
    """Back to the version before, with its networks and engines; once more goes forward again."""
    seen, steps = _begin("rollback", wishes, out)
    in_use, version = seen.version(places.CURRENT), seen.before
    if not in_use:
        raise ServiceError("nothing is installed: " + commands.command("service install"))
    if not version or not data_of(seen, version):
        raise ServiceError("there is no version before {}".format(in_use))
    before = os.umask(UMASK)
    try:
        _stop(steps)
        _put_units(steps, data_of(seen, version), seen)
        _switch(steps, version, in_use, seen)
        _start(steps, wishes, version, seen)
    finally:
        os.umask(before)
    steps.say("{} is in use again, {} is kept: the same command goes forward".format(version, in_use))
    return 0


def run_rebuild(force: bool, wishes: Wishes, out: TextIO) -> int:
    """The engines of the version in use: what does not fit, with `force` all of them. The tracker makes room meanwhile."""
    seen, steps = _begin("rebuild", wishes, out)
    version = seen.version(places.CURRENT)
    if not version:
        raise ServiceError("nothing is installed: " + commands.command("service install"))
    steps.user = service_account()
    running = _active(steps)
    _stop(steps)
    try:
        networks.build(steps, version, seen, *(["--force"] if force else []))
    finally:
        if running or wishes.start:
            steps.run("systemctl", "start", "--no-block", places.SERVICE)
    return 0


def run_uninstall(wishes: Wishes, out: TextIO) -> int:
    """Everything but the data and a configuration that was changed; with `purge` these too."""
    seen, steps = _begin("uninstall", wishes, out)
    for unit in (places.ARGUS_REQUESTS, places.ENGINE_REQUESTS, places.SERVICE, places.ENGINES, places.CLOCKS):
        if os.path.exists(seen.at("{}/{}".format(places.UNIT_FOLDER, unit))):
            steps.run("systemctl", "disable", "--now", unit)
    for unit in places.UNITS:
        steps.remove(seen.at("{}/{}".format(places.UNIT_FOLDER, unit)))
        steps.remove(seen.at("{}/{}.d".format(places.UNIT_FOLDER, unit)))
    steps.run("systemctl", "daemon-reload")
    for unit in (places.SERVICE, places.ENGINES):
        if steps.ask("systemctl", "is-failed", "--quiet", unit).code == 0:
            steps.run("systemctl", "reset-failed", unit)
    if wishes.purge or is_ours(seen):
        steps.remove(seen.at(os.path.dirname(places.CONFIG)))
    folders, files = [[seen.at(path) for path in paths if os.path.exists(seen.at(path))] for paths in (
        (places.HOME, places.LOGS), (places.CONFIG, places.CONFIG + OLD))]
    for path in folders:
        close(steps, path)  # before somebody else can have the number of the user that is gone
    for path in files:
        protect(steps, path, 0)
    data = folders + files
    for path in data if wishes.purge else []:
        steps.remove(path)
    remove_accounts(steps, seen)
    for path in (places.PROGRAMS, places.CACHE, places.RUN, "/run/nanoface-argus.last", "/run/nanoface-clocks.conf"):
        steps.remove(seen.at(path))
    kept = "" if wishes.purge or not data else "; kept: {} (--purge removes them too)".format(", ".join(data))
    steps.say(("would be" if wishes.dry else "is") + " uninstalled" + kept)
    return 0


def _begin(action: str, wishes: Wishes, out: TextIO) -> Tuple[Places, Steps]:
    seen = Places(wishes.root)
    if not os.path.isdir(seen.at(places.MANAGER)):
        raise ServiceError("systemd does not run this machine: there is no service to be had; start `nanoface run` by "
                           "what starts programs here")
    if seen.live and not wishes.dry and os.geteuid() != 0:
        raise ConfigError("this changes the system, so it needs root: " + commands.command("service " + action))
    return seen, Steps(out, wishes.dry, wishes.yes, seen.environment())


def _check_config(steps: Steps, version: str, seen: Places) -> None:
    """By the program that will read it. Raises ConfigError before anything in use is touched."""
    path = seen.at(places.CONFIG)
    python = os.path.join(seen.program(version), "bin", "python3")
    if os.path.exists(path) and os.path.exists(python):
        ended = steps.ask_as_user(python, *(CHECK + (path,)))
        if ended.code == EngineError.exit_code:
            raise ServiceError("the program cannot run any more: {}".format(ended.last))
        if ended.code != 0:
            raise ConfigError("{}: correct it and install again, or let it be replaced with --yes".format(ended.last))


def _upgrade(steps: Steps, home: str, version: str, in_use: str, wishes: Wishes, seen: Places) -> None:
    """Networks and engines of the new version. For the build the old one is stopped: the memory is needed. It is started
    again where that fails."""
    steps.say("networks and engines")
    for path in [seen.at(places.HOME)] + [path for path in [seen.at(places.LOGS)] if os.path.exists(path)]:
        hand_over(steps, path)
    networks.prepare(steps, home, version, in_use, seen)
    if not wishes.build:
        steps.say("  the engines are not looked at: what is missing is built when the service starts (engines.rebuild), or by "
                  + commands.of_service("build"))
        return
    if not networks.has_tensorrt(steps, version, seen):
        steps.say("  no TensorRT here: there are no engines to build")
        return
    running, done = _active(steps), False
    if running:
        _stop(steps)
    try:
        networks.build(steps, version, seen)
        done = True
    finally:
        if running and not done:
            steps.run("systemctl", "start", "--no-block", places.SERVICE)


def _put_units(steps: Steps, folder: str, seen: Places) -> None:
    changed = False
    for unit in places.UNITS:
        if not os.path.exists(os.path.join(folder, unit)):
            continue  # an older version has fewer
        with open(os.path.join(folder, unit), "rb") as f:
            changed |= steps.write(seen.at("{}/{}".format(places.UNIT_FOLDER, unit)), f.read())
    if changed:
        steps.run("systemctl", "daemon-reload")


def _switch(steps: Steps, version: str, in_use: str, seen: Places) -> None:
    if version == in_use:
        return
    if in_use:
        steps.link(seen.program(places.PREVIOUS), in_use)
    all_to_disk()
    steps.link(seen.program(places.CURRENT), version)
    all_to_disk()


def _enable(steps: Steps, wishes: Wishes, version: str, seen: Places) -> None:
    units = [places.SERVICE] + ([places.CLOCKS] if wishes.clocks else [])
    if seen.has_unit(places.ARGUS_DAEMON):
        units.append(places.ARGUS_REQUESTS)
    if is_tegra() or networks.has_tensorrt(steps, version, seen):  # on a board it may come later
        units.append(places.ENGINE_REQUESTS)
    for unit in units:
        if steps.ask("systemctl", "is-enabled", "--quiet", unit).code != 0:
            steps.run("systemctl", "enable", unit)
    for unit in units[1:] if wishes.start else []:
        steps.run("systemctl", "start", unit)


def _start(steps: Steps, wishes: Wishes, version: str, seen: Places) -> None:
    if not wishes.start:
        return
    steps.say("start: until the first frame, or until it is known that there is no camera")
    try:
        steps.run("systemctl", "restart", places.SERVICE)
    except ServiceError:
        said = steps.ask("systemctl", "show", places.SERVICE, "--property=StatusText", "--value").text.strip()
        back = "; the version before: " + commands.command("service rollback") if seen.before else ""
        raise ServiceError("{} does not start{}: see {}{}".format(
            version, " (" + said + ")" if said else "", commands.command("service logs"), back))


def _stop(steps: Steps) -> None:
    """With a build that it waits for: a unit that is only about to be up is not active."""
    units = [unit for unit in (places.SERVICE, places.ENGINES) if _state(steps, unit) in UP]
    if units:
        steps.run("systemctl", "stop", *units)


def _active(steps: Steps) -> bool:
    return _state(steps, places.SERVICE) in UP


def _state(steps: Steps, unit: str) -> str:
    return steps.ask("systemctl", "is-active", unit).text.strip()


def _prune(steps: Steps, seen: Places) -> None:
    """Versions that no command leads back to."""
    used = {seen.version(places.CURRENT), seen.before}
    for version in seen.versions():
        if version not in used and not steps.dry:
            steps.remove(seen.program(version))
            remove_home(steps, seen.home(version))


def _say_end(steps: Steps, version: str, wishes: Wishes) -> None:
    if wishes.dry:
        steps.say("nothing was changed")
        return
    steps.say("{} is installed{}; its configuration is {}".format(
        version, " and runs" if wishes.start else ", and starts at the next boot", places.CONFIG))
