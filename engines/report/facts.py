"""What a report has without running anything: software, board, plans. Each function gives lines of text."""
import glob
import json
import os
import platform
import sys
from typing import Any, Dict, List, Mapping

from edge import __version__
from edge.core.errors import EngineError
from edge.doctor.board import check_board
from edge.doctor.machine import Machine, is_jetson
from edge.doctor.packages import Software
from edge.host.process import CODE
from edge.store import plans as planstore
from engines.build.report import TEXT, verified_text
from engines.report import readings

CHECKED = ("tensorrt", "pycuda", "onnxruntime", "openvino", "onnx", "yaml", "jtop")  # looked up, not imported
DEBIAN = ("nvidia-jetpack", "nvidia-l4t-core", "libnvinfer8", "python3-libnvinfer", "libcudnn8", "cuda-cudart-10-2",
          "libopencv-python", "python3-numpy")
CUDA_NOTES = ("/usr/local/cuda/version.txt", "/usr/local/cuda/version.json")
VARIABLES = ("NANOFACE_", "OPENBLAS_", "OMP_", "LD_PRELOAD", "CUDA_")  # of the environment, that change a run
SHORT = 12  # characters of a hash


def software(machine: Machine, asked: Software) -> List[str]:
    """numpy, OpenCV and TensorRT are imported in processes of their own: a crash is a line."""
    lines = ["nanoface {}{}".format(__version__, _commit()),
            "Python {} on {}, libc {}".format(".".join(map(str, asked.python)), platform.machine(), platform.libc_ver()[1]),
            "executable {}".format(sys.executable)]
    for module in ("numpy", "cv2") + (("tensorrt",) if is_jetson(machine) else ()):
        probe = asked.probe(module)
        gstreamer = [line.strip() for line in probe.build.splitlines() if "GStreamer" in line]
        lines.append("{} {}".format(module, probe.trouble or ", ".join([probe.version] + gstreamer)))
    for module in CHECKED:
        version = asked.version_of(module)
        lines.append("{} {}".format(module, "not installed" if version is None else version or "installed"))
    cuda = [machine.read(path) for path in CUDA_NOTES]
    lines += ["CUDA: {}".format(" ".join(text.split())[:80]) for text in cuda if text][:1]
    installed = debian_versions(machine)
    lines += ["{} {}".format(name, installed[name]) for name in DEBIAN if name in installed]
    wanted = sorted(name for name in machine.environ if name.startswith(VARIABLES))
    return lines + ["{}={}".format(name, machine.environ[name]) for name in wanted]


def _commit() -> str:
    """Of a checkout; "" elsewhere."""
    git = os.path.join(CODE, ".git")
    here = Machine({}, git)
    head = here.read("/HEAD")
    commit = here.read("/" + head[5:]) if head.startswith("ref: ") else head
    return " (commit {})".format(commit[:SHORT]) if commit else ""


def debian_versions(machine: Machine) -> Dict[str, str]:
    """Package -> version of those in DEBIAN that are installed."""
    found, name = {}, ""
    try:
        with open(machine.path("/var/lib/dpkg/status"), encoding="utf-8", errors="replace") as f:
            for line in f:
                if line.startswith("Package: "):
                    name = line[9:].strip()
                elif line.startswith("Version: ") and name in DEBIAN:
                    found[name] = line[9:].strip()
    except FileNotFoundError:
        return {}
    return found


def board(machine: Machine) -> List[str]:
    """Model, software, swap and power mode as the doctor sees them; then the kernel and the present readings."""
    lines = ["{}: {}".format(finding.name, finding.text) for finding in check_board(machine)]
    if not lines:
        lines = ["no Jetson: {}".format(_processor(machine))]
    release = machine.read("/proc/sys/kernel/osrelease") or platform.release()
    return lines + ["kernel {}".format(release)] + readings.lines(readings.read(machine))


def _processor(machine: Machine) -> str:
    named = [line for line in machine.read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    return "{}, {} cores".format(named[0].split(":", 1)[1].strip() if named else platform.machine(), os.cpu_count())


def plans(home: str) -> List[str]:
    """Each sidecar in three lines, whether the plan is the file that it describes, and what was tuned and chosen."""
    lines: List[str] = []
    folder = planstore.plans_dir(home)
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        name = os.path.basename(path)
        if "-" in name:  # role-network
            lines += _plan(home, name[:-len(".json")])
    lines += _others(folder)
    return lines or ["no plan in {}".format(folder)]


def _plan(home: str, name: str) -> List[str]:
    role, _, network = name.partition("-")
    try:
        plan = planstore.find(home, role, network)
        if plan is None:
            return []
        planstore.check_file(plan)
        state = "whole"
    except EngineError as e:
        return ["{}: {}".format(name, e)]
    sidecar = plan.sidecar
    flags = sidecar.get("flags") or {}
    lines = ["{} {}: {}, {} bytes, {} ({}...), TensorRT {}, {} ({}), L4T {}".format(
        role, network, sidecar["precision"], sidecar["size"], state, sidecar["sha256"][:SHORT], sidecar["tensorrt"],
        sidecar["gpu"], sidecar["compute_capability"], sidecar.get("l4t") or "-")]
    lines.append("  built {} in {} s; {}".format(sidecar.get("built_at", "-"), sidecar.get("build_s", "-"), _flags(flags)))
    lines.append("  measured {}; {}".format(_short(sidecar.get("measured")), verified_text(sidecar.get("verified"))))
    return lines


def _flags(flags: Mapping[str, Any]) -> str:
    kept = flags.get("fp32_layers") or []
    rest = {key: value for key, value in flags.items() if key != "fp32_layers"}
    return "{}, {} layers in fp32".format(_short(rest), len(kept))


def _others(folder: str) -> List[str]:
    lines = []
    for name in (planstore.CHOICE, planstore.CUBIN_SIDECAR):
        text = Machine({}, folder).read("/" + name)
        if text:
            try:
                lines.append("{}: {}".format(name, _short(json.loads(text))))
            except ValueError:
                lines.append("{}: is no JSON".format(name))
    tuned = Machine({}, folder).read("/" + TEXT)
    return lines + ([TEXT + ":"] + tuned.splitlines() if tuned else [])


def _short(value: Any) -> str:
    """JSON on one line, numbers of at most 4 digits, without quotes."""
    if isinstance(value, float):
        return "{:.4g}".format(value)
    if isinstance(value, dict):
        return ", ".join("{} {}".format(key, "(" + _short(v) + ")" if isinstance(v, dict) else _short(v))
                         for key, v in value.items())
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(_short(v) for v in value) + "]"
    return "none" if value is None else str(value)
