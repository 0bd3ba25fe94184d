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
            if entry.endswith(".dist-info") and os.path.isfile(os.path.join(folder, entry, "RECORD")):
                package = _read(folder, entry)
                packages[package.name] = package
    return packages


def _read(folder: str, entry: str) -> Package:
    with open(os.path.join(folder, entry, "METADATA"), encoding="utf-8", errors="replace") as f:
        head = f.read().split("\n\n")[0]
    with open(os.path.join(folder, entry, "RECORD"), encoding="utf-8", newline="") as f:
        files = [row[0] for row in csv.reader(f) if row]
    inside = [name for name in files if not name.startswith("..") and not os.path.isabs(name) and "__pycache__" not in name]
    needs = re.findall(r"^Requires-Dist: *([A-Za-z0-9._-]+)", head, re.MULTILINE)
    return Package(_canonical(_field(head, "Name")), _field(head, "Version"), folder,
                   tuple(n for n in inside if os.path.isfile(os.path.join(folder, n))),
                   tuple(_canonical(need) for need in needs))


def _field(head: str, name: str) -> str:
    found = re.search(r"^{}: *(.+)$".format(name), head, re.MULTILINE)
    return found.group(1).strip() if found else ""


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
