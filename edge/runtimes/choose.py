"""Which runtime runs a network. A new one is a file in this folder and a line in RUNTIMES."""
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Dict

from edge.core.contracts import Runner
from edge.errors import ConfigError, EngineError
from edge.modelstore import StoredNetwork

AUTO = "auto"
# name -> module of this folder, which has version(), PACKAGE and CURE, and the class of its runner
RUNTIMES = {
    "openvino": ("edge.runtimes.openvino", "OpenVinoRunner"),
    "onnxruntime": ("edge.runtimes.onnx", "OnnxRunner"),
    "tensorrt": ("edge.runtimes.tensorrt", "TensorRtRunner"),
}
# the fastest first: OpenVINO runs the mesh and the irises in two thirds of ONNX Runtime's time, the others in the same
AUTO_ORDER = ("openvino", "onnxruntime")


def open_runner(network: StoredNetwork, runtime: str) -> Runner:
    """The runner of `network`. Its own open() is still to be called, in the thread that will use it.

    `runtime` is auto or a key of RUNTIMES. Raises EngineError where it is not installed. Imports no heavy package.
    """
    name = _first_installed() if runtime == AUTO else runtime
    if name not in RUNTIMES:
        raise ConfigError("there is no runtime {}: take {} or {}".format(name, AUTO, " or ".join(sorted(RUNTIMES))))
    module = _module(name)
    if find_spec(module.PACKAGE) is None:
        raise EngineError("{} is not installed: {}".format(module.PACKAGE, module.CURE))
    runner: Runner = getattr(module, RUNTIMES[name][1])(network)
    return runner


def available_runtimes() -> Dict[str, str]:
    """Name -> version, which begins with a digit, or why it cannot be used. Imports every package: for the doctor."""
    found = {}
    for name in RUNTIMES:
        try:
            found[name] = _module(name).version()
        except EngineError as e:
            found[name] = str(e)
    return found


def _module(name: str) -> Any:
    """The file of a runtime; this copy of the program need not have every one."""
    path = RUNTIMES[name][0]
    if find_spec(path) is None:
        raise EngineError("the runtime {} comes with the board's build: take another with --runtime".format(name))
    return import_module(path)


def _first_installed() -> str:
    modules = {name: _module(name) for name in AUTO_ORDER}
    for name, module in modules.items():
        if find_spec(module.PACKAGE) is not None:
            return name
    raise EngineError("no runtime is installed: {}".format(" or ".join(m.CURE for m in modules.values())))
