"""Small networks for the tests of the simulator, and the way to a plan, an engine and its buffers."""
import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
from patience import PATIENCE_S

from fakes import SIMULATOR, TESTS

PACKAGES = ("tensorrt", "pycuda", "nanoface_simulator")
SHAPE = (1, 3, 6, 8)


@contextlib.contextmanager
def simulated():
    """`import tensorrt` and `import pycuda` give the simulator inside; the three modules, fresh ones each time."""
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in PACKAGES}
    sys.path.insert(0, SIMULATOR)
    try:
        import nanoface_simulator
        import pycuda.driver
        import tensorrt

        yield tensorrt, pycuda.driver, nanoface_simulator
        while pycuda.driver.Context.get_current() is not None:
            pycuda.driver.Context.pop()
    finally:
        sys.path.remove(SIMULATOR)
        for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
            del sys.modules[name]
        sys.modules.update(before)


@pytest.fixture
def modules():
    with simulated() as found:
        yield found


@pytest.fixture
def books(modules):
    return modules[2]


def run_python(code, **environment):
    """(exit code, stdout, stderr) of a process that has the simulator in front of its path."""
    variables = dict(os.environ, PYTHONPATH=os.pathsep.join([SIMULATOR, TESTS]), **environment)
    done = subprocess.run([sys.executable, "-c", code], env=variables, universal_newlines=True, timeout=PATIENCE_S,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout, done.stderr


def onnx_bytes(nodes, inputs, outputs, weights=(), opset=11, name="tiny"):
    """nodes: (operator, inputs, outputs, attributes); inputs, outputs: (name, shape), float32; weights: name -> array."""
    from onnx import TensorProto, helper, numpy_helper

    made = [helper.make_node(op, ins.split(), outs.split(), name=outs.split()[0] + ".node", **attributes)
            for op, ins, outs, attributes in nodes]
    sides = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in side] for side in (inputs, outputs)]
    constants = [numpy_helper.from_array(array, n) for n, array in dict(weights).items()]
    model = helper.make_model(helper.make_graph(made, name, sides[0], sides[1], constants),
                              opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 7
    return model.SerializeToString()


def weights(seed=0):
    random = np.random.RandomState(seed)
    return {"w": random.uniform(-1, 1, (4, 3, 1, 1)).astype(np.float32), "b": random.uniform(-1, 1, 4).astype(np.float32),
            "v": random.uniform(-1, 1, (2, 4, 1, 1)).astype(np.float32)}


def plain(name="tiny"):
    """Two convolutions with a Relu between them."""
    return onnx_bytes([("Conv", "x w b", "c", {}), ("Relu", "c", "r", {}), ("Conv", "r v", "y", {})],
                      [("x", SHAPE)], [("y", (1, 2, 6, 8))], weights(), name=name)


def one(operator, ins="x", outs="y", opset=11, inputs=(("x", SHAPE),), constants=(), **attributes):
    """A network of one node."""
    return onnx_bytes([(operator, ins, outs, attributes)], list(inputs), [(outs.split()[0], None)], constants, opset)


def picture(seed=1):
    return np.random.RandomState(seed).uniform(-2, 2, SHAPE).astype(np.float32)


def by_runtime(content, x):
    """The first output by ONNX Runtime itself."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


class Log:
    """The messages of the library's one logger from now on; the Log before receives no more."""

    def __init__(self, trt):
        if not hasattr(trt, "tests_logger"):
            trt.tests_logger = _keeping(trt)
        self.logger, self.lines = trt.tests_logger, []
        self.logger.lines = self.lines

    def of(self, severity):
        return [text for name, text in self.lines if name == severity]


def _keeping(trt):
    class Keeping(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)
            self.lines = []

        def log(self, severity, msg):
            self.lines.append((severity.name, msg))

    return Keeping()


class BuildContext:
    """Builder, network, parser and configuration, as the build uses them."""

    def __init__(self, trt, flags=1):
        self.trt, self.log = trt, Log(trt)
        self.builder = trt.Builder(self.log.logger)
        self.network = self.builder.create_network(flags)
        self.parser = trt.OnnxParser(self.network, self.log.logger)
        self.config = self.builder.create_builder_config()
        self.config.max_workspace_size = 1 << 28

    def layer(self, name):
        layers = [self.network.get_layer(i) for i in range(self.network.num_layers)]
        return next(layer for layer in layers if layer.name == name)

    def plan(self, content=None, fp16=False):
        """IHostMemory or None."""
        if content is not None:
            assert self.parser.parse(content), self.parser.get_error(0)
        if fp16:
            self.config.set_flag(self.trt.BuilderFlag.FP16)
        return self.builder.build_serialized_network(self.network, self.config)


class Bench:
    """An engine with its buffers and a stream, in a thread that has the context pushed."""

    def __init__(self, trt, cuda, plan):
        self.cuda, self.log = cuda, Log(trt)
        self.engine = trt.Runtime(self.log.logger).deserialize_cuda_engine(plan)
        self.context = self.engine.create_execution_context()
        self.stream = cuda.Stream()
        self.hosts = [cuda.pagelocked_empty(self.engine.get_binding_shape(i), np.float32)
                      for i in range(self.engine.num_bindings)]
        self.buffers = [cuda.mem_alloc(host.nbytes) for host in self.hosts]
        self.bindings = [int(buffer) for buffer in self.buffers]

    def start(self, x):
        np.copyto(self.hosts[0], x)
        self.cuda.memcpy_htod_async(self.buffers[0], self.hosts[0], self.stream)
        assert self.context.execute_async_v2(self.bindings, self.stream.handle)
        for host, buffer in list(zip(self.hosts, self.buffers))[1:]:
            self.cuda.memcpy_dtoh_async(host, buffer, self.stream)

    def run(self, x):
        """The first output."""
        self.start(x)
        self.stream.synchronize()
        return self.hosts[1].copy()

    def close(self):
        self.stream.synchronize()
        self.context = self.engine = None
        for buffer in self.buffers:
            buffer.free()
        self.buffers = self.stream = None
        self.hosts = []
