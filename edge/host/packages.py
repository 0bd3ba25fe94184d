"""The packages that nanoface imports, as requirements of pip. nanoface itself is on no index: no cure names an extra of it.

The ranges are those of setup.py, which cannot import this; a test compares them.
"""
import shlex
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Dict, Iterable, List, Sequence, Tuple

from edge.core.roles import ONNXRUNTIME, OPENVINO, RUNTIMES

# module -> requirements on Python 3.6, and from 3.7 on
REQUIREMENTS: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]] = {
    "numpy": (("numpy>=1.13,<1.20",), ("numpy>=1.19,<2.4",)),
    "cv2": (("opencv-python-headless==4.1.1.26",), ("opencv-python-headless>=4.8,<4.12",)),
    "yaml": (("PyYAML>=3.12,<7",),) * 2,
    "PIL": (("Pillow>=8,<14",),) * 2,
    "imageio_ffmpeg": (("imageio-ffmpeg>=0.5.1,<1",),) * 2,
    ONNXRUNTIME: (("onnxruntime>=1.10,<1.11",), ("onnxruntime>=1.14,<2",)),
    OPENVINO: (("openvino>=2024.0,<2027",),) * 2,
    "pygame": (("pygame>=2.1,<3",),) * 2,
    "prometheus_client": (("prometheus_client>=0.9,<0.18",), ("prometheus_client>=0.9,<1",)),
    "pythonosc": (("python-osc>=1.8,<1.9",), ("python-osc>=1.8,<2",)),
    "paho": (("paho-mqtt>=1.6,<2",), ("paho-mqtt>=1.6,<3",)),
    "aiohttp": (("aiohttp>=3.8,<3.9",), ("aiohttp>=3.8,<4",)),
    "onnx": (("onnx>=1.11,<1.12", "protobuf>=3.19,<3.20"), ("onnx>=1.14,<2",)),
    "tflite": (("tflite>=2.10,<3",),) * 2,
    "flatbuffers": (("flatbuffers>=2,<26",),) * 2,
}
CONVERTERS = ("onnx", "tflite", "flatbuffers")  # what `models fetch` converts networks with
THIS_PYTHON = tuple(sys.version_info[:2])


def install(*modules: str, python: Sequence[int] = THIS_PYTHON) -> str:
    """The command that installs them for this Python; a module that is not known is taken for its package."""
    asked: List[str] = []
    for module in modules:
        asked += REQUIREMENTS.get(module, ((module,), (module,)))[tuple(python[:2]) >= (3, 7)]
    return " ".join([shlex.quote(sys.executable or "python3"), "-m pip install"] + [shlex.quote(spec) for spec in asked])


def absent(modules: Sequence[str]) -> List[str]:
    """Those that are not installed."""
    return [module for module in modules if find_spec(module) is None]


def load(modules: Iterable[str]) -> None:
    """Import them before threads do: on Python 3.6 two that load aiohttp at once find half of it. One that cannot
    be loaded, or is none (""), is left to who uses it."""
    for module in sorted(filter(None, set(modules))):
        try:
            import_module(module)
        except ImportError:
            pass


def fastest_runtime(python: Sequence[int] = THIS_PYTHON) -> str:
    """That can be had for a Python."""
    return OPENVINO if tuple(python[:2]) >= (3, 9) else ONNXRUNTIME


def absent_runtime() -> List[str]:
    """The runtime to install; none where there is one."""
    return [fastest_runtime()] if absent(RUNTIMES) == list(RUNTIMES) else []
