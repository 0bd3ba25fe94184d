"""The enumerations of TensorRT 8.2.1, as pybind11 makes them: no members of Python's enum, and no int."""


class _Enumeration:
    __slots__ = ("name", "value")

    def __new__(cls, value):
        for member in cls.__members__.values():
            if member.value == int(value):
                return member
        made = object.__new__(cls)
        object.__setattr__(made, "name", "???")
        object.__setattr__(made, "value", int(value))
        return made

    def __setattr__(self, name, value):
        raise AttributeError("can't set attribute")

    def __int__(self):
        return self.value

    __index__ = __int__

    def __hash__(self):
        return self.value

    def __repr__(self):
        return "<{}.{}: {}>".format(type(self).__name__, self.name, self.value)

    def __str__(self):
        return "{}.{}".format(type(self).__name__, self.name)

    def __eq__(self, other):
        return type(other) is type(self) and other.value == self.value

    def __ne__(self, other):
        return not self == other

    def __reduce__(self):
        return type(self), (self.value,)


class _Arithmetic(_Enumeration):
    """Of pybind11's arithmetic kind: it is compared with whole numbers, and masked."""

    __slots__ = ()
    __hash__ = _Enumeration.__hash__

    def __eq__(self, other):
        return isinstance(other, (int, type(self))) and int(other) == self.value

    def __lt__(self, other):
        return self.value < int(other)

    def __le__(self, other):
        return self.value <= int(other)

    def __gt__(self, other):
        return self.value > int(other)

    def __ge__(self, other):
        return self.value >= int(other)

    def __and__(self, other):
        return self.value & int(other)

    def __or__(self, other):
        return self.value | int(other)

    def __xor__(self, other):
        return self.value ^ int(other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self):
        return ~self.value


def _enumeration(name, members, kind=_Arithmetic, aliases=()):
    """members: words, numbered from 0; aliases: pairs of a name and the member that it is."""
    made = type(name, (kind,), {"__slots__": (), "__module__": "tensorrt.tensorrt", "__members__": {}})
    for number, word in enumerate(members.split()):
        member = object.__new__(made)
        object.__setattr__(member, "name", word)
        object.__setattr__(member, "value", number)
        made.__members__[word] = member
        setattr(made, word, member)
    for alias, word in aliases:
        made.__members__[alias] = made.__members__[word]
        setattr(made, alias, made.__members__[word])
    return made


Severity = _enumeration("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")
DataType = _enumeration("DataType", "FLOAT HALF INT8 INT32 BOOL", _Enumeration)
TensorFormat = _enumeration("TensorFormat", "LINEAR CHW2 HWC8 CHW4 CHW16 CHW32", _Enumeration)
TensorLocation = _enumeration("TensorLocation", "DEVICE HOST", _Enumeration)
BuilderFlag = _enumeration("BuilderFlag", """FP16 INT8 DEBUG GPU_FALLBACK STRICT_TYPES REFIT DISABLE_TIMING_CACHE TF32
    SPARSE_WEIGHTS SAFETY_SCOPE OBEY_PRECISION_CONSTRAINTS PREFER_PRECISION_CONSTRAINTS DIRECT_IO
    REJECT_EMPTY_ALGORITHMS""")
NetworkDefinitionCreationFlag = _enumeration("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH EXPLICIT_PRECISION")
TacticSource = _enumeration("TacticSource", "CUBLAS CUBLAS_LT CUDNN")
DeviceType = _enumeration("DeviceType", "GPU DLA", _Enumeration)
EngineCapability = _enumeration("EngineCapability", "STANDARD SAFETY DLA_STANDALONE", _Enumeration, (
    ("DEFAULT", "STANDARD"), ("SAFE_GPU", "SAFETY"), ("SAFE_DLA", "DLA_STANDALONE")))
ProfilingVerbosity = _enumeration("ProfilingVerbosity", "LAYER_NAMES_ONLY NONE DETAILED", _Enumeration, (
    ("DEFAULT", "LAYER_NAMES_ONLY"), ("VERBOSE", "DETAILED")))
LayerInformationFormat = _enumeration("LayerInformationFormat", "ONELINE JSON", _Enumeration)
QuantizationFlag = _enumeration("QuantizationFlag", "CALIBRATE_BEFORE_FUSION")
ErrorCode = _enumeration("ErrorCode", """SUCCESS INTERNAL_ERROR MEM_ALLOC_FAILED MODEL_DESERIALIZE_FAILED INVALID_VALUE
    INVALID_GRAPH INVALID_NODE UNSUPPORTED_GRAPH UNSUPPORTED_NODE""", _Enumeration)  # of the parser
LayerType = _enumeration("LayerType", """CONVOLUTION FULLY_CONNECTED ACTIVATION POOLING LRN SCALE SOFTMAX DECONVOLUTION
    CONCATENATION ELEMENTWISE PLUGIN UNARY PADDING SHUFFLE REDUCE TOPK GATHER MATRIX_MULTIPLY RAGGED_SOFTMAX CONSTANT RNN_V2
    IDENTITY PLUGIN_V2 SLICE SHAPE PARAMETRIC_RELU RESIZE TRIP_LIMIT RECURRENCE ITERATOR LOOP_OUTPUT SELECT FILL QUANTIZE
    DEQUANTIZE CONDITION CONDITIONAL_INPUT CONDITIONAL_OUTPUT SCATTER EINSUM ASSERTION""", _Enumeration)

ITEM_BYTES = {"FLOAT": 4, "HALF": 2, "INT8": 1, "INT32": 4, "BOOL": 1}
NUMPY_NAMES = {"FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "BOOL": "bool"}


def expect(value, kind, what):
    """As pybind11 refuses an argument of another type."""
    if not isinstance(value, kind):
        raise TypeError("{}: incompatible function arguments. Invoked with: {!r}".format(what, value))
    return value


def whole(value, what):
    """A non-negative whole number, as pybind11 converts one: no float, no None; an object with __int__ is one."""
    if isinstance(value, (float, str, bytes)) or value is None or not hasattr(value, "__int__") or int(value) < 0:
        raise TypeError("{}: incompatible function arguments. Invoked with: {!r}".format(what, value))
    return int(value)
