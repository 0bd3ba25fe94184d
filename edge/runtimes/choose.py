"""Which runtime runs a network. A new one is a file in this folder and a line in RUNTIMES."""
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Mapping, Optional, Tuple

from edge.core.contracts import Runner
from edge.core.errors import ConfigError, EngineError
from edge.core.roles import AUTO, ONNXRUNTIME, OPENVINO, TENSORRT
from edge.host import commands, packages
from edge.host.process import is_tegra
from edge.runtimes.fallback import FallbackRunner
from edge.runtimes.sized import SizedRunner
from edge.store.models import StoredNetwork, cure, home_dir
from edge.store.plans import find

# name -> module of this room, which has PACKAGE and CURE, and the class of its runner
RUNTIMES = {
    OPENVINO: ("edge.runtimes.cpu.openvino", "OpenVinoRunner"),
    ONNXRUNTIME: ("edge.runtimes.cpu.onnx", "OnnxRunner"),
    TENSORRT: ("edge.runtimes.gpu.runner", "TensorRtRunner"),
}
# the fastest first: OpenVINO runs the mesh and the irises in two thirds of ONNX Runtime's time, the others in the same
AUTO_ORDER = (OPENVINO, ONNXRUNTIME)


def open_runner(network: StoredNetwork, runtime: str, **ways: str) -> Runner:
    """The runner of `network`. Its own open() is still to be called, in the thread that will use it.

    `runtime` is auto or a key of RUNTIMES. Raises EngineError where it is not installed. Imports no heavy package.
    `auto` takes TensorRT where it is installed and the network has a plan, else the runner's note has why not.
    `ways`: memory, crops and graphs of TensorRT's runner.
    """
    if network.interface is not None:
        return _own_runner(network, runtime)
    if runtime != AUTO:
        return _make(runtime, network, ways)
    if find_spec(_module(TENSORRT).PACKAGE) is None:
        return _make(_first_installed(), network, ways)
    why = _unfit(network)
    try:
        instead = _first_installed()
    except EngineError:
        if why:
            raise EngineError("{}, and no other runtime is installed".format(why))
        return _make(TENSORRT, network, ways)
    if not why:
        names = (TENSORRT, instead)
        return FallbackRunner(network.name, [(name, partial(_make, name, network, ways)) for name in names])
    runner = _make(instead, network, ways)
    runner.note = "{}: {} instead".format(why, instead)
    return runner


def open_sized(network: StoredNetwork, runtime: str, first: Tuple[int, int]) -> Runner:
    """The runner of a network whose height and width are open, for crops of any size; `first` is loaded when it is opened.

    Raises EngineError where TensorRT would run it, whose engines have the size that they were built for.
    """
    if runtime == TENSORRT or runtime == AUTO and find_spec(_module(TENSORRT).PACKAGE) is not None and not _unfit(network):
        raise EngineError("a detector's scale needs a CPU's runtime, as an engine of TensorRT has the size that it was built "
                          "for: leave --detector-scale (models.detector_scale) out, or add --runtime " + AUTO_ORDER[-1])
    name = _first_installed() if runtime == AUTO else runtime
    return SizedRunner(network.name, first, lambda size: _make(name, network, {}, size))


def _own_runner(network: StoredNetwork, runtime: str) -> Runner:
    """Of the user's own: no engine is built of it. OpenVINO's description of a network is for OpenVINO alone."""
    if runtime == TENSORRT:
        raise EngineError("{} is a network of your own, and nanoface builds engines of its own networks only: --runtime auto "
                          "runs it on the processor, and the others on their engines".format(network.name))
    described = network.file.lower().endswith(".xml")
    if described and runtime == ONNXRUNTIME:
        raise EngineError("{} is for OpenVINO, and not for ONNX Runtime: leave --runtime {} out, or export it as .onnx".format(
            network.name, runtime))
    taken = OPENVINO if described else runtime if runtime != AUTO else _first_installed()
    runner = _make(taken, network, {})
    if runtime == AUTO and find_spec(_module(TENSORRT).PACKAGE) is not None:
        runner.note = "no engine is built of {}, a network of your own: {} instead".format(network.name, taken)
    return runner


def need_runtime(runtime: str) -> None:
    """Call it before missing networks are reported. Raises EngineError that names all that a run lacks at once."""
    wanted = packages.absent_runtime() if runtime == AUTO else packages.absent([runtime])
    if wanted and runtime != TENSORRT:
        wanted += [] if is_tegra() else packages.absent(packages.CONVERTERS)  # a board has an environment for them
        raise EngineError("{} installed, and no network is there: {}, then {}".format(
            "no runtime is" if runtime == AUTO else runtime + " is not", packages.install(*wanted), cure()))


def _make(name: str, network: StoredNetwork, ways: Mapping[str, str], size: Optional[Tuple[int, int]] = None) -> Runner:
    if name not in RUNTIMES:
        raise ConfigError("there is no runtime {}: take {} or {}".format(name, AUTO, " or ".join(sorted(RUNTIMES))))
    module = _module(name)
    if find_spec(module.PACKAGE) is None:
        raise EngineError("{} is not installed: {}".format(module.PACKAGE, module.CURE))
    runner: Runner = getattr(module, RUNTIMES[name][1])(network, **(ways if name == TENSORRT else {"size": size}))
    return runner


def _module(name: str) -> Any:
    """The file of a runtime."""
    return import_module(RUNTIMES[name][0])


def _first_installed() -> str:
    """The fastest runtime of a CPU."""
    modules = {name: _module(name) for name in AUTO_ORDER}
    for name, module in modules.items():
        if find_spec(module.PACKAGE) is not None:
            return name
    raise EngineError("no runtime is installed: " + packages.install(packages.fastest_runtime()))


def _unfit(network: StoredNetwork) -> str:
    """Why TensorRT cannot run the network, by what can be seen without it; "" where it can be tried."""
    context = import_module("edge.runtimes.gpu.context")
    if find_spec(context.PYCUDA) is None:
        return "{} is not installed ({})".format(context.PYCUDA, context.CURE)
    try:
        plan = find(home_dir(), network.role, network.name)
    except EngineError as e:
        return str(e)
    return "" if plan is not None else "no plan of {} ({})".format(network.name, commands.run("build"))
