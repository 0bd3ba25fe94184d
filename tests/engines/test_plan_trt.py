"""The builder's calls against a TensorRT of a few lines that answers as the test says: False, None, and names it lacks."""
import re
from types import SimpleNamespace

import pytest

from edge.core.errors import EngineError, ModelError
from engines.build import builder
from engines.build.builder import BuildSpec, LoggedMessages

FLOAT, HALF, INT32 = "float", "half", "int32"
FLAGS_82 = ("FP16", "STRICT_TYPES", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS")


class Layer:
    def __init__(self, name, kind=FLOAT):
        self.name, self.num_outputs, self.precision, self.types = name, 1, None, {}
        self._output = SimpleNamespace(dtype=kind, is_shape_tensor=False)

    def get_output(self, i):
        return self._output

    def set_output_type(self, i, kind):
        self.types[i] = kind


class Tensorrt:
    """The module, its builder, network, parser and configuration in one: the calls do not overlap."""

    __version__ = "8.2.1.8"
    float32, float16 = FLOAT, HALF
    ILogger = type("ILogger", (), {"__init__": lambda self: None})
    Logger = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2)
    NetworkDefinitionCreationFlag = SimpleNamespace(EXPLICIT_BATCH=0)
    TacticSource = SimpleNamespace(CUBLAS=0, CUBLAS_LT=1, CUDNN=2)

    def __init__(self, flags=FLAGS_82, **answers):
        self.BuilderFlag = SimpleNamespace(**{name: name for name in flags})
        self.answers, self.flags, self.builds, self.caches, self.tactics = answers, [], [], [], None
        self.layers = [Layer("conv"), Layer("conv_7"), Layer("shape", INT32), Layer("other")]
        self.num_layers, self.num_inputs, self.num_outputs, self.num_errors = 4, 1, answers.get("outputs", 1), 0

    def Builder(self, logger):  # noqa: N802
        if self.answers.get("no_cuda"):
            logger.log(1, "CUDA initialization failure with error: 100")
            raise TypeError("factory function returned nullptr")
        self.logger = logger
        return self

    def OnnxParser(self, network, logger):  # noqa: N802
        return self

    def init_libnvinfer_plugins(self, logger, namespace):
        return True

    def create_network(self, flags):
        assert flags == 1
        return self

    def create_builder_config(self):
        self.flags = []
        return self

    def parse(self, content):
        assert isinstance(content, bytes)
        if not self.answers.get("parse", True):
            self.logger.log(1, "Failed to parse ONNX model")
        return self.answers.get("parse", True)

    def get_input(self, i):
        return SimpleNamespace(name="input", shape=self.answers.get("shape", (1, 3, 8, 8)))

    def get_output(self, i):
        return SimpleNamespace(name="output", shape=(1, 2))

    def get_layer(self, i):
        return self.layers[i]

    def set_flag(self, flag):
        self.flags.append(flag)

    def set_tactic_sources(self, mask):
        self.tactics = mask
        return self.answers.get("tactics", True)

    def create_timing_cache(self, content):
        return content + b"+"

    def set_timing_cache(self, cache, ignore_mismatch):
        self.caches.append((cache, ignore_mismatch))
        return cache == b"+" or self.answers.get("cache", True)

    def get_timing_cache(self):
        return SimpleNamespace(serialize=lambda: b"timings")

    def build_serialized_network(self, network, config):
        self.builds.append(list(self.flags))
        if self.answers.get("refuses") in self.flags or self.answers.get("refuses") == "all":
            self.logger.log(1, "10: Could not find any implementation for node conv.")
            return None
        return b"plan"


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"\x3a\x0c\x0a\x03\x1a\x01a\x0a\x05\x1a\x03b_7")  # nodes a and b_7
    return BuildSpec("mb05", str(tmp_path / "x.onnx"), True, 256, ("cublas", "cudnn"), (), 1, 4)


def build(trt, spec, cache=b""):
    notes = []
    messages = LoggedMessages(lambda severity, text: None)
    return builder.build(trt, builder.logger_to(trt, messages), messages, spec, cache, notes.append), notes


def test_what_is_asked_for_is_set(spec):
    trt = Tensorrt()
    built, notes = build(trt, spec)
    assert built == (b"plan", b"timings", "", [["input", [1, 3, 8, 8]]], [["output", [1, 2]]]) and notes == []
    assert trt.max_workspace_size == 256 << 20 and trt.tactics == 0b101 and trt.flags == ["FP16"]
    assert (trt.min_timing_iterations, trt.avg_timing_iterations) == (1, 4) and trt.caches == [(b"+", False)]
    build(trt, spec._replace(fp16=False, tactics=()))
    assert trt.flags == [] and trt.tactics == 0


def test_listed_layers_are_pinned_under_obey_and_shapes_are_left_alone(spec):
    trt = Tensorrt()
    built, notes = build(trt, spec._replace(fp32_layers=("conv", "shape", "gone")))
    assert built.constraints == "obey" and trt.flags == ["FP16", "OBEY_PRECISION_CONSTRAINTS"]
    assert [(layer.precision, layer.types) for layer in trt.layers] == [
        (FLOAT, {0: FLOAT}), (FLOAT, {0: FLOAT}), (None, {}), (None, {})]
    assert notes == ["mb05: 2 of the 3 layers to keep in FP32 are not in the network: gone, shape"]


@pytest.mark.parametrize("flags, refuses, constraints, builds, output", [
    (FLAGS_82, "OBEY_PRECISION_CONSTRAINTS", "prefer", ["OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"],
     "cannot keep all 1 layers in FP32 .*Could not find any implementation.*now asked to prefer"),
    (("FP16", "STRICT_TYPES"), None, "prefer", ["STRICT_TYPES"], None),
    (("FP16",), None, "", [None], "cannot be asked to keep layers in FP32"),
])
def test_where_obey_is_impossible_or_unknown_prefer_stands_in(spec, flags, refuses, constraints, builds, output):
    trt = Tensorrt(flags, refuses=refuses)
    built, notes = build(trt, spec._replace(fp32_layers=("conv",)))
    assert built.constraints == constraints
    assert trt.builds == [["FP16"] + ([flag] if flag else []) for flag in builds]
    assert len(notes) == (output is not None)
    if output:
        assert re.search(output, notes[0])


@pytest.mark.parametrize("answers, kind, words", [
    ({"no_cuda": True}, EngineError, "TensorRT made no builder for mb05 .*error: 100.*stop the service"),
    ({"parse": False}, ModelError, "TensorRT cannot read .*x.onnx .Failed to parse ONNX model.*models fetch --force mb05"),
    ({"shape": (-1, 3, 8, 8)}, ModelError, "input of .*x.onnx has no fixed shape .-1, 3, 8, 8."),
    ({"outputs": 0}, ModelError, "has 1 inputs and 0 outputs"),
    ({"tactics": False}, EngineError, "no tactics of cublas and cudnn here: choose others with --tactics"),
    ({"refuses": "all"}, EngineError, "could not build mb05 .*Could not find any implementation.*--workspace 128"),
])
def test_false_and_none_become_one_line_with_the_cure(spec, answers, kind, words):
    with pytest.raises(ModelError, match=words) as e:
        build(Tensorrt(**answers), spec)
    assert issubclass(type(e.value), kind) and "\n" not in str(e.value)


def test_a_missing_file_is_found_before_the_parser_says_nothing(spec):
    with pytest.raises(ModelError, match="x.onnx.gone cannot be read .*run `nanoface models fetch mb05`"):
        build(Tensorrt(), spec._replace(file=spec.file + ".gone"))


def test_a_timing_cache_of_another_board_gives_way_to_a_fresh_one(spec):
    trt = Tensorrt(cache=False)
    built, notes = build(trt, spec, b"old")
    assert trt.caches == [(b"old+", False), (b"+", False)] and built.timing_cache == b"timings"
    assert notes == ["the timing cache is of another board or TensorRT: a fresh one is begun"]


def test_a_logger_that_gets_nonsense_raises_nothing():
    trt, logged = Tensorrt(), []
    logger = builder.logger_to(trt, LoggedMessages(lambda severity, text: logged.append((severity, text))))
    logger.log(2, "slow")
    logger.log(None, None)
    logger.log(4, "No importer registered for op: Mish")
    assert logged == [("W", "slow"), ("I", "No importer registered for op: Mish")]
