"""The builder: a network becomes a plan, or None and lines in the log."""
import os
import signal
import threading
import time
import warnings

from nanoface_simulator import plan, settings
from nanoface_simulator.hold import hold
from nanoface_simulator.ledger import ledger

from . import _texts
from ._config import IBuilderConfig, IOptimizationProfile, config_of
from ._enums import BuilderFlag, DataType, TacticSource, expect, whole
from ._logging import logger_for, tell
from ._network import IConvolutionLayer, INetworkDefinition, empty_network
from ._objects import IHostMemory, Scoped

FAST_HALF = ((5, 3), (6, 0), (6, 2))
SLOW_WITHOUT_WORKSPACE = 3.0  # times the modelled duration


def initialise(logger):
    """CUDA, as Builder() and Runtime() do it. Raises what pybind11 raises where there is no device."""
    ledger.watch()
    if settings.fault("no_device"):
        tell(logger, "W", _texts.NO_MEMORY_FIGURE)
        tell(logger, "E", _texts.NO_DEVICE)
        raise TypeError("pybind11::init(): factory function returned nullptr")


class Builder(Scoped):
    """For one thread at a time."""

    __slots__ = ("_logger", "_busy", "_given", "_max_batch_size")

    def __init__(self, logger):
        self._given = logger
        self._logger = logger_for(self, logger, "createInferBuilder")
        hold("builder")
        initialise(self._logger)
        tell(self._logger, "I", _texts.INIT_CUDA)
        self._busy, self._max_batch_size = threading.Lock(), 1

    @property
    def logger(self):
        return self._given

    @property
    def max_batch_size(self):
        return self._max_batch_size

    @max_batch_size.setter
    def max_batch_size(self, size):
        self._max_batch_size = whole(size, "Builder.max_batch_size")

    @property
    def platform_has_fast_fp16(self):
        return settings.board().compute_capability in FAST_HALF or settings.board().compute_capability >= (7, 0)

    @property
    def platform_has_fast_int8(self):
        return settings.board().compute_capability >= (6, 1) and settings.board().compute_capability != (6, 2)

    @property
    def platform_has_tf32(self):
        return settings.board().compute_capability >= (8, 0)

    @property
    def num_DLA_cores(self):  # noqa: N802
        return 0

    @property
    def max_DLA_batch_size(self):  # noqa: N802
        return 0

    def create_network(self, flags=0):
        return empty_network(self, whole(flags, "Builder.create_network"))

    def create_builder_config(self):
        return config_of(self, self._logger)

    def create_optimization_profile(self):
        return IOptimizationProfile.make(_shapes={}, extra_memory_target=1.0)

    def reset(self):
        self._max_batch_size = 1

    def is_network_supported(self, network, config):
        return not _faults_of(network, config)

    def build_serialized_network(self, network, config):
        """IHostMemory with the plan, None on failure."""
        expect(network, INetworkDefinition, "Builder.build_serialized_network")
        expect(config, IBuilderConfig, "Builder.build_serialized_network")
        if not self._busy.acquire(False):
            ledger.violation("thread", "one Builder in two threads")
            return None
        try:
            content = self._build(network, config)
        finally:
            self._busy.release()
        return None if content is None else IHostMemory(content)

    def build_engine(self, network, config):
        from ._runtime import Runtime

        warnings.warn("Use build_serialized_network instead.", DeprecationWarning, stacklevel=2)
        content = self.build_serialized_network(network, config)
        return None if content is None else Runtime(self._given).deserialize_cuda_engine(content)

    def _build(self, network, config):
        names = network._content_names
        faults = _faults_of(network, config)
        for fault in faults:
            tell(self._logger, "E", fault)
        if faults:
            return None
        self._announce(network, config)
        key = "{}:{}".format(names[-1] if names else "", config._flags)
        known = config._cache is not None and key in config._cache._entries
        seconds = float(settings.text("BUILD_S", "0")) * (0.3 if known else 1.0)
        if settings.fault("build_kill", names):
            time.sleep(seconds / 2)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(3600.0 if settings.fault("build_hang", names) else seconds)
        if settings.fault("build_none", names):
            tell(self._logger, "E", _texts.NO_TACTIC.format(network._layers[0].name))
            tell(self._logger, "E", _texts.NO_ENGINE)
            return None
        if config._cache is not None and not config.get_flag(BuilderFlag.DISABLE_TIMING_CACHE):
            config._cache._entries.add(key)
        header, content = _compiled(network, config)
        tell(self._logger, "I", _texts.TENSORS.format(network.num_inputs, network.num_outputs))
        tell(self._logger, "I", _texts.PERSISTENT.format(header["device_memory"]))
        ledger.count("builds")
        return plan.pack(header, content)

    def _announce(self, network, config):
        if config._workspace < 1 << 20:
            tell(self._logger, "W", _texts.LITTLE_WORKSPACE)
        if config._tactics >> TacticSource.CUDNN.value & 1:
            tell(self._logger, "V", _texts.CUDNN)
        if config.get_flag(BuilderFlag.STRICT_TYPES):
            tell(self._logger, "W", _texts.STRICT_TYPES)
        if config.get_flag(BuilderFlag.INT8):
            tell(self._logger, "W", _texts.SLOW_INT8)
        if config._cache is None:
            tell(self._logger, "V", _texts.LOCAL_CACHE)


def _constrained(config):
    """obey, prefer or "": what the flags say of the precision of layers."""
    if config.get_flag(BuilderFlag.OBEY_PRECISION_CONSTRAINTS):
        return "obey"
    prefer = config.get_flag(BuilderFlag.PREFER_PRECISION_CONSTRAINTS) or config.get_flag(BuilderFlag.STRICT_TYPES)
    return "prefer" if prefer else ""


def _faults_of(network, config):
    """Why it cannot be built."""
    faults = []
    if not network._outputs:
        faults.append(_texts.NO_OUTPUT)
    dynamic = [t.name for t in network._inputs if any(d < 0 for d in t.shape)]
    shaped = set(config._profiles[0]._shapes) if config._profiles else set()
    if dynamic and not config._profiles:
        faults.append(_texts.NO_PROFILE)
    elif set(dynamic) - shaped:
        faults.append(_texts.NOT_IN_PROFILE.format(sorted(set(dynamic) - shaped)[0]))
    for layer in network._layers:
        if layer._conv is not None and layer._conv["changed"]:
            layer.__class__ = IConvolutionLayer
            if layer.written() is None:
                faults.append(_texts.KERNEL.format(layer.name))
        wanted = [layer._precision] + list(layer._types.values())
        if DataType.HALF in wanted and not config.get_flag(BuilderFlag.FP16):
            faults.append(_texts.HALF_WITHOUT_FLAG)
        if _constrained(config) == "obey" and _disobeys(layer):
            faults.append(_texts.NOT_WHOLE.format(layer.name))
    if config.get_flag(BuilderFlag.INT8) and config.int8_calibrator is None:
        faults.append(_texts.NO_CALIBRATION)
    return faults


def _disobeys(layer):
    """Whether a layer of whole numbers was told to have a precision, or outputs, of another kind."""
    whole_numbers = [i for i, tensor in enumerate(layer._outputs) if tensor.dtype == DataType.INT32]
    told = [layer._types.get(i) for i in whole_numbers] + [layer._precision] * bool(whole_numbers)
    return any(kind not in (None, DataType.INT32) for kind in told)


def _compiled(network, config):
    """(header of the plan, ONNX bytes that compute what the engine computes)."""
    model, fp16, plain, layers = _rewritten(network), set(), set(), []
    for layer in network._layers:
        half = config.get_flag(BuilderFlag.FP16)
        if half and _constrained(config):
            half = layer._precision != DataType.FLOAT
        if half and layer._node is not None and layer._types.get(0) == DataType.FLOAT and _constrained(config):
            plain.add(layer._node)
        half = half and all(t.dtype == DataType.FLOAT for t in layer._outputs)
        if half and layer._node is not None:
            fp16.add(layer._node)
        layers.append([layer.name, layer._kind.name, "FP16" if half else "FP32"])
    network_bytes = _content(model, network._outputs, fp16, plain)
    tensors = list(network._tensors.values())
    width = 2 if fp16 else 4
    activations = sorted((_elements(t.shape) * width for t in tensors), reverse=True)
    bindings = [[t.name, list(t.shape), t.dtype.name, True] for t in network._inputs]
    bindings += [[n, list(network._tensors[n].shape), network._tensors[n].dtype.name, False] for n in network._outputs]
    header = {
        "name": network.name, "names": network._content_names, "bindings": bindings, "layers": layers,
        "device_memory": sum(activations[:3]), "weights": sum(
            _elements(w.dims) * width for w in model.graph.initializer), "tactics": config._tactics,
        "verbosity": config._verbosity.value, "slow": 1.0 if config._workspace else SLOW_WITHOUT_WORKSPACE,
        "profiles": [{name: [list(s) for s in shapes] for name, shapes in p._shapes.items()} for p in config._profiles],
        "plugins": ["InstanceNormalization_TRT"] if any(
            n.op_type == "InstanceNormalization" for n in model.graph.node) else [],
    }
    return header, network_bytes


def _rewritten(network):
    """The model with the groups and kernels of convolutions that were set."""
    changed = [layer for layer in network._layers if layer._conv is not None and layer._conv["changed"]]
    if not changed:
        return network._model
    from onnx import helper, numpy_helper

    model = type(network._model)()
    model.CopyFrom(network._model)
    for layer in changed:
        node = model.graph.node[layer._node]
        kept = [a for a in node.attribute if a.name != "group"]
        del node.attribute[:]
        node.attribute.extend(kept + [helper.make_attribute("group", layer.num_groups)])
        node.input[1] = layer.name + " kernel"
        model.graph.initializer.append(numpy_helper.from_array(layer.written(), node.input[1]))
    return model


def _content(model, outputs, fp16, plain):
    """The ONNX with the outputs that are marked, rounding where a layer is in FP16."""
    from nanoface_simulator.half import rounded

    made = rounded(model, fp16, plain) if fp16 else type(model)()
    if not fp16:
        made.CopyFrom(model)
    infos = {i.name: i for i in list(made.graph.output) + list(made.graph.value_info)}
    wanted = [infos[name] for name in outputs]
    del made.graph.output[:]
    made.graph.output.extend(wanted)
    del made.graph.value_info[:]
    return made.SerializeToString()


def _elements(shape):
    number = 1
    for side in shape:
        number *= max(int(side), 1)
    return number


