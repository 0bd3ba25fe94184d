"""Every call of TensorRT's builder and of its ONNX parser: from the file of a network to the bytes of a plan.

Written after the Python bindings of 8.2.1. Nothing there raises: what fails returns False or None, and the reason is in
the log. The names that 8.0 lacks (the precision constraints) are asked for; 10 is not built for.
"""
from collections import deque
from typing import Any, Callable, Deque, FrozenSet, List, NamedTuple, Optional, Tuple

import numpy as np

from edge.core.errors import EngineError, ModelError
from edge.host import commands
from edge.runtimes.gpu.plan import log_of
from edge.store.models import cure
from engines.build.target import pinned

OBEY, PREFER = "obey", "prefer"
KEPT_MESSAGES = 40  # of the library, the last ones
TACTICS = {"cublas": "CUBLAS", "cublas_lt": "CUBLAS_LT", "cudnn": "CUDNN"}

NO_IMPORTER = "No importer registered for op"  # logged as information, before the error

Note = Callable[[str], None]  # a line for the user
Interface = List[List[Any]]  # [name, shape] of each


class BuildSpec(NamedTuple):
    """What is to be built, and how."""

    name: str
    file: str  # the ONNX
    fp16: bool
    workspace_mb: int
    tactics: Tuple[str, ...]  # keys of TACTICS
    fp32_layers: Tuple[str, ...]  # ONNX nodes that stay in FP32; ignored without fp16
    min_timing_iterations: int
    avg_timing_iterations: int
    nodes: FrozenSet[str] = frozenset()  # names of all ONNX nodes: "conv" + "_1" is not "conv_1"
    dense: bool = False  # grouped convolutions as dense ones


class Built(NamedTuple):
    plan: bytes
    timing_cache: bytes  # b"" where the library gave none
    constraints: str  # OBEY, PREFER, or "" where no layer is pinned
    inputs: Interface
    outputs: Interface


class Refused(EngineError):
    """TensorRT returned None or False. `constrained`: layers were pinned under OBEY, which may be why."""

    def __init__(self, text: str, constrained: bool = False) -> None:
        super().__init__(text)
        self.constrained = constrained


class LoggedMessages:
    """Errors and warnings that the library logs, from any of its threads."""

    def __init__(self, on_message: Callable[[str, str], None]) -> None:
        self._on_message = on_message
        self._lines: Deque[Tuple[str, str]] = deque(maxlen=KEPT_MESSAGES)

    def add(self, severity: str, text: str) -> None:
        line = " ".join(text.split())
        self._lines.append((severity, line))
        self._on_message(severity, line)

    def reason(self) -> str:
        """The last two errors: the last one is the failure, the one before it mostly the cause."""
        errors = [text for severity, text in self._lines if severity == "E"]
        return "; ".join(errors[-2:]) or "it gave no reason"

    def unknown_operator(self) -> str:
        """The parser's message on an operator that it does not have; "" where there is none."""
        return next((text for _, text in self._lines if NO_IMPORTER in text), "")

    def clear(self) -> None:
        self._lines.clear()


def logger_to(trt: Any, messages: LoggedMessages) -> Any:
    """The process's one logger, which from now on adds to `messages`: TensorRT keeps a single pointer to a logger."""
    levels = trt.Logger
    marks = {int(levels.INTERNAL_ERROR): "E", int(levels.ERROR): "E", int(levels.WARNING): "W"}

    def add(severity: Any, msg: str) -> None:
        mark = marks.get(int(severity), "I" if NO_IMPORTER in msg else "")
        if mark:
            messages.add(mark, msg)

    logger = log_of(trt)
    logger.listener = add  # what it raises is suppressed there
    return logger


def memory_cure() -> str:
    return "stop the service and the desktop, add swap, or try `{}`".format(commands.command("build --workspace 128"))


def build(trt: Any, logger: Any, messages: LoggedMessages, spec: BuildSpec, timing_cache: bytes, note: Note) -> Built:
    """A serialised plan. Pinned layers are tried under OBEY, then under PREFER.

    Takes minutes on a Nano and releases the interpreter lock for nearly all of them. Raises ModelError for a network
    that TensorRT cannot read, EngineError for one that it cannot build.
    """
    constraints = OBEY if spec.fp16 and spec.fp32_layers else ""
    try:
        return _attempt(trt, logger, messages, spec, timing_cache, constraints, note)
    except Refused as e:
        if not e.constrained:
            raise
        note("{}: TensorRT cannot keep all {} layers in FP32 ({}); it is now asked to prefer it".format(
            spec.name, len(spec.fp32_layers), e))
    return _attempt(trt, logger, messages, spec, timing_cache, PREFER, note)


def _attempt(trt: Any, logger: Any, messages: LoggedMessages, spec: BuildSpec, timing_cache: bytes, constraints: str,
             note: Note) -> Built:
    messages.clear()
    trt.init_libnvinfer_plugins(logger, "")
    builder = _made(_builder(trt, logger), spec, messages, "builder")
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    network = _made(builder.create_network(flags), spec, messages, "network")
    parser = trt.OnnxParser(network, logger)  # the network's weights lie in it: it lives until the plan is made
    _parse(trt, parser, spec, messages)
    inputs, outputs = _interface(network, spec)
    kernels = make_dense(trt, network) if spec.dense else []
    config = _made(builder.create_builder_config(), spec, messages, "configuration")
    _configure(trt, config, spec)
    if constraints:
        constraints = _constrain(trt, config, constraints, note)
        _pin(trt, network, spec, note)
    cache = _use_timing_cache(config, timing_cache, note)
    messages.clear()
    plan = builder.build_serialized_network(network, config)
    del kernels  # until here the network points at them
    if plan is None:
        raise Refused("TensorRT could not build {} ({}): {}".format(
            spec.name, messages.reason(), memory_cure()), constraints == OBEY)
    return Built(bytes(plan), _serialised(config, cache), constraints, inputs, outputs)


def _builder(trt: Any, logger: Any) -> Optional[Any]:
    """None where CUDA does not start: the bindings then raise, as their factory gave nothing."""
    try:
        return trt.Builder(logger)
    except TypeError:
        return None


def _made(thing: Any, spec: BuildSpec, messages: LoggedMessages, what: str) -> Any:
    if thing is None:
        raise EngineError("TensorRT made no {} for {} ({}): {}".format(
            what, spec.name, messages.reason(), memory_cure()))
    return thing


def _parse(trt: Any, parser: Any, spec: BuildSpec, messages: LoggedMessages) -> None:
    """Raises ModelError with the parser's own messages."""
    try:
        with open(spec.file, "rb") as f:
            content = f.read()
    except OSError as e:  # the parser would return False and no error at all
        raise ModelError("{} cannot be read ({}): {}".format(
            spec.file, e.strerror or e, cure(spec.name))) from e
    if parser.parse(content):
        return
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    codes = [str(error.code()).split(".")[-1] for error in errors]
    reported = "; ".join("{}{}: {}".format("node {}: ".format(error.node()) if error.node() >= 0 else "", code,
                                           " ".join(str(error.desc()).split())) for error, code in zip(errors, codes))
    unknown = messages.unknown_operator()
    if unknown or any(code.startswith("UNSUPPORTED") for code in codes):
        raise ModelError("TensorRT {} does not know all operators of {} ({}): take another network of its role with "
                         "--networks, `{}` shows which are clean".format(
                             trt.__version__, spec.name, "; ".join(filter(None, (unknown, reported))),
                             commands.command("models lint")))
    raise ModelError("TensorRT cannot read {} ({}): {}".format(
        spec.file, reported or messages.reason(), cure("--force", spec.name)))


def _interface(network: Any, spec: BuildSpec) -> Tuple[Interface, Interface]:
    """Names and shapes. Raises ModelError unless all is static: there is no optimization profile."""
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    outputs = [network.get_output(i) for i in range(network.num_outputs)]
    if not inputs or not outputs:
        raise ModelError("{} has {} inputs and {} outputs: {}".format(
            spec.file, len(inputs), len(outputs), cure("--force", spec.name)))
    shapes = [[[t.name, [int(d) for d in t.shape]] for t in tensors] for tensors in (inputs, outputs)]
    for name, shape in shapes[0] + shapes[1]:
        if not shape or min(shape) < 1:
            raise ModelError("{} of {} has no fixed shape ({}): {}".format(
                name, spec.file, ", ".join(str(d) for d in shape), cure("--force", spec.name)))
    return shapes[0], shapes[1]


def _configure(trt: Any, config: Any, spec: BuildSpec) -> None:
    config.max_workspace_size = spec.workspace_mb << 20  # 0 is what 8.2 takes by itself
    config.min_timing_iterations = spec.min_timing_iterations
    config.avg_timing_iterations = spec.avg_timing_iterations
    if spec.fp16:
        config.set_flag(trt.BuilderFlag.FP16)
    mask = 0
    for tactic in spec.tactics:
        mask |= 1 << int(getattr(trt.TacticSource, TACTICS[tactic]))
    if config.set_tactic_sources(mask) is False:
        raise EngineError("TensorRT takes no tactics of {} here: choose others with --tactics".format(
            " and ".join(spec.tactics) or "nothing but itself"))


def _constrain(trt: Any, config: Any, wanted: str, note: Note) -> str:
    """Ask for the pinned layers to be kept; what was asked. 8.0 has only STRICT_TYPES, which is much like PREFER."""
    flags = trt.BuilderFlag
    for kind, name in ((OBEY, "OBEY_PRECISION_CONSTRAINTS"), (PREFER, "PREFER_PRECISION_CONSTRAINTS"),
                       (PREFER, "STRICT_TYPES")):
        if (kind == wanted or wanted == OBEY) and hasattr(flags, name):
            config.set_flag(getattr(flags, name))
            return kind
    note("this TensorRT ({}) cannot be asked to keep layers in FP32: it may round them".format(trt.__version__))
    return ""


def _pin(trt: Any, network: Any, spec: BuildSpec, note: Note) -> None:
    """Mark the layers of the listed nodes. Those that calculate with whole numbers (shapes) must stay as they are."""
    found = set()
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        pin = pinned(layer.name, spec.fp32_layers, spec.nodes)
        outputs = [layer.get_output(k) for k in range(layer.num_outputs)] if pin else []
        if outputs and all(out.dtype in (trt.float32, trt.float16) and not out.is_shape_tensor for out in outputs):
            layer.precision = trt.float32
            for k in range(len(outputs)):
                layer.set_output_type(k, trt.float32)
            found.add(pin)
    lost = sorted(set(spec.fp32_layers) - found)
    if lost:
        note("{}: {} of the {} layers to keep in FP32 are not in the network: {}".format(
            spec.name, len(lost), len(spec.fp32_layers), ", ".join(lost[:5])))


def block_diagonal(kernel: np.ndarray, groups: int) -> np.ndarray:
    """(outputs, inputs / groups, ...) as (outputs, inputs, ...), zero outside of each output's own group."""
    outputs, inputs = kernel.shape[:2]
    dense = np.zeros((outputs, inputs * groups) + kernel.shape[2:], kernel.dtype)
    each = outputs // groups
    for group in range(groups):
        rows = slice(group * each, (group + 1) * each)
        dense[rows, group * inputs:(group + 1) * inputs] = kernel[rows]
    return dense


def make_dense(trt: Any, network: Any) -> List[np.ndarray]:
    """Make grouped convolutions dense: TensorRT may run one group after the other. Depthwise ones have kernels of their own.

    The new kernels, which the network only points at: to be kept until its plan is made. Raises EngineError for none.
    """
    kernels = []
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        if layer.type != trt.LayerType.CONVOLUTION:
            continue
        layer.__class__ = trt.IConvolutionLayer  # the bindings hand out what all layers have in common
        groups, outputs, inputs = layer.num_groups, layer.num_output_maps, layer.get_input(0).shape[1]
        if not 1 < groups < inputs:
            continue
        shape = (outputs, inputs // groups) + tuple(layer.kernel_size_nd)
        kernel = block_diagonal(np.array(layer.kernel, np.float32).reshape(shape), groups)
        kernels.append(np.ascontiguousarray(kernel.ravel()))
        layer.kernel, layer.num_groups = kernels[-1], 1
    if not kernels:
        raise EngineError("the network has no grouped convolutions to be made dense")
    return kernels


def _use_timing_cache(config: Any, content: bytes, note: Note) -> Any:
    """The cache in use, or None; one of another board or version gives way to a fresh one."""
    cache = config.create_timing_cache(content)
    if cache is not None and config.set_timing_cache(cache, False):
        return cache
    if content:
        note("the timing cache is of another board or TensorRT: a fresh one is begun")
    cache = config.create_timing_cache(b"")
    return cache if cache is not None and config.set_timing_cache(cache, False) else None


def _serialised(config: Any, cache: Any) -> bytes:
    """What the build has measured, for the next one."""
    if cache is None:
        return b""
    used = config.get_timing_cache()
    content = used.serialize() if used is not None else None
    return bytes(content) if content is not None else b""
