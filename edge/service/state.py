"""`nanoface service status` and `logs`: what systemd reports of the service, and the last status record."""
import os
import subprocess
from typing import Any, Dict, Optional, TextIO

from edge.config.load import load_config
from edge.core.errors import ConfigError
from edge.host import commands, console
from edge.service import places
from edge.service.places import Places
from edge.service.steps import ServiceError, Steps
from edge.telemetry.status import table
from edge.telemetry.status.read import read_last

PROPERTIES = ("LoadState", "ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "Result", "ExecMainStatus",
         "UnitFileState", "ActiveEnterTimestamp")
WIDTH = 100


def run_status(root: str, out: TextIO) -> int:
    """0 where the service is up, else 4."""
    tree, steps = Places(root), Steps(out)
    _need_systemd(tree)
    properties = ask_manager(steps)
    if properties.get("LoadState") != "loaded":
        raise ServiceError("the service is not installed: " + commands.command("service install"))
    up = properties.get("ActiveState") == "active"
    out.write("service    {} ({}){}\n".format(properties["ActiveState"], properties["SubState"], _since(properties)))
    if properties.get("StatusText"):
        out.write("says       {}\n".format(properties["StatusText"]))
    if not up and properties.get("Result", "success") != "success":
        out.write("ended by   {}, exit code {}\n".format(properties["Result"], properties.get("ExecMainStatus", "?")))
    out.write(engines_line(steps))
    out.write("restarts   {}\n".format(properties.get("NRestarts", "0")))
    out.write("at boot    {}\n".format("started" if properties.get("UnitFileState") == "enabled" else "not started: "
              "sudo systemctl enable nanoface"))
    out.write("version    {}{}\n".format(tree.version(places.CURRENT) or "?", _before(tree)))
    out.write("\n{}\n".format(last_record(tree)))
    return 0 if up else ServiceError.exit_code


def engines_line(steps: Steps) -> str:
    """What the unit that rebuilds engines does, or that it failed; "" in any other state."""
    properties = ask_manager(steps, places.ENGINES)
    if properties.get("ActiveState") == "activating":
        return "engines    rebuilt now: {}\n".format(properties.get("StatusText") or "it begins")
    if properties.get("ActiveState") == "failed":
        return "engines    could not be rebuilt: {}\n".format(commands.command("service logs"))
    return ""


def ask_manager(steps: Steps, unit: str = places.SERVICE) -> Dict[str, str]:
    lines = steps.ask("systemctl", "show", unit, "--property=" + ",".join(PROPERTIES)).text.splitlines()
    pairs = [line.partition("=") for line in lines]
    return {key: value for key, equals, value in pairs if equals}


def last_record(tree: Places) -> str:
    """The newest record of the status log as a table, or why there is none."""
    try:
        path = _log_path(tree.at(places.CONFIG))
        if path is None:
            return "the status log is switched off"
        record: Dict[str, Any] = read_last(tree.at(path))
        return table.render(record, WIDTH)
    except ConfigError as e:
        return str(e)
    except table.WRONG:
        return "the newest line of the status log is no status record"


def _log_path(config: str) -> Optional[str]:
    """Where the status log lies; its default for a user who may not read the configuration. None: there is none."""
    if os.path.exists(config) and not os.access(config, os.R_OK):
        return places.STATUS
    return load_config(config, {}, {}).status.file({"XDG_STATE_HOME": os.path.dirname(places.RUN)})


def run_logs(lines: int, follow: bool, root: str, out: TextIO) -> int:
    """journalctl's own lines and exit code."""
    _need_systemd(Places(root))
    argv = ["journalctl", "--no-pager", "--lines", str(lines)] + (["--follow"] if follow else [])
    for unit in places.UNITS:
        argv += ["--unit", unit]
    try:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as e:
        raise ServiceError("journalctl cannot be run: {}".format(e.strerror or e))
    assert child.stdout is not None
    try:
        for line in child.stdout:
            out.write(line.decode("utf-8", "surrogateescape"))
            if console.on(out).left:
                break
        else:
            return child.wait()
        return 0
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
        child.stdout.close()


def _need_systemd(tree: Places) -> None:
    if not os.path.isdir(tree.at(places.MANAGER)):
        raise ServiceError("systemd does not run this machine: there is no service; see " + commands.command("status"))


def _since(properties: Dict[str, str]) -> str:
    at = properties.get("ActiveEnterTimestamp", "")
    pid = properties.get("MainPID", "0")
    return "".join((" since " + at if at else "", ", process " + pid if pid != "0" else ""))


def _before(tree: Places) -> str:
    previous = tree.before
    return ", before it {}".format(previous) if previous else ""
