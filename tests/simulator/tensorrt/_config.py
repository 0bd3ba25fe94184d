"""The builder's configuration, optimization profiles and timing caches."""
import json

from nanoface_simulator import settings

from . import _texts
from ._enums import (
    BuilderFlag,
    DeviceType,
    EngineCapability,
    ProfilingVerbosity,
    TacticSource,
    expect,
    whole,
)
from ._logging import tell
from ._objects import Bound, IHostMemory, Scoped

CACHE_MAGIC = b"SIMTIMINGCACHE\x01"
DEFAULT_TACTICS = 1 << TacticSource.CUBLAS.value | 1 << TacticSource.CUDNN.value


class ITimingCache(Scoped):
    """Measured times of tactics, of one version of TensorRT and one GPU."""

    __slots__ = ("_board", "_entries")

    def serialize(self):
        return IHostMemory(CACHE_MAGIC + json.dumps([self._board, sorted(self._entries)]).encode("utf-8"))

    def combine(self, input_cache, ignore_mismatch):
        expect(input_cache, ITimingCache, "ITimingCache.combine")
        if input_cache._board != self._board and not ignore_mismatch:
            return False
        self._entries |= input_cache._entries
        return True

    def reset(self):
        self._entries.clear()
        return True


def _board():
    board = settings.board()
    return [board.tensorrt, board.gpu, list(board.compute_capability)]


class IOptimizationProfile(Bound):
    """Shapes of inputs that are not fixed: the smallest, the usual, the largest."""

    __slots__ = ("_shapes", "extra_memory_target")

    def set_shape(self, input, min, opt, max):
        if not len(min) == len(opt) == len(max) or any(a > b or b > c for a, b, c in zip(min, opt, max)):
            raise RuntimeError("Shape provided for max is inconsistent with other shapes.")
        self._shapes[input] = [tuple(min), tuple(opt), tuple(max)]

    def get_shape(self, input):
        return list(self._shapes.get(input, []))

    def __bool__(self):
        return bool(self._shapes)


class IBuilderConfig(Scoped):
    """How to build. The workspace is 0 bytes until it is set."""

    __slots__ = ("_logger", "_builder", "_flags", "_workspace", "_tactics", "_cache", "_profiles", "_min_timing",
                 "_avg_timing", "_verbosity", "_stream", "_capability", "_device", "algorithm_selector", "int8_calibrator",
                 "quantization_flags")

    def _number(name, what):  # noqa: N805 - makes a property of the class
        def read(self):
            return getattr(self, name)

        def write(self, value):
            setattr(self, name, whole(value, "IBuilderConfig." + what))
        return property(read, write)

    def _kind(name, what, kind):  # noqa: N805 - makes a property of the class
        def read(self):
            return getattr(self, name)

        def write(self, value):
            setattr(self, name, expect(value, kind, "IBuilderConfig." + what))
        return property(read, write)

    max_workspace_size = _number("_workspace", "max_workspace_size")
    flags = _number("_flags", "flags")
    min_timing_iterations = _number("_min_timing", "min_timing_iterations")
    avg_timing_iterations = _number("_avg_timing", "avg_timing_iterations")
    profile_stream = _number("_stream", "profile_stream")
    profiling_verbosity = _kind("_verbosity", "profiling_verbosity", ProfilingVerbosity)
    engine_capability = _kind("_capability", "engine_capability", EngineCapability)
    default_device_type = _kind("_device", "default_device_type", DeviceType)
    del _number, _kind

    def reset(self):
        self._flags = 1 << BuilderFlag.TF32.value
        self._workspace, self._tactics, self._cache, self._profiles = 0, DEFAULT_TACTICS, None, []
        self._min_timing, self._avg_timing, self._stream = 1, 1, 0
        self._verbosity, self._capability = ProfilingVerbosity.LAYER_NAMES_ONLY, EngineCapability.STANDARD
        self._device, self.algorithm_selector, self.int8_calibrator = DeviceType.GPU, None, None
        self.quantization_flags = 0

    def set_flag(self, flag):
        self._flags |= 1 << expect(flag, BuilderFlag, "IBuilderConfig.set_flag").value

    def clear_flag(self, flag):
        self._flags &= ~(1 << expect(flag, BuilderFlag, "IBuilderConfig.clear_flag").value)

    def get_flag(self, flag):
        return bool(self._flags >> expect(flag, BuilderFlag, "IBuilderConfig.get_flag").value & 1)

    def set_tactic_sources(self, tactic_sources):
        mask = whole(tactic_sources, "IBuilderConfig.set_tactic_sources")
        if mask & 1 << TacticSource.CUBLAS_LT.value:
            tell(self._logger, "E", _texts.NO_CUBLAS_LT)
            return False
        self._tactics = mask
        return True

    def get_tactic_sources(self):
        return self._tactics

    def create_timing_cache(self, serialized_timing_cache):
        content = bytes(memoryview(serialized_timing_cache))
        if not content:
            return ITimingCache.make(_board=_board(), _entries=set())
        try:
            if not content.startswith(CACHE_MAGIC):
                raise ValueError("no timing cache")
            board, entries = json.loads(content[len(CACHE_MAGIC):].decode("utf-8"))
        except ValueError:
            tell(self._logger, "E", _texts.NO_MAGIC)
            return None
        return ITimingCache.make(_board=board, _entries=set(entries))

    def set_timing_cache(self, cache, ignore_mismatch):
        expect(cache, ITimingCache, "IBuilderConfig.set_timing_cache")
        if cache._board != _board() and not ignore_mismatch:
            tell(self._logger, "E", _texts.CACHE_MISMATCH)
            return False
        self._cache = cache
        return True

    def get_timing_cache(self):
        return self._cache

    def add_optimization_profile(self, profile):
        self._profiles.append(expect(profile, IOptimizationProfile, "IBuilderConfig.add_optimization_profile"))
        return len(self._profiles) - 1

    @property
    def num_optimization_profiles(self):
        return len(self._profiles)


def config_of(builder, logger):
    made = IBuilderConfig.make(_logger=logger, _builder=builder)
    made.reset()
    return made
