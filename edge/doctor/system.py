"""Disk, time, and the program that reads and writes films."""
import datetime
import os
import re
import shutil
from glob import glob
from typing import List, Optional

from edge.config.load import Config
from edge.doctor.machine import FAIL, GIB, OK, WARN, Finding, Machine
from edge.host import ffmpeg
from edge.store.models import home_dir

ROOM_BYTES = 300 << 20  # downloads, converted networks and plans of every role
LOG_BYTES = 20 << 20
SYSTEM_LOGS = ("/var/log/syslog*", "/var/log/daemon.log*", "/var/log/messages*")
SYSTEM_LOG_BYTES = 500 << 20  # a week of a quiet board is a few MB
JOURNAL, JOURNAL_BYTES = "/var/log/journal", 2 << 30
TAIL_BYTES = 1 << 16  # of the newest log: which program writes it
QUIETEN = ("keep the service that writes so much out of it, of nvargus-daemon as docs/jetson-nano.md says under Trouble; "
           "then sudo truncate -s 0 {}")
FIRST_YEAR = 2024  # none of this was written before
NTP = "sudo timedatectl set-ntp true, with a network; a board has no battery and forgets the time"


def check_folders(config: Config, machine: Machine) -> List[Finding]:
    """The networks' home and the status log's folder: writable, and room on the disk."""
    home = home_dir(machine.environ)
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


def check_system_logs(machine: Machine) -> List[Finding]:
    """Nothing, unless they grow without end: so they do where nvargus-daemon complains of a camera that it has lost."""
    findings = []
    sizes = {path: size for pattern in SYSTEM_LOGS for path in glob(machine.path(pattern))
             for size in [_size(path)] if size is not None}
    if sum(sizes.values()) > SYSTEM_LOG_BYTES:
        largest = max(sorted(sizes), key=lambda path: sizes[path])
        name = "/" + os.path.relpath(largest, machine.root)
        free = shutil.disk_usage(os.path.dirname(largest)).free
        text = "{:.1f} GiB in {} and its like, {:.1f} GiB free{}".format(
            sum(sizes.values()) / GIB, name, free / GIB, _mostly_argus(largest))
        findings.append(Finding("system log", WARN, text, QUIETEN.format(name)))
    journal = sum(_size(path) or 0 for path in glob(machine.path(JOURNAL) + "/*/*.journal"))
    if journal > JOURNAL_BYTES:
        findings.append(Finding("system log", WARN, "{:.1f} GiB in the journal".format(journal / GIB),
                                "sudo journalctl --vacuum-size=200M"))
    return findings


def _size(path: str) -> Optional[int]:
    """What it takes of the disk, which a file with holes in it does not by its length."""
    try:
        return os.stat(path).st_blocks * 512
    except (OSError, AttributeError):
        return None


def _mostly_argus(path: str) -> str:
    """"" also where it may not be read."""
    try:
        with open(path, "rb") as f:
            f.seek(max(0, os.path.getsize(path) - TAIL_BYTES))
            lines = f.read().splitlines()[1:]
    except OSError:
        return ""
    of_argus = sum(b"nvargus-daemon" in line for line in lines)
    return ", at its end mostly of nvargus-daemon" if of_argus > len(lines) / 2 else ""


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


def check_films() -> Finding:
    found = ffmpeg.find()
    if found is None:
        return Finding("films", WARN, "the program ffmpeg is not here: no film can be read or written", ffmpeg.cure())
    number = "" if found.version == ffmpeg.NEWEST else " {}.{}".format(*found.version)
    return Finding("films", OK, "FFmpeg{}, {}".format(number, found.path))


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
