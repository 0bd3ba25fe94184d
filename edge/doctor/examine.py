"""What this machine has for nanoface, and the cure for each thing that is missing or would make it slow.

Nothing heavy is imported here: numpy and OpenCV are asked in a process of their own, where a crash is a finding.
"""
import importlib.util
import os
import platform
import re
import subprocess
import sys
from glob import glob
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from edge.config.file import SYSTEM_FILE, choose_file, own_file
from edge.config.load import Config
from edge.core.errors import ModelError
from edge.core.redact import hide, one_line
from edge.core.roles import IRIS, NETWORKS, OFF, POSE, RUNTIMES, TENSORRT
from edge.doctor.gstreamer import check_gstreamer, kind_of
from edge.doctor.machine import FAIL, OK, WARN, Finding, Machine, check_board, check_cameras, is_jetson
from edge.doctor.plans import check_plans
from edge.doctor.service import check_jtop, check_service
from edge.doctor.system import check_films, check_folders, check_source, check_system_logs, check_time
from edge.host import commands
from edge.host.packages import fastest_runtime, install
from edge.store import models as modelstore
from edge.store import plans as planstore

NEWEST_TESTED = (3, 13)
PROBE = "import {0}; print({0}.__version__); print({0}.__file__); print(getattr({0}, 'getBuildInformation', str)())"
PROBE_TIMEOUT_S = 60.0
ILLEGAL_INSTRUCTION = -4
SETUP = "run `sh setup.sh` (docs/jetson-nano.md)"
FROM_PIP = "site-packages"  # in the path of what pip installed; JetPack's own lies in dist-packages
WITHOUT = {POSE: "the pose comes from the mesh alone", IRIS: "there is no iris, blink or gaze"}  # what still runs


class Probe(NamedTuple):
    """What importing a package in another process said. `trouble` is "" where it went well."""

    version: str
    build: str  # OpenCV's build information
    trouble: str
    file: str = ""  # where it was found


class Software(NamedTuple):
    """How the checks ask about packages; tests replace it."""

    python: Tuple[int, ...]
    probe: Callable[[str], Probe]  # imports it elsewhere
    version_of: Callable[[str], Optional[str]]  # looks at what is installed, imports nothing; None: not there


def examine(config: Config, machine: Machine, software: Software) -> List[Finding]:
    """All findings; what the others depend on comes first."""
    jetson, home = is_jetson(machine), modelstore.home_dir(machine.environ)
    findings = [check_python(software.python), check_numpy(software),
                check_opencv(software, jetson, bool(kind_of(config.source.spec)))]
    findings += check_runtimes(software, jetson, config.models.runtime) + check_models(config, machine)
    findings += check_plans(config, home, software.version_of(TENSORRT)) + check_folders(config, machine)
    findings += check_system_logs(machine) + [check_films()]
    findings += check_cameras(machine, config.source.spec) + check_source(config, machine)
    findings += check_gstreamer(config, machine, jetson)
    findings += check_board(machine) + ([check_jtop(machine, software.version_of("jtop"))] if jetson else [])
    findings += check_service(machine) + [check_time(machine)]
    return [f._replace(text=hide(f.text), cure=hide(f.cure)) for f in findings]


def as_json(findings: Sequence[Finding]) -> Dict[str, Any]:
    """`can_run`: nothing stops the service."""
    counts = {state: sum(f.state == state for f in findings) for state in (OK, WARN, FAIL)}
    return {"schema": 1, "can_run": not counts[FAIL], "counts": counts, "findings": [f._asdict() for f in findings]}


def lines(findings: Sequence[Finding]) -> List[str]:
    """One for each finding, one for its cure, and the sum of it."""
    told = []
    for finding in findings:
        told.append("{:<5} {:<13} {}".format(finding.state, finding.name, one_line(finding.text)))
        if finding.cure:
            told.append(" " * 20 + "-> " + one_line(finding.cure))
    counts = as_json(findings)["counts"]
    if counts[FAIL]:
        return told + ["nanoface cannot run here: {} to repair, {} to look at".format(counts[FAIL], counts[WARN])]
    return told + ["nanoface can run here" + (": {} to look at".format(counts[WARN]) if counts[WARN] else "")]


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


def check_config(path: Optional[str], machine: Machine) -> Finding:
    """Which file of the configuration was read; `path` is that of --config."""
    chosen = choose_file(path, machine.environ)
    if chosen is not None:
        return Finding("config", OK, "{} ({})".format(chosen.path, chosen.because))
    places = [place for place in (own_file(machine.environ), SYSTEM_FILE) if place]
    return Finding("config", OK, "the defaults: there is no {}".format(" and no ".join(places)))


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


def check_models(config: Config, machine: Machine) -> List[Finding]:
    """Of each role: which network would be used, whether its files are whole."""
    home = modelstore.home_dir(machine.environ)
    used = planstore.in_use(home, config, {})
    filled = {role: network.name for network in used.values() for role in network.also if role not in used}
    return [Finding("model " + role, OK, "{} fills it as well".format(filled[role])) if role in filled else
            _check_role(home, role, getattr(config.models, role)) for role in NETWORKS]


def _check_role(home: str, role: str, names: Sequence[str]) -> Finding:
    name = "model " + role
    if tuple(names) == (OFF,):
        return Finding(name, OK, "switched off")
    try:
        known = modelstore.read_index(home)
        if role in WITHOUT and not any(n in known for n in names):
            text = "{} is not fetched: {}".format(" or ".join(names), WITHOUT[role])
            return Finding(name, WARN, text, _fetch(names))
        network, skipped = modelstore.first_available(home, names)
    except ModelError as e:
        text, _, cure = str(e).rpartition(": ")  # a ModelError ends with its cure
        return Finding(name, FAIL, text, cure)
    if skipped:
        text = "{}, since {} is not fetched".format(network.name, " and ".join(skipped))
        return Finding(name, WARN, text, _fetch(skipped))
    return Finding(name, OK, network.name)


def _fetch(names: Sequence[str]) -> str:
    return commands.command("models fetch " + names[0])
