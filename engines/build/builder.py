"""Every call of TensorRT's builder and of its ONNX parser: from the file of a network to the bytes of a plan.

Written after the Python bindings of 8.2.1. Nothing there raises: what fails answers False or None, and the reason is in
the log. The names that 8.0 lacks (the precision constraints) are asked for; 10 is not built for.
"""
from collections import deque
from typing import Any, Callable, Deque, FrozenSet, List, NamedTuple, Optional, Tuple

from edge.core.errors import EngineError, ModelError
from edge.host import commands
from edge.runtimes.gpu.plan import log_of
from edge.store.models import cure
from engines.build.target import pinned

OBEY, PREFER = "obey", "prefer"
KEPT_WORDS = 40  # of the library's own, the last ones
TACTICS = {"cublas": "CUBLAS", "cublas_lt": "CUBLAS_LT", "cudnn": "CUDNN"}

NO_IMPORTER = "No importer registered for op"  # said as information, before the error

Say = Callable[[str], None]
Interface = List[List[Any]]  # [name, shape] of each


class Order(NamedTuple):
    """What is to be built, and how."""

    name: str
    file: str  # the ONNX
    fp16: bool
    workspace_mb: int
    tactics: Tuple[str, ...]  # keys of TACTICS
    fp32_layers: Tuple[str, ...]  # ONNX nodes that stay in FP32; of no account without fp16
    min_timing_iterations: int
    avg_timing_iterations: int
    nodes: FrozenSet[str] = frozenset()  # names of all ONNX nodes, which tell "conv" + "_1" from "conv_1"


class Built(NamedTuple):
    plan: bytes
    timing_cache: bytes  # b"" where the library gave none
    constraints: str  # OBEY, PREFER, or "" where no layer is pinned
    inputs: Interface
    outputs: Interface


class Refused(EngineError):
    """TensorRT answered None or False. `constrained`: layers were pinned under OBEY, which may be why."""

    def __init__(self, text: str, constrained: bool = False) -> None:
        super().__init__(text)
        self.constrained = constrained


class LoggedMessages:
    """What the library says, errors and warnings. Shared with its logger, which any of its threads may call."""

    def __init__(self, heard: Callable[[str, str], None]) -> None:
        self._heard = heard
        self._lines: Deque[Tuple[str, str]] = deque(maxlen=KEPT_WORDS)

    def add(self, severity: str, text: str) -> None:
        line = " ".join(text.split())
        self._lines.append((severity, line))
        self._heard(severity, line)

    def reason(self) -> str:
        """The last two errors: the last one says that it failed, the one before it mostly why."""
        errors = [text for severity, text in self._lines if severity == "E"]
        return "; ".join(errors[-2:]) or "it gave no reason"

    def unknown_operator(self) -> str:
        """What the parser said when it met an operator that it does not have; "" where it met none."""
        return next((text for _, text in self._lines if NO_IMPORTER in text), "")

    def clear(self) -> None:
        self._lines.clear()


def listen(trt: Any, words: LoggedMessages) -> Any:
    """The process's one logger, which from now on tells `words`: TensorRT keeps a single pointer to a logger."""
    levels = trt.Logger
    marks = {int(levels.INTERNAL_ERROR): "E", int(levels.ERROR): "E", int(levels.WARNING): "W"}

    def heard(severity: Any, msg: str) -> None:
        mark = marks.get(int(severity), "I" if NO_IMPORTER in msg else "")
        if mark:
            words.add(mark, msg)

    logger = log_of(trt)
    logger.listener = heard  # whatever it raises ends there
    return logger


def memory_cure() -> str:
    return "stop the service and the desktop, add swap, or try `{}`".format(commands.command("build --workspace 128"))


def build(trt: Any, logger: Any, words: LoggedMessages, order: Order, timing_cache: bytes, say: Say) -> Built:
    """A serialised plan. Pinned layers are tried under OBEY, then under PREFER.

    Takes minutes on a Nano and releases the interpreter lock for nearly all of them. Raises ModelError for a network
    that TensorRT cannot read, EngineError for one that it cannot build.
    """
    constraints = OBEY if order.fp16 and order.fp32_layers else ""
    try:
        return _attempt(trt, logger, words, order, timing_cache, constraints, say)
    except Refused as e:
        if not e.constrained:
            raise
        say("{}: TensorRT cannot keep all {} layers in FP32 ({}); it is now asked to prefer it".format(
            order.name, len(order.fp32_layers), e))
    return _attempt(trt, logger, words, order, timing_cache, PREFER, say)


def _attempt(trt: Any, logger: Any, words: LoggedMessages, order: Order, timing_cache: bytes, constraints: str,
             say: Say) -> Built:
    words.clear()
    trt.init_libnvinfer_plugins(logger, "")
    builder = _made(_builder(trt, logger), order, words, "builder")
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    network = _made(builder.create_network(flags), order, words, "network")
    parser = trt.OnnxParser(network, logger)  # the network's weights lie in it: it lives until the plan is made
    _parse(trt, parser, order, words)
    inputs, outputs = _interface(network, order)
    config = _made(builder.create_builder_config(), order, words, "configuration")
    _configure(trt, config, order)
    if constraints:
        constraints = _constrain(trt, config, constraints, say)
        _pin(trt, network, order, say)
    cache = _use_timing_cache(config, timing_cache, say)
    words.clear()
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise Refused("TensorRT could not build {} ({}): {}".format(
            order.name, words.reason(), memory_cure()), constraints == OBEY)
    return Built(bytes(plan), _serialised(config, cache), constraints, inputs, outputs)


def _builder(trt: Any, logger: Any) -> Optional[Any]:
    """None where CUDA does not start: the bindings then say that their factory gave nothing."""
    try:
        return trt.Builder(logger)
    except TypeError:
        return None


def _made(thing: Any, order: Order, words: LoggedMessages, what: str) -> Any:
    if thing is None:
        raise EngineError("TensorRT made no {} for {} ({}): {}".format(
            what, order.name, words.reason(), memory_cure()))
    return thing


def _parse(trt: Any, parser: Any, order: Order, words: LoggedMessages) -> None:
    """Raises ModelError with the parser's own words."""
    try:
        with open(order.file, "rb") as f:
            content = f.read()
    except OSError as e:  # the parser would answer False and give no error at all
        raise ModelError("{} cannot be read ({}): {}".format(
            order.file, e.strerror or e, cure(order.name))) from e
    if parser.parse(content):
        return
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    codes = [str(error.code()).split(".")[-1] for error in errors]
    told = "; ".join("{}{}: {}".format("node {}: ".format(error.node()) if error.node() >= 0 else "", code,
                                       " ".join(str(error.desc()).split())) for error, code in zip(errors, codes))
    unknown = words.unknown_operator()
    if unknown or any(code.startswith("UNSUPPORTED") for code in codes):
        raise ModelError("TensorRT {} does not know all operators of {} ({}): take another network of its role with "
                         "--networks, `{}` says which are clean".format(
                             trt.__version__, order.name, "; ".join(filter(None, (unknown, told))),
                             commands.command("models lint")))
    raise ModelError("TensorRT cannot read {} ({}): {}".format(
        order.file, told or words.reason(), cure("--force", order.name)))


def _interface(network: Any, order: Order) -> Tuple[Interface, Interface]:
    """Names and shapes. Raises ModelError unless all is static: there is no optimization profile."""
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    outputs = [network.get_output(i) for i in range(network.num_outputs)]
    if not inputs or not outputs:
        raise ModelError("{} has {} inputs and {} outputs: {}".format(
            order.file, len(inputs), len(outputs), cure("--force", order.name)))
    shapes = [[[t.name, [int(d) for d in t.shape]] for t in tensors] for tensors in (inputs, outputs)]
    for name, shape in shapes[0] + shapes[1]:
        if not shape or min(shape) < 1:
            raise ModelError("{} of {} has no fixed shape ({}): {}".format(
                name, order.file, ", ".join(str(d) for d in shape), cure("--force", order.name)))
    return shapes[0], shapes[1]


def _configure(trt: Any, config: Any, order: Order) -> None:
    config.max_workspace_size = order.workspace_mb << 20  # 0 is what 8.2 takes by itself
    config.min_timing_iterations = order.min_timing_iterations
    config.avg_timing_iterations = order.avg_timing_iterations
    if order.fp16:
        config.set_flag(trt.BuilderFlag.FP16)
    mask = 0
    for tactic in order.tactics:
        mask |= 1 << int(getattr(trt.TacticSource, TACTICS[tactic]))
    if config.set_tactic_sources(mask) is False:
        raise EngineError("TensorRT takes no tactics of {} here: choose others with --tactics".format(
            " and ".join(order.tactics) or "nothing but itself"))


def _constrain(trt: Any, config: Any, wanted: str, say: Say) -> str:
    """Ask for the pinned layers to be kept; what was asked. 8.0 has only STRICT_TYPES, which is much like PREFER."""
    flags = trt.BuilderFlag
    for kind, name in ((OBEY, "OBEY_PRECISION_CONSTRAINTS"), (PREFER, "PREFER_PRECISION_CONSTRAINTS"),
                       (PREFER, "STRICT_TYPES")):
        if (kind == wanted or wanted == OBEY) and hasattr(flags, name):
            config.set_flag(getattr(flags, name))
            return kind
    say("this TensorRT ({}) cannot be told to keep layers in FP32: it may round them".format(trt.__version__))
    return ""


def _pin(trt: Any, network: Any, order: Order, say: Say) -> None:
    """Mark the layers of the listed nodes. Those that calculate with whole numbers (shapes) must stay as they are."""
    found = set()
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        pin = pinned(layer.name, order.fp32_layers, order.nodes)
        outputs = [layer.get_output(k) for k in range(layer.num_outputs)] if pin else []
        if outputs and all(out.dtype in (trt.float32, trt.float16) and not out.is_shape_tensor for out in outputs):
            layer.precision = trt.float32
            for k in range(len(outputs)):
                layer.set_output_type(k, trt.float32)
            found.add(pin)
    lost = sorted(set(order.fp32_layers) - found)
    if lost:
        say("{}: {} of the {} layers to keep in FP32 are not in the network: {}".format(
            order.name, len(lost), len(order.fp32_layers), ", ".join(lost[:5])))


def _use_timing_cache(config: Any, content: bytes, say: Say) -> Any:
    """The cache in use, or None; one of another board or version gives way to a fresh one."""
    cache = config.create_timing_cache(content)
    if cache is not None and config.set_timing_cache(cache, False):
        return cache
    if content:
        say("the timing cache is of another board or TensorRT: a fresh one is begun")
    cache = config.create_timing_cache(b"")
    return cache if cache is not None and config.set_timing_cache(cache, False) else None


def _serialised(config: Any, cache: Any) -> bytes:
    """What the build has measured, for the next one."""
    if cache is None:
        return b""
    used = config.get_timing_cache()
    content = used.serialize() if used is not None else None
    return bytes(content) if content is not None else b""
