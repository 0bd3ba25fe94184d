"""Disk and time."""
import datetime
import os
import re
import shutil
from typing import List

from edge import modelstore
from edge.config import Config
from edge.machine import FAIL, GIB, OK, WARN, Finding, Machine

ROOM_BYTES = 300 << 20  # downloads, converted networks and plans of every role
LOG_BYTES = 20 << 20
FIRST_YEAR = 2024  # none of this was written before
NTP = "sudo timedatectl set-ntp true, with a network; a board has no battery and forgets the time"


def check_folders(config: Config, machine: Machine) -> List[Finding]:
    """The networks' home and the status log's folder: writable, and room on the disk."""
    home = modelstore.home_dir(machine.environ)
    free = shutil.disk_usage(existing(home)).free
    text = "{}, {:.1f} GiB free".format(home, free / GIB)
    if free < ROOM_BYTES:
        findings = [Finding("home", WARN, text, "make room, or set NANOFACE_HOME to a folder of another disk")]
    elif not machine.may_use(existing(home)):
        findings = [Finding("home", WARN, text + ", not writable: no network can be fetched",
                            "sudo chown -R $USER {}, or set NANOFACE_HOME".format(home))]
    else:
        findings = [Finding("home", OK, text)]
    return findings + [_check_log(config, machine)]


def _check_log(config: Config, machine: Machine) -> Finding:
    log = config.status.file(machine.environ)
    if log is None:
        return Finding("status log", OK, "switched off")
    place = log if os.path.exists(log) else existing(os.path.dirname(log))
    if not machine.may_use(place):
        return Finding("status log", WARN, log + " cannot be written", "set status.path, or use --status PATH")
    if shutil.disk_usage(existing(os.path.dirname(log))).free < LOG_BYTES:
        return Finding("status log", WARN, log + ": its disk is nearly full, records will be lost",
                       "make room, or set status.path to another disk")
    return Finding("status log", OK, log)


def existing(path: str) -> str:
    """The path itself, or the nearest folder above it that exists."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def check_time(machine: Machine) -> Finding:
    """Records carry the time of day, and no download is trusted before its certificate is valid."""
    now = datetime.datetime.fromtimestamp(machine.wall(), datetime.timezone.utc)
    text = now.strftime("%Y-%m-%d %H:%M UTC")
    if now.year < FIRST_YEAR:
        return Finding("time", WARN, text + ": the clock is not set", NTP)
    answer = machine.command("timedatectl", "status")
    found = re.search(r"(?:System clock|NTP) synchronized: (yes|no)", answer.text if answer is not None else "")
    if found is not None and found.group(1) == "no":
        return Finding("time", WARN, text + ", not kept by the network", NTP)
    return Finding("time", OK, text + (", kept by the network" if found is not None else ""))


def check_source(config: Config, machine: Machine) -> List[Finding]:
    """The camera that the configuration names."""
    spec = (config.source.spec or "").strip()
    path = "/dev/video" + spec if spec.isdigit() else spec
    if not path.startswith("/dev/"):
        return []
    if not machine.exists(path):
        return [Finding("source", WARN, path + " is not there: the service waits for it",
                        "plug it in, or set source.spec to a camera that is listed here or in /dev/v4l/by-id")]
    if not machine.may_use(machine.path(path)):
        return [Finding("source", FAIL, path + " may not be used by this user",
                        "sudo usermod -aG video $USER, then log out and in again")]
    return []
