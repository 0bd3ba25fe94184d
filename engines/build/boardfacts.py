"""What a plan is bound to and what its build needs, asked of the board: GPU, TensorRT, L4T, free memory.

Only tensorrt() and facts() load TensorRT, and nothing makes a CUDA context: both take memory that the build wants.
"""
import subprocess
from typing import Any, NamedTuple, Optional

from edge.core.errors import EngineError
from edge.doctor.machine import Machine
from edge.runtimes.gpu import context
from edge.runtimes.gpu.plan import package
from edge.telemetry.board.files import RELEASE, l4t_version

SERVICE = "nanoface"


class Facts(NamedTuple):
    """The first three are what edge.store.plans.Board compares; `l4t` is "" where it is not known."""

    tensorrt: str
    gpu: str
    compute_capability: str
    l4t: str


def l4t(root: str = "/") -> str:
    """Version of the board's system software, such as 32.7.1; "" on other machines. `root` is where /etc lies."""
    found = l4t_version(Machine({}, root).read(RELEASE))
    return ".".join(str(n) for n in found) if found else ""


def free_mb(root: str = "/") -> Optional[int]:
    """Memory and swap that are available now; None where that is not known."""
    found = {}
    for line in Machine({}, root).read("/proc/meminfo").splitlines():
        words = line.replace(":", " ").split()
        if len(words) >= 2 and words[1].isdigit():
            found[words[0]] = int(words[1])
    if "MemAvailable" not in found:
        return None
    return (found["MemAvailable"] + found.get("SwapFree", 0)) // 1024


def service_is_active(name: str = SERVICE) -> bool:
    """By systemd; False where there is no systemd."""
    try:
        answer = subprocess.run(["systemctl", "is-active", name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.stdout.decode("ascii", "replace").strip() == "active"


def tensorrt() -> Any:
    """The package. Raises EngineError with the cure."""
    try:
        return package()
    except EngineError as e:
        raise EngineError("nanoface build makes plans on the board; here there is no TensorRT: {}".format(e)) from e


def facts(root: str = "/") -> Facts:
    """Loads TensorRT and asks CUDA, without a context. Raises EngineError with the cure where there is no such thing."""
    version = tensorrt().__version__
    gpu = context.gpu()
    return Facts(version, gpu.name, gpu.compute_capability, l4t(root))
