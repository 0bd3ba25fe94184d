"""A wheel as a file: `pip download` for a fixed platform, so that any machine can have it. Nothing is installed."""
import os
import re
import subprocess
import sys
from typing import Callable, Iterator, List

from edge.core import clock
from edge.host.reading import reason
from engines.manifest.entries import Wheel
from engines.zipreading import DAMAGE, open_zip, unpacked

POLL_S = 0.2
LEAST_RATE = 20000.0  # bytes a second; a server that is slower is given up
LONGEST_START_S = 300.0  # until pip has found the wheel
SLACK = 1 << 20  # of pip's own files beside it
LONGEST_LOG = 1 << 16
_ENVIRONMENT = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_NO_COLOR": "1", "LC_ALL": "C"}


class WheelError(Exception):
    """`disk_full`: it is the machine and not the index."""

    def __init__(self, reason: str, disk_full: bool = False) -> None:
        super().__init__(reason)
        self.disk_full = disk_full


def _command(wheel: Wheel, folder: str) -> List[str]:
    return [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--platform", wheel.platform, "--python-version", wheel.python, "--implementation", wheel.implementation,
        "--timeout", "8", "--retries", "1", "--dest", folder, wheel.requirement]


def _largest_file(folder: str) -> int:
    """Bytes of the largest file below `folder`: while pip works, what it has of the wheel."""
    sizes = [0]
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.path.getsize(os.path.join(root, name)))
            except OSError:
                pass  # pip moved it meanwhile
    return max(sizes)


def _reason(wheel: Wheel, log: str) -> WheelError:
    """pip's many lines as one."""
    if "No module named pip" in log:
        return WheelError("this Python has no pip: install python3-pip")
    if "No space left" in log or "Errno 28" in log:
        return WheelError("no space left", disk_full=True)
    if "from versions: none" in log:
        return WheelError("no package index can be reached, or none has {}".format(wheel.requirement))
    errors = re.findall(r"^ERROR: (.+)$", log, re.MULTILINE) or log.strip().splitlines()[-1:] or ["no reason given"]
    return WheelError("pip says: {}".format(errors[-1][:200]))


def download(wheel: Wheel, folder: str, progress: Callable[[int], None]) -> str:
    """Download into `folder`, which pip also uses for what it needs meanwhile; returns the path. Raises WheelError."""
    environment = dict(os.environ, TMPDIR=folder, **_ENVIRONMENT)
    log_path = os.path.join(folder, "pip.log")
    give_up_at = clock.monotonic() + LONGEST_START_S + wheel.size / LEAST_RATE
    with open(log_path, "wb") as log:
        process = subprocess.Popen(
            _command(wheel, folder), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            while True:
                try:
                    code = process.wait(POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    got = _largest_file(folder)
                    if got > wheel.size + SLACK:
                        raise WheelError("the package index gives another {}, larger than announced".format(wheel.requirement))
                    if clock.monotonic() > give_up_at:
                        raise WheelError("the package index is too slow: pip was ended")
                    progress(min(got, wheel.size))
        finally:
            if process.poll() is None:  # given up, or Ctrl-C
                process.kill()
                process.wait()
    with open(log_path, encoding="utf-8", errors="replace") as f:
        text = f.read(LONGEST_LOG)
    found = [name for name in os.listdir(folder) if name.endswith(".whl")]
    if code or len(found) != 1:
        raise _reason(wheel, text)
    return os.path.join(folder, found[0])


def member(path: str, name: str) -> Iterator[bytes]:
    """One file out of a wheel, block by block: a few bytes may unpack to gigabytes. Raises WheelError."""
    try:
        with open_zip(path) as archive:
            yield from unpacked(archive, name)
    except KeyError as e:
        raise WheelError("the wheel has no {}".format(name)) from e
    except DAMAGE as e:
        raise WheelError("the wheel is damaged ({})".format(reason(e))) from e
