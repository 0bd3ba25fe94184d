"""The installed packages that the program needs at run time, of the virtual environment that it is installed from.

The service sees the system's packages too, but not a virtual environment in somebody's home.
"""
import csv
import os
import re
import sys
import sysconfig
from typing import Dict, List, NamedTuple, Sequence, Tuple

# those of these that are installed are copied, with their dependencies
WANTED = ("numpy", "opencv-python-headless", "opencv-python", "pyyaml", "pillow", "imageio-ffmpeg", "onnxruntime", "openvino",
          "pycuda", "prometheus-client", "jetson-stats", "python-osc", "paho-mqtt", "aiohttp")
INSTALLERS = ("setuptools", "pip", "wheel")  # imageio-ffmpeg requires one for its own code, of which we use the binary alone


class Package(NamedTuple):
    name: str  # as in WANTED
    version: str
    folder: str  # the site-packages that it lies in
    files: Tuple[str, ...]  # relative to it
    needs: Tuple[str, ...]  # names, also of other Pythons and extras: those that are not installed are not copied


def of_this_environment() -> List[Package]:
    """What is to be copied, in order of their names. None outside a virtual environment: the service sees the system's."""
    if sys.prefix == sys.base_prefix:
        return []
    paths = sysconfig.get_paths()
    return needed(sorted({paths["purelib"], paths["platlib"]}))


def needed(folders: Sequence[str]) -> List[Package]:
    """The packages of WANTED in `folders`, and those that they need."""
    there = _installed(folders)
    found: Dict[str, Package] = {}
    waiting = [name for name in WANTED if name in there]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = there[name]
            waiting += [need for need in there[name].needs if need in there and need not in INSTALLERS]
    return [found[name] for name in sorted(found)]


def _installed(folders: Sequence[str]) -> Dict[str, Package]:
    packages = {}
    for folder in folders:
        for entry in sorted(os.listdir(folder)):
            for suffix, listed, read in ((".dist-info", "RECORD", _read), (".egg-info", "installed-files.txt", _read_egg)):
                if entry.endswith(suffix) and os.path.isfile(os.path.join(folder, entry, listed)):
                    package = read(folder, entry)
                    packages[package.name] = package
    return packages


def _read(folder: str, entry: str) -> Package:
    head = _text(folder, entry, "METADATA").split("\n\n")[0]
    with open(os.path.join(folder, entry, "RECORD"), encoding="utf-8", newline="") as f:
        files = [row[0] for row in csv.reader(f) if row]
    return _package(head, folder, files, re.findall(r"^Requires-Dist: *([A-Za-z0-9._-]+)", head, re.MULTILINE))


def _read_egg(folder: str, entry: str) -> Package:
    """As pip leaves what comes as source alone, where there is no `wheel`: paho-mqtt for Python 3.6."""
    names = _text(folder, entry, "installed-files.txt").splitlines()
    needs = os.path.join(folder, entry, "requires.txt")
    found = re.findall(r"^[A-Za-z0-9._-]+", _text(needs), re.MULTILINE) if os.path.isfile(needs) else []
    return _package(_text(folder, entry, "PKG-INFO").split("\n\n")[0], folder,
                    [os.path.normpath(os.path.join(entry, name)) for name in names if name], found)


def _text(*path: str) -> str:
    with open(os.path.join(*path), encoding="utf-8", errors="replace") as f:
        return f.read()


def _package(head: str, folder: str, files: Sequence[str], needs: Sequence[str]) -> Package:
    inside = [name for name in files if not name.startswith("..") and not os.path.isabs(name) and "__pycache__" not in name]
    return Package(_canonical(_field(head, "Name")), _field(head, "Version"), folder,
                   tuple(n for n in inside if os.path.isfile(os.path.join(folder, n))),
                   tuple(_canonical(need) for need in needs))


def _field(head: str, name: str) -> str:
    found = re.search(r"^{}: *(.+)$".format(name), head, re.MULTILINE)
    return found.group(1).strip() if found else ""


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
