"""The runtime: a plan becomes an engine, an engine an execution context."""
import json

from nanoface_simulator import plan, settings
from nanoface_simulator.contexts import driver, threads
from nanoface_simulator.hold import hold, released
from nanoface_simulator.ledger import ledger
from nanoface_simulator.memory import space
from nanoface_simulator.network import Network

from . import _texts
from ._builder import initialise
from ._enums import (
    ITEM_BYTES,
    DataType,
    EngineCapability,
    LayerInformationFormat,
    ProfilingVerbosity,
    TensorFormat,
    TensorLocation,
    expect,
)
from ._execution import IExecutionContext, context_of
from ._logging import logger_for, tell
from ._objects import Bound, IHostMemory, Scoped
from ._plugins import plugins

WHY = {plan.NO_MAGIC: _texts.NO_MAGIC, plan.WRONG_SIZE: _texts.WRONG_SIZE, plan.ALTERED: _texts.ALTERED,
       plan.OTHER_VERSION: _texts.OTHER_VERSION, plan.OTHER_BUILD: _texts.OTHER_BUILD, plan.OTHER_GPU: _texts.OTHER_GPU}


class Runtime(Scoped):
    """Deserializes plans; may be used by several threads."""

    __slots__ = ("_logger", "_given", "DLA_core", "error_recorder", "_allocator")

    def __init__(self, logger):
        self._given = logger
        self._logger = logger_for(self, logger, "createInferRuntime")
        hold("runtime")
        initialise(self._logger)
        self.DLA_core, self.error_recorder, self._allocator = 0, None, None

    @property
    def logger(self):
        return self._given

    @property
    def num_DLA_cores(self):  # noqa: N802
        return 0

    def deserialize_cuda_engine(self, serialized_engine):
        """An ICudaEngine, None on failure."""
        content = bytes(memoryview(serialized_engine))
        needs_context("deserialize_cuda_engine")
        released("LOAD_S")
        header, network, why = plan.unpack(content)
        if header is None:
            return self._refuse(WHY[why[0]].format(*why[1:]))
        if header["gpu"] != settings.board().gpu:
            tell(self._logger, "W", _texts.OTHER_MODEL_OF_GPU)
        if header["plugins"] and not plugins.registered:
            return self._refuse(_texts.NO_PLUGIN)
        if settings.fault("deserialize_none", header["names"]):
            return self._refuse(_texts.ASKED_FOR)
        if not space.take(header["weights"]):
            return self._refuse(_texts.OUT_OF_MEMORY)
        made = ICudaEngine.make(_logger=self._logger, _runtime=self, _header=header, _content=content,
                                _bindings=header["bindings"], _network=Network(header, network), size=header["weights"],
                                error_recorder=None, _freed=False)
        ledger.born("engine", made)
        tell(self._logger, "I", _texts.ALLOCATED.format(made.size >> 20, space.used >> 20))
        return made

    def _refuse(self, text):
        tell(self._logger, "E", text)
        tell(self._logger, "E", _texts.NOT_DESERIALIZED)


def needs_context(call):
    """TensorRT would take the primary context where none is current; who knows what it does beside it does not rely on it.

    It allocates, and copies weights on the default stream, which breaks what any thread captures.
    """
    for capture in list(driver.captures):
        capture.spoil(call + " while a stream is captured")
    if not threads.stack:
        ledger.violation("context", call + " in a thread without a current context")


def freed(kind, thing):
    """The books for an engine or an execution context that goes."""
    if ledger.closing or not ledger.gone(kind, thing):
        return
    if not driver.retained:
        ledger.violation("order", "an {} was destroyed after the CUDA context".format(kind))
    elif not threads.stack:
        ledger.violation("order", "an {} was destroyed in a thread without a current context".format(kind))


class ICudaEngine(Scoped):
    """An engine. Bindings are named or numbered: inputs first, then outputs."""

    __slots__ = ("_logger", "_runtime", "_header", "_content", "_bindings", "_network", "size", "error_recorder", "_freed")

    def __del__(self):
        try:
            if not self._freed:
                self._freed = True
                freed("engine", self)
                space.give(self.size)
        except AttributeError:
            return

    @property
    def num_bindings(self):
        return len(self._bindings)

    def __len__(self):
        return len(self._bindings)

    def __getitem__(self, key):
        if isinstance(key, str):
            return self.get_binding_index(key)
        if not isinstance(key, int):
            raise TypeError("__getitem__(): incompatible function arguments. Invoked with: {!r}".format(key))
        return self._bindings[key][0]

    def get_binding_name(self, index):
        return self._bindings[index][0] if 0 <= index < len(self._bindings) else None

    def get_binding_index(self, name):
        expect(name, str, "get_binding_index")
        return next((number for number, binding in enumerate(self._bindings) if binding[0] == name), -1)

    def _binding(self, key):
        index = self.get_binding_index(key) if isinstance(key, str) else key
        if not isinstance(index, int):
            raise TypeError("incompatible function arguments. Invoked with: {!r}".format(key))
        return self._bindings[index] if 0 <= index < len(self._bindings) else None

    def binding_is_input(self, index):
        binding = self._binding(index)
        return binding is not None and bool(binding[3])

    def get_binding_shape(self, index):
        binding = self._binding(index)
        return tuple(binding[1]) if binding is not None else (-1,)

    def get_binding_dtype(self, index):
        binding = self._binding(index)
        return getattr(DataType, binding[2]) if binding is not None else DataType.FLOAT

    def get_binding_bytes_per_component(self, index):
        return ITEM_BYTES[self._binding(index)[2]]

    def get_binding_components_per_element(self, index):
        return 1

    def get_binding_format(self, index):
        return TensorFormat.LINEAR

    def get_binding_format_desc(self, index):
        names = {"FLOAT": "FP32", "HALF": "FP16"}
        kind = self._binding(index)[2]
        return "Row major linear {} format (kLINEAR)".format(names.get(kind, kind))

    def get_binding_vectorized_dim(self, index):
        return -1

    def is_shape_binding(self, binding):
        return False

    def is_execution_binding(self, binding):
        return True

    def get_location(self, index):
        return TensorLocation.DEVICE

    def get_profile_shape(self, profile_index, binding):
        found = self._binding(binding)
        shapes = self._header["profiles"][profile_index] if self._header["profiles"] else {}
        return [tuple(s) for s in shapes.get(found[0], [found[1]] * 3)]

    @property
    def has_implicit_batch_dimension(self):
        return False

    @property
    def max_batch_size(self):
        return 1

    @property
    def num_layers(self):
        return len([entry for entry in self._header["layers"] if entry[1] != "CONSTANT"])

    @property
    def device_memory_size(self):
        return self._header["device_memory"]

    @property
    def num_optimization_profiles(self):
        return max(len(self._header["profiles"]), 1)

    @property
    def name(self):
        return self._header["name"]

    @property
    def refittable(self):
        return False

    @property
    def tactic_sources(self):
        return self._header["tactics"]

    @property
    def profiling_verbosity(self):
        return ProfilingVerbosity(self._header["verbosity"])

    @property
    def engine_capability(self):
        return EngineCapability.STANDARD

    def serialize(self):
        hold("serialize")
        return IHostMemory(self._content)

    def create_execution_context(self):
        """An IExecutionContext, None where there is no memory for it."""
        needs_context("create_execution_context")
        hold("context")
        if settings.fault("context_none", self._header["names"]) or not space.take(self.device_memory_size):
            tell(self._logger, "E", _texts.OUT_OF_MEMORY)
            tell(self._logger, "W", _texts.TOO_LARGE.format(self.device_memory_size))
            tell(self._logger, "E", _texts.NO_CONTEXT_MEMORY)
            return None
        return context_of(self, self._logger, self.device_memory_size)

    def create_execution_context_without_device_memory(self):
        hold("context")
        return context_of(self, self._logger, 0)

    def create_engine_inspector(self):
        return EngineInspector.make(_engine=self, execution_context=None, error_recorder=None)


class EngineInspector(Bound):
    """What layers an engine has; detailed only where it was built so."""

    __slots__ = ("_engine", "execution_context", "error_recorder")

    def _layers(self):
        detailed = self._engine.profiling_verbosity == ProfilingVerbosity.DETAILED
        layers = [entry for entry in self._engine._header["layers"] if entry[1] != "CONSTANT"]
        return [{"Name": n, "LayerType": k, "Precision": p} if detailed else n for n, k, p in layers]

    def get_layer_information(self, layer_index, format):
        expect(format, LayerInformationFormat, "get_layer_information")
        return json.dumps(self._layers()[layer_index])

    def get_engine_information(self, format):
        expect(format, LayerInformationFormat, "get_engine_information")
        return json.dumps({"Layers": self._layers(), "Bindings": [b[0] for b in self._engine._bindings]})


__all__ = ["EngineInspector", "ICudaEngine", "IExecutionContext", "Runtime"]
