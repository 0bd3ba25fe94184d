"""The simulator keeps what the reference says of TensorRT 8.2.1's bindings; the bad case stands beside the good one."""
import gc
import io
import json
import struct

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the simulator of TensorRT reads networks with onnx")
pytest.importorskip("onnxruntime", reason="the simulator of TensorRT computes with ONNX Runtime")
from fakes import simulated as nets

NO_WAIT = '{"first": 0, "runtime": 0, "builder": 0, "context": 0, "serialize": 0, "supports_model": 0}'


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("NANOFACE_SIM_HELD_MS", NO_WAIT)


@pytest.fixture(scope="module")
def modules():
    with nets.simulated() as found:
        yield found


@pytest.fixture(scope="module")
def trt(modules):
    return modules[0]


@pytest.fixture
def build(trt):
    return nets.BuildContext(trt)


@pytest.fixture
def pushed(modules, request):
    """pycuda's driver, with the primary context current here."""
    _, cuda, books = modules
    cuda.init()
    context = cuda.Device(0).retain_primary_context()
    context.push()
    yield cuda
    request.node.funcargs.clear()  # else pytest keeps an engine for longer than its context
    gc.collect()
    cuda.Context.pop()
    context.detach()
    report = books.report()
    books.reset()
    assert report["clean"], report


@pytest.fixture
def engine(trt, build, pushed):
    return trt.Runtime(build.log.logger).deserialize_cuda_engine(build.plan(nets.plain()))


HAS = """trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS trt.BuilderFlag.PREFER_PRECISION_CONSTRAINTS trt.TacticSource.CUBLAS_LT
    trt.float16 trt.init_libnvinfer_plugins trt.ProfilingVerbosity.DETAILED trt.DataType.BOOL
    config.max_workspace_size config.set_tactic_sources config.create_timing_cache config.profiling_verbosity
    config.min_timing_iterations builder.build_serialized_network builder.build_engine builder.platform_has_fast_fp16
    builder.num_DLA_cores engine.num_bindings engine.get_binding_index engine.create_engine_inspector
    engine.device_memory_size context.execute_async_v2 context.execute_v2 context.report_to_profiler runtime.DLA_core
    parser.supports_operator network.mark_output""".split()
HAS_NOT = """trt.MemoryPoolType trt.TensorIOMode trt.BuilderFlag.VERSION_COMPATIBLE trt.BuilderFlag.BF16
    trt.TacticSource.EDGE_MASK_CONVOLUTIONS config.set_memory_pool_limit config.builder_optimization_level
    config.hardware_compatibility_level builder.build_cuda_engine builder.max_threads builder.max_workspace_size
    builder.fp16_mode engine.num_io_tensors engine.get_tensor_name engine.get_tensor_mode engine.get_engine_inspector
    context.execute_async_v3 context.set_tensor_address context.set_input_shape context.infer_shapes runtime.max_threads
    runtime.load_runtime""".split()


@pytest.fixture
def objects(trt, build, engine):
    return {"trt": trt, "config": build.config, "builder": build.builder, "engine": engine, "parser": build.parser,
            "network": build.network, "context": engine.create_execution_context(), "runtime": trt.Runtime(build.log.logger)}


def test_what_8_2_1_has_is_there_and_what_came_later_is_not(objects):
    def there(dotted):
        first, rest = dotted.split(".", 1)
        thing = objects[first]
        for name in rest.split("."):
            if not hasattr(thing, name):
                return False
            thing = getattr(thing, name)
        return True
    assert [name for name in HAS if not there(name)] == []
    assert [name for name in HAS_NOT if there(name)] == []
    objects.clear()


def test_an_attribute_that_is_not_there_or_only_read_cannot_be_set(objects):
    for name, attribute in (("config", "workspace"), ("config", "num_optimization_profiles"), ("engine", "num_bindings"),
                            ("engine", "name"), ("builder", "platform_has_fast_fp16"), ("network", "num_layers"),
                            ("context", "engine"), ("runtime", "max_threads")):
        with pytest.raises(AttributeError):
            setattr(objects[name], attribute, 1)
    with pytest.raises(AttributeError):
        _ = objects["context"].device_memory  # may only be written
    objects["config"].max_workspace_size = 5
    assert objects["config"].max_workspace_size == 5
    objects.clear()


def test_arguments_of_another_kind_are_refused(trt, build, engine):
    context, runtime = engine.create_execution_context(), trt.Runtime(build.log.logger)
    cache = build.config.create_timing_cache(b"")
    layer = build.layer("c.node")
    for call in (lambda: build.parser.parse("tiny.onnx"), lambda: runtime.deserialize_cuda_engine(None),
                 lambda: build.config.set_timing_cache(cache), lambda: build.config.set_flag(0),
                 lambda: setattr(layer, "precision", "fp16"), lambda: setattr(layer, "precision", np.float16),
                 lambda: setattr(build.config, "max_workspace_size", 2.5), lambda: trt.OnnxParser(None, build.log.logger),
                 lambda: setattr(build.config, "max_workspace_size", -1), lambda: context.execute_async_v2((1, 2), 0),
                 lambda: context.execute_async_v2([1, 2], None), lambda: context.execute_async_v2([1, 2]),
                 lambda: trt.ICudaEngine(), lambda: trt.IBuilderConfig(), lambda: trt.Builder(None), lambda: engine[1.5],
                 lambda: 1 << trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH):
        with pytest.raises(TypeError):
            call()


def test_a_logger_that_did_not_call_its_base_is_refused(trt):
    class Careless(trt.ILogger):
        def __init__(self):
            pass

    with pytest.raises(TypeError, match="must be called when overriding __init__"):
        trt.Builder(Careless())


def test_enumerations_are_no_numbers_but_give_theirs(trt):
    assert int(trt.BuilderFlag.FP16) == 0 and int(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS) == 10
    assert trt.DataType.FLOAT == trt.float32 and trt.float32 != trt.float16 and trt.DataType.FLOAT != 0
    assert str(trt.Logger.WARNING) == "Severity.WARNING" and trt.Logger.WARNING < trt.Logger.INFO
    assert {trt.float32: 1}[trt.DataType.FLOAT] == 1 and trt.volume((2, 3, 4)) == 24


def test_the_workspace_is_nothing_until_it_is_set_and_then_a_build_warns(trt):
    build = nets.BuildContext(trt)
    config = build.builder.create_builder_config()
    assert config.max_workspace_size == 0
    assert build.plan(nets.plain()) is not None and not [t for t in build.log.of("WARNING") if "workspace" in t]
    assert build.builder.build_serialized_network(build.network, config) is not None
    assert [t for t in build.log.of("WARNING") if "sufficient workspace memory" in t]


def moved(name, **attributes):
    return nets.one(name, "x a", constants={"a": np.array([1], np.int64)}, **attributes)


PARSED = [  # content, code, node, words of its text or of the log
    (nets.plain, None, None, ""),
    (lambda: b"\x08\x07 this is no network", "MODEL_DESERIALIZE_FAILED", -1, "deserialize"),
    (lambda: nets.plain()[:-40], "MODEL_DESERIALIZE_FAILED", -1, "deserialize"),
    (lambda: b"", "MODEL_DESERIALIZE_FAILED", -1, "deserialize"),
    (lambda: nets.one("HardSwish", opset=14), "UNSUPPORTED_NODE", 0,
     "No importer registered for op: HardSwish. Attempting to import as plugin."),
    (lambda: nets.one("HardSwish", opset=14), "UNSUPPORTED_NODE", 0,
     "Plugin not found, are the plugin name, version, and namespace correct?"),
    (lambda: nets.one("HardSigmoid"), None, None, ""),
    (lambda: nets.one("MaxPool", "x", "y i", kernel_shape=[2, 2]), "UNSUPPORTED_NODE", 0,
     "TensorRT does not support the indices output in MaxPool!"),
    (lambda: nets.one("MaxPool", kernel_shape=[2, 2]), None, None, ""),
    (lambda: nets.one("Conv", "x w", inputs=(("x", nets.SHAPE), ("w", (4, 3, 1, 1)))), "UNSUPPORTED_NODE", 0, "initializer"),
    (lambda: nets.one("Resize", "x r s", mode="cubic", constants={
        "r": np.zeros(0, np.float32), "s": np.array([1, 1, 2, 2], np.float32)}), "UNSUPPORTED_NODE", 0, "cubic"),
    (lambda: nets.one("Resize", "x r s", mode="linear", constants={
        "r": np.zeros(0, np.float32), "s": np.array([1, 1, 2, 2], np.float32)}), None, None, ""),
    (lambda: nets.one("InstanceNormalization", "x s b", constants={
        "s": np.ones(3, np.float32), "b": np.zeros(3, np.float32)}), "UNSUPPORTED_NODE", 0, "Plugin not found"),
]


@pytest.mark.parametrize("content, code, node, words", PARSED)
def test_the_parser_answers_false_and_says_why(build, content, code, node, words):
    assert build.parser.parse(content()) is (code is None)
    assert build.parser.num_errors == (code is not None)
    if code is not None:
        error = build.parser.get_error(0)
        assert (error.code().name, error.node()) == (code, node)
        assert str(error) == "In node {} ({}): {}: {}".format(node, error.func(), code, error.desc())
        assert words in error.desc() or words in "\n".join(text for _, text in build.log.lines)
    with pytest.raises(IndexError):
        build.parser.get_error(1)


def test_a_file_that_is_not_there_is_false_without_an_error(build, tmp_path):
    path = tmp_path / "tiny.onnx"
    assert build.parser.parse_from_file(str(path)) is False and build.parser.num_errors == 0
    assert "Failed to parse ONNX model from file" in build.log.of("ERROR")[0]
    path.write_bytes(nets.plain())
    assert build.parser.parse_from_file(str(path)) is True


def test_the_parser_wants_an_explicit_batch(trt):
    build = nets.BuildContext(trt, flags=0)
    assert build.parser.parse(nets.plain()) is False
    assert build.parser.get_error(0).code() == trt.ErrorCode.INVALID_VALUE
    assert "EXPLICIT_BATCH" in build.parser.get_error(0).desc()


def test_whole_numbers_of_64_bits_are_cast_with_a_warning(trt):
    shaped = nets.one("Reshape", "x s", constants={"s": np.array([1, -1], np.int64)})
    for content, warned in ((shaped, True), (nets.plain(), False)):
        build = nets.BuildContext(trt)
        assert build.parser.parse(content)
        assert any("Your ONNX model has been generated with INT64 weights" in t for t in build.log.of("WARNING")) is warned


@pytest.mark.parametrize("opset, content, shape", [
    (13, lambda: nets.one("ReduceMax", axes=[1], opset=13), (1, 1, 6, 8)),
    (18, lambda: nets.one("ReduceMax", "x a", opset=18, constants={"a": np.array([1], np.int64)}), (1, 1, 1, 1)),
])
def test_from_opset_18_on_a_reduction_is_over_all_axes_silently(trt, pushed, opset, content, shape):
    """Opset 13 has the axes as an attribute; opset 18 as an input, which 8.2 does not read."""
    if opset > onnx.defs.onnx_opset_version():
        pytest.skip("needs a package onnx that knows opset {}".format(opset))
    bench = nets.Bench(trt, pushed, nets.BuildContext(trt).plan(content()))
    assert bench.run(nets.picture()).shape == shape
    bench.close()


def test_what_the_parser_supports_is_what_it_imports(build):
    assert [build.parser.supports_operator(op) for op in ("Conv", "Mish", "NonMaxSuppression")] == [True, False, False]
    assert build.parser.supports_model(nets.plain())[0] is True
    supported, graphs = build.parser.supports_model(nets.one("HardSwish", opset=14))
    assert supported is False and graphs == [([0], False)]


def whole_layer(trt, build):
    shape = build.layer("s.node")
    shape.precision = trt.float32
    shape.set_output_type(0, trt.float32)
    build.config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)


def half_without_flag(trt, build):
    build.layer("s.node").precision = trt.float16


def no_output(trt, build):
    build.network.unmark_output(build.network.get_output(0))


@pytest.mark.parametrize("spoil, words", [
    (lambda trt, build: None, ""),
    (no_output, "Network must have at least one output"),
    (half_without_flag, "fp16 is not configured in the builder"),
    (whole_layer, "precision constraints"),
])
def test_a_network_that_cannot_be_built_is_none(trt, build, spoil, words):
    content = nets.onnx_bytes([("Shape", "x", "s", {}), ("Reshape", "x s", "y", {})], [("x", nets.SHAPE)], [("y", nets.SHAPE)])
    assert build.parser.parse(content)
    spoil(trt, build)
    plan = build.plan()
    assert (plan is None) is bool(words)
    assert not words or words in build.log.of("ERROR")[-1]


def test_a_network_of_any_size_needs_a_profile(trt, build, pushed):
    content = nets.onnx_bytes([("Relu", "x", "y", {})], [("x", ("n", 4))], [("y", ("n", 4))])
    assert build.plan(content) is None and "no optimization profile has been defined" in build.log.of("ERROR")[-1]
    profile = build.builder.create_optimization_profile()
    profile.set_shape("x", (1, 4), (2, 4), (3, 4))
    assert build.config.add_optimization_profile(profile) == 0
    engine = trt.Runtime(build.log.logger).deserialize_cuda_engine(build.plan())
    context = engine.create_execution_context()
    assert engine.get_binding_shape(0) == (-1, 4) and not context.all_binding_shapes_specified
    assert context.set_binding_shape(0, (4, 4)) is False and context.set_binding_shape(0, (2, 5)) is False
    assert context.set_binding_shape(0, (2, 4)) is True
    assert context.get_binding_shape(1) == (2, 4) and context.all_binding_shapes_specified


def test_a_timing_cache_is_kept_for_one_board_and_version(trt, build, monkeypatch):
    cache = build.config.create_timing_cache(b"")
    assert build.config.get_timing_cache() is None
    assert build.config.set_timing_cache(cache, False) is True and build.plan(nets.plain()) is not None
    kept = bytes(build.config.get_timing_cache().serialize())
    assert len(kept) > len(bytes(build.config.create_timing_cache(b"").serialize()))
    assert build.config.create_timing_cache(b"something else") is None
    assert build.config.set_timing_cache(build.config.create_timing_cache(kept), False) is True
    monkeypatch.setenv("NANOFACE_SIM_TENSORRT", "8.2.3.0")
    assert build.config.set_timing_cache(build.config.create_timing_cache(kept), False) is False
    assert build.config.set_timing_cache(build.config.create_timing_cache(kept), True) is True


def test_tactics_without_cublas_lt_can_be_chosen(trt, build):
    assert build.config.get_tactic_sources() == 1 << int(trt.TacticSource.CUBLAS) | 1 << int(trt.TacticSource.CUDNN)
    assert build.config.set_tactic_sources(0) is True and build.config.get_tactic_sources() == 0
    assert build.config.set_tactic_sources(1 << int(trt.TacticSource.CUBLAS_LT)) is False


def cut(plan):
    return plan[:-100]


def header_cut(plan):
    return plan[:60]


def altered(plan):
    return plan[:-500] + bytes([plan[-500] ^ 1]) + plan[-499:]


def same(plan):
    return plan


VERSION = ("The engine plan file is not compatible with this version of TensorRT, expecting library version 8.2.1 got 8.2.3, "
           "please rebuild.")
GPU = ("The engine plan file is generated on an incompatible device, expecting compute 5.3 got compute 7.5, please "
       "rebuild.")
SIZE = ("Serialization assertion sizeRead == static_cast<uint64_t>(mEnd - mCurrent) failed.Size specified in header does not "
        "match archive size")
MAGIC = "Serialization assertion magicTagRead == kMAGIC_TAG failed.Magic tag does not match"


@pytest.mark.parametrize("built_on, change, words", [
    ({}, same, ""),
    ({"TENSORRT": "8.2.3.0"}, same, VERSION),
    ({"TENSORRT": "8.2.1.9"}, same, "Version tag does not match. Note: Current Version: 8, Serialized Engine Version: 9"),
    ({"CC": "7.5", "GPU": "another"}, same, GPU),
    ({"GPU": "another of 5.3"}, same, ""),
    ({}, lambda plan: nets.plain(), MAGIC), ({}, lambda plan: b"text", MAGIC), ({}, lambda plan: b"", MAGIC),
    ({}, cut, SIZE), ({}, header_cut, SIZE), ({}, lambda plan: plan + b"more", SIZE), ({}, altered, "altered"),
])
def test_a_plan_that_does_not_fit_is_none_and_the_log_says_why(trt, pushed, monkeypatch, built_on, change, words):
    with monkeypatch.context() as there:
        for name, value in built_on.items():
            there.setenv("NANOFACE_SIM_" + name, value)
        plan = change(bytes(nets.BuildContext(trt).plan(nets.plain())))
    log = nets.Log(trt)
    engine = trt.Runtime(log.logger).deserialize_cuda_engine(plan)
    assert (engine is None) is bool(words)
    assert [words in text for text in log.of("ERROR")[:1]] == [True] * bool(words)
    assert bool(log.of("WARNING")) is (built_on == {"GPU": "another of 5.3"})
    if words:
        assert "Error Code 4: Internal Error (Engine deserialization failed.)" in log.of("ERROR")[-1]


def test_a_plan_with_a_plugin_wants_the_plugins_registered(modules, pushed):
    trt = modules[0]
    normal = nets.one("InstanceNormalization", "x s b", constants={"s": np.ones(3, np.float32), "b": np.zeros(3, np.float32)})
    plugins = __import__("tensorrt._plugins", fromlist=["plugins"]).plugins
    try:
        assert trt.init_libnvinfer_plugins(None, "") is True
        plan = nets.BuildContext(trt).plan(normal)
        log = nets.Log(trt)
        assert trt.Runtime(log.logger).deserialize_cuda_engine(plan) is not None
        plugins.registered = False
        assert trt.Runtime(log.logger).deserialize_cuda_engine(plan) is None
        assert "Plugin Registry" in log.of("ERROR")[0]
    finally:
        plugins.registered = False


def test_an_engine_reports_its_bindings(trt, engine):
    assert len(engine) == engine.num_bindings == 2 and list(engine) == ["x", "y"] and engine[-1] == "y"
    assert (engine.get_binding_index("y"), engine["y"]) == (1, 1)
    assert (engine.get_binding_index("nope"), engine["nope"]) == (-1, -1)
    assert engine.get_binding_name(0) == "x" and engine.get_binding_name(2) is None
    assert engine.binding_is_input(0) and engine.binding_is_input("x") and not engine.binding_is_input("y")
    assert engine.get_binding_shape("y") == (1, 2, 6, 8) and engine.get_binding_dtype(0) == trt.float32
    assert engine.max_batch_size == 1 and not engine.has_implicit_batch_dimension
    with pytest.raises(IndexError):
        _ = engine[2]


def test_the_memory_of_a_plan_is_a_buffer_and_nothing_else(trt, build, tmp_path):
    plan = build.plan(nets.plain())
    held = io.BytesIO()
    held.write(plan)
    (tmp_path / "tiny.plan").write_bytes(plan)
    assert bytes(plan) == held.getvalue() == (tmp_path / "tiny.plan").read_bytes() and plan.nbytes == len(bytes(plan))
    for call in (lambda: len(plan), lambda: plan[0], lambda: list(plan)):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("verbosity, reported", [("DETAILED", "FP16"), ("LAYER_NAMES_ONLY", "")])
def test_the_inspector_reports_what_the_build_kept(trt, build, pushed, verbosity, reported):
    build.config.profiling_verbosity = getattr(trt.ProfilingVerbosity, verbosity)
    engine = trt.Runtime(build.log.logger).deserialize_cuda_engine(build.plan(nets.plain(), fp16=True))
    inspector = engine.create_engine_inspector()
    layer = json.loads(inspector.get_layer_information(0, trt.LayerInformationFormat.JSON))
    assert (layer["Precision"] if reported else "") == reported and engine.num_layers == 3
    assert len(json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))["Layers"]) == 3
    with pytest.raises(TypeError):
        inspector.get_layer_information(0)
    del inspector, engine


def test_a_with_statement_does_nothing_but_warn(trt, build):
    with pytest.warns(DeprecationWarning, match="reference count"):
        with build.builder.create_builder_config() as config:
            assert config.max_workspace_size == 0


def test_layers_are_named_after_their_nodes_and_constants_are_layers_too(trt, build):
    content = nets.onnx_bytes([("PRelu", "x slope", "p", {}), ("Flatten", "p", "y", {})], [("x", nets.SHAPE)],
                              [("y", (1, 144))], {"slope": np.ones((3, 1, 1), np.float32)})
    assert build.parser.parse(content)
    layers = [build.network.get_layer(i) for i in range(build.network.num_layers)]
    assert [(layer.name, layer.type.name) for layer in layers] == [
        ("slope", "CONSTANT"), ("p.node", "PARAMETRIC_RELU"), ("y.node", "SHUFFLE")]
    assert [layer.get_output(0).dtype for layer in layers] == [trt.float32] * 3 and not layers[1].precision_is_set
    assert layers[1].get_output(0).shape == nets.SHAPE and build.network.get_layer(3) is None


def test_the_standard_log_goes_to_the_process_output_with_its_mark(trt, capfd):
    logger = trt.Logger(trt.Logger.WARNING)
    logger.log(trt.Logger.INFO, "not this")
    logger.log(trt.Logger.ERROR, "but this")
    out = capfd.readouterr().out
    assert out.endswith("[TRT] [E] but this\n") and "not this" not in out


def test_the_first_logger_is_the_librarys():
    code, out, err = nets.run_python("""
import tensorrt as trt
class Log(trt.ILogger):
    def __init__(self, name):
        trt.ILogger.__init__(self)
        self.name = name
    def log(self, severity, msg):
        print(self.name, severity.name, msg)
first, second = Log("first"), Log("second")
builder = trt.Builder(first)
runtime = trt.Runtime(second)
assert runtime.logger is second and builder.logger is first
del builder, runtime
trt.Runtime(second)
""")
    assert code == 0, err
    assert "first WARNING The logger passed into createInferRuntime differs from one already provided" in out
    assert "second" not in out, "a runtime says nothing, and the first logger was still the library's"


def test_a_placeholder_says_its_architecture(modules):
    """So does a real cubin, in the flags of its header."""
    arch = __import__("nanoface_simulator.modules", fromlist=["_arch"])._arch
    elf = b"\x7fELF" + bytes(14) + struct.pack("<H", 190) + bytes(28) + struct.pack("<I", 0x350535) + bytes(20)
    assert [arch(code) for code in (elf, b"SIMULATOR CUBIN sm_53 crop", b"text", elf[:20])] == ["sm_53", "sm_53", None, None]
