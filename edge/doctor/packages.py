"""Python, numpy, OpenCV and what runs the networks: there, and fit.

Nothing heavy is imported here: numpy and OpenCV are asked in a process of their own, where a crash is a finding.
"""
import importlib.util
import os
import platform
import re
import subprocess
import sys
from glob import glob
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from edge.core.roles import RUNTIMES, TENSORRT
from edge.doctor.machine import FAIL, OK, WARN, Finding
from edge.host.packages import fastest_runtime, install

NEWEST_TESTED = (3, 13)
PROBE = "import {0}; print({0}.__version__); print({0}.__file__); print(getattr({0}, 'getBuildInformation', str)())"
PROBE_TIMEOUT_S = 60.0
ILLEGAL_INSTRUCTION = -4
SETUP = "run `sh setup.sh` (docs/jetson-nano.md)"
FROM_PIP = "site-packages"  # in the path of what pip installed; JetPack's own lies in dist-packages


class Probe(NamedTuple):
    """The result of importing a package in another process. `trouble` is "" where it worked."""

    version: str
    build: str  # OpenCV's build information
    trouble: str
    file: str = ""  # where it was found


class Software(NamedTuple):
    """How the checks ask about packages; tests replace it."""

    python: Tuple[int, ...]
    probe: Callable[[str], Probe]  # imports it elsewhere
    version_of: Callable[[str], Optional[str]]  # looks at what is installed, imports nothing; None: not there


def this_software() -> Software:
    return Software(tuple(sys.version_info[:3]), import_elsewhere, installed_version)


def import_elsewhere(module: str) -> Probe:
    """Import `module` with this Python in a new process."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE.format(module)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, universal_newlines=True, timeout=PROBE_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as e:
        return Probe("", "", "cannot be tried: {}".format(e))
    if done.returncode == ILLEGAL_INSTRUCTION:
        return Probe("", "", "illegal instruction")
    if done.returncode:
        last = (done.stderr.strip().split("\n") or [""])[-1]
        return Probe("", "", last or "its import ends with exit code {}".format(done.returncode))
    version, file, build = (done.stdout.split("\n", 2) + ["", ""])[:3]
    return Probe(version.strip(), build, "", file.strip())


def installed_version(module: str) -> Optional[str]:
    """By the folder that its installer left beside it; "" where the package is there and its version is not."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or [spec.origin or ""])
    for kind in ("dist-info", "egg-info"):
        for note in sorted(glob(os.path.join(os.path.dirname(places[0]), "{}*-*.{}".format(module, kind)))):
            name = os.path.basename(note)
            found = re.match(r"{}(?:_[a-z]+)?-([0-9][^-]*?)(?:-py[0-9.]+)?\.{}$".format(module, kind), name)
            if found:
                return found.group(1)
    return ""


def check_python(version: Sequence[int]) -> Finding:
    text = "{} on {}".format(".".join(str(n) for n in version), platform.machine())
    if tuple(version[:2]) < (3, 6):
        return Finding("python", FAIL, text, "install Python 3.6 or later")
    if tuple(version[:2]) > NEWEST_TESTED:
        cure = "use Python {}.{} if anything fails".format(*NEWEST_TESTED)
        return Finding("python", WARN, text + ", newer than what was tested", cure)
    return Finding("python", OK, text)


def check_numpy(software: Software) -> Finding:
    probe = software.probe("numpy")
    if not probe.trouble:
        return Finding("numpy", OK, probe.version)
    return Finding("numpy", FAIL, probe.trouble, _import_cure(probe, install("numpy")))


def check_opencv(software: Software, jetson: bool, needed: bool = False) -> Finding:
    """Its version, and whether GStreamer was built in: pip's wheels have none, JetPack's own build does.

    `needed`: the source that is configured cannot do without it.
    """
    probe = software.probe("cv2")
    if probe.trouble:
        cure = "sudo apt install libopencv-python (JetPack's own)" if jetson else install("cv2")
        return Finding("opencv", FAIL, probe.trouble, _import_cure(probe, cure))
    gstreamer = bool(re.search(r"GStreamer:\s+YES", probe.build))
    text = "{}, with{} GStreamer".format(probe.version, "" if gstreamer else "out")
    if re.match(r"4\.1[23]\.", probe.version):
        return Finding("opencv", WARN, text + "; its solvePnP is ten times slower than that of 4.11",
                       install("cv2"))
    if jetson and not gstreamer:
        found = " at " + os.path.dirname(probe.file) if FROM_PIP in probe.file else ""
        text = "{}{}: csi:// and gst: sources will not open{}".format(
            text, found, "; pip's has taken the place of JetPack's" if found else "")
        return Finding("opencv", FAIL if needed else WARN, text, "python3 -m pip uninstall opencv-python "
                       "opencv-python-headless opencv-contrib-python (JetPack's own has GStreamer)")
    return Finding("opencv", OK, text + ("" if gstreamer else " (only csi:// and gst: sources need it)"))


def _import_cure(probe: Probe, install: str) -> str:
    if probe.trouble == "illegal instruction":  # numpy 1.19.5's OpenBLAS takes the Nano's cores for others
        return "export OPENBLAS_CORETYPE=ARMV8"
    return install


def check_runtimes(software: Software, jetson: bool, wanted: str) -> List[Finding]:
    """Any one runs the networks, unless `wanted` names one; on the board it should be TensorRT."""
    found = {name: software.version_of(name) for name in RUNTIMES}
    findings = [
        Finding("runtime", OK, "{} {}".format(name, version).strip())
        for name, version in found.items() if version is not None
    ]
    if jetson and found[TENSORRT] is None:
        cure = "sudo apt install python3-libnvinfer"
        findings.append(Finding("runtime", WARN, "no TensorRT: the GPU is not used", cure))
    elif jetson and software.version_of("pycuda") is None:
        findings.append(Finding("runtime", WARN, "no pycuda: the GPU is not used", SETUP))
    if not any(version is not None for version in found.values()):
        cure = install(fastest_runtime(software.python), python=software.python)
        findings.append(Finding("runtime", FAIL, "nothing that can run a network is installed", cure))
    elif wanted in found and found[wanted] is None:
        findings.append(Finding("runtime", FAIL, "models.runtime is {}, which is not installed".format(wanted),
                                "install it, or set models.runtime to auto"))
    return findings
