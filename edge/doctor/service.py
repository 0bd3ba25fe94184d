"""The service as systemd sees it, what it may use, and jetson-stats' service beside it."""
import re
from typing import Dict, List, Optional

from edge.doctor.machine import FAIL, OK, WARN, Finding, Machine
from edge.host import commands

UNIT, CLOCKS = "nanoface.service", "nanoface-clocks.service"
UNIT_FOLDERS = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
PROPERTIES = ("ActiveState", "SubState", "UnitFileState", "Result", "NRestarts", "StatusText")
GROUP = "sudo groupadd --system {}"
SOCKET = "/run/jtop.sock"


def check_service(machine: Machine) -> List[Finding]:
    """Nothing where systemd does not run the machine."""
    unit = _unit(machine, UNIT)
    if unit is None:
        if not machine.exists("/run/systemd/system"):
            return []
        return [Finding("service", OK, "not installed ({} starts nanoface at boot)".format(
            commands.command("service install")))]
    findings = check_groups(machine, unit)
    answer = machine.command("systemctl", "show", UNIT, "--property=" + ",".join(PROPERTIES))
    if answer is None or answer.code != 0:
        return findings + [Finding("service", WARN, "installed; systemd does not answer",
                                   "start the machine with systemd, or sudo systemctl daemon-reload")]
    pairs = [line.partition("=") for line in answer.text.splitlines()]
    return findings + [_finding({key: value for key, equals, value in pairs if equals})]


def _finding(properties: Dict[str, str]) -> Finding:
    state, at_boot = properties.get("ActiveState", ""), properties.get("UnitFileState", "")
    text = "{} ({})".format(state or "unknown", properties.get("SubState") or "-")
    if properties.get("NRestarts", "0") not in ("", "0"):
        text += ", restarted {} times".format(properties["NRestarts"])
    if properties.get("StatusText"):
        text += ": " + properties["StatusText"]
    if state == "failed":
        return Finding("service", FAIL, "{}, {}".format(text, properties.get("Result") or "it ended"),
                       "{}; then sudo systemctl restart nanoface".format(_logs()))
    if at_boot != "enabled":
        return Finding("service", WARN, text + ", not started at boot", "sudo systemctl enable --now nanoface")
    if state == "inactive":
        return Finding("service", WARN, text, "sudo systemctl start nanoface")
    if properties.get("SubState") == "auto-restart":
        return Finding("service", FAIL, text + ", starts again and again", _logs())
    return Finding("service", OK, text)


def _logs() -> str:
    return commands.command("service logs") + " tells why"


def check_groups(machine: Machine, unit: str) -> List[Finding]:
    """A user or group that a unit names and the machine does not have fails every start."""
    findings = []
    for file, names, cure in (("/etc/passwd", _values(unit, "User"), commands.command("service install")),
                              ("/etc/group", _values(unit, "Group") + _values(unit, "SupplementaryGroups"), GROUP)):
        known = {line.split(":")[0] for line in machine.read(file).splitlines()}
        for name in names:
            if known and name not in known and not name.isdigit():
                kind = "user" if file == "/etc/passwd" else "group"
                findings.append(Finding("service", FAIL, "its unit names the {} {}, which there is not".format(kind, name),
                                        cure.format(name)))
    return findings


def _values(unit: str, key: str) -> List[str]:
    return [value for line in re.findall(r"^{}=(.*)$".format(key), unit, re.MULTILINE) for value in line.split()]


def _unit(machine: Machine, name: str) -> Optional[str]:
    for folder in UNIT_FOLDERS:
        if machine.exists("{}/{}".format(folder, name)):
            return machine.read("{}/{}".format(folder, name))
    return None


def check_jtop(machine: Machine, version: Optional[str]) -> Finding:
    """`version` of jetson-stats, None where it is not installed. Its answer is not waited for: it may never come."""
    if version is None:
        return Finding("jtop", OK, "not installed (the board's own files tell what is needed)")
    text = "jetson-stats {}".format(version).strip()
    if not machine.exists(SOCKET):
        return Finding("jtop", WARN, text + ", its service does not run",
                       "sudo systemctl restart jtop (of version 3: jetson_stats)")
    if not machine.may_use(machine.path(SOCKET)):
        return Finding("jtop", WARN, text + ", its service may not be asked by this user",
                       "sudo usermod -aG jtop $USER, then log out and in again")
    return Finding("jtop", OK, text)
