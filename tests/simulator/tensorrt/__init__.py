"""A SIMULATOR of the Python bindings of TensorRT 8.2.1, for tests without a GPU. See nanoface_simulator for what it keeps.

Names that 8.2.1 does not have are missing here too; a few that it has and nanoface does not use are missing as well.
"""
from nanoface_simulator import settings as _settings

if _settings.fault("tensorrt_missing"):
    raise ImportError("libnvinfer.so.8: cannot open shared object file: No such file or directory")

from ._builder import Builder  # noqa: F401
from ._config import IBuilderConfig, IOptimizationProfile, ITimingCache  # noqa: F401
from ._enums import (  # noqa: F401
    BuilderFlag,
    DataType,
    DeviceType,
    EngineCapability,
    ErrorCode,
    LayerInformationFormat,
    LayerType,
    NetworkDefinitionCreationFlag,
    ProfilingVerbosity,
    QuantizationFlag,
    TacticSource,
    TensorFormat,
    TensorLocation,
)
from ._execution import IExecutionContext, IProfiler, Profiler  # noqa: F401
from ._logging import ILogger, Logger  # noqa: F401
from ._network import IConvolutionLayer, ILayer, INetworkDefinition, ITensor  # noqa: F401
from ._objects import IHostMemory  # noqa: F401
from ._parser import OnnxParser, ParserError  # noqa: F401
from ._plugins import get_plugin_registry, init_libnvinfer_plugins  # noqa: F401
from ._runtime import EngineInspector, ICudaEngine, Runtime  # noqa: F401

__version__ = _settings.board().tensorrt

float32, float16, int8, int32, bool = (
    DataType.FLOAT, DataType.HALF, DataType.INT8, DataType.INT32, DataType.BOOL)


def volume(iterable):
    """The product of the sides; 1 of none."""
    number = 1
    for side in iterable:
        number *= side
    return number if iterable else 0


def nptype(trt_type):
    """The numpy type. It needs numpy.bool, which numpy 1.24 to 1.26 do not have."""
    import numpy as np

    mapping = {float32: np.float32, float16: np.float16, int8: np.int8, int32: np.int32, bool: np.bool}
    if trt_type in mapping:
        return mapping[trt_type]
    raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype.")
