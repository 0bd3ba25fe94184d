"""Plans for the tests of the TensorRT runner, built by the simulator: no GPU is needed."""
import json
import os
import sys

import numpy as np
import pytest

from edge.core.contracts import BGR, REPLICATE, RGB, Crop
from edge.store import models, plans
from fakes import KERNELS, SIMULATOR

PACKAGES = ("tensorrt", "pycuda")  # the books that nanoface_simulator keeps are those of the whole process


def enter_simulator():
    """Make `import tensorrt` and `import pycuda` find the simulator; returns what undoes it."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in PACKAGES}
    for name in before:
        del sys.modules[name]
    sys.path.insert(0, SIMULATOR)

    def leave():
        sys.path.remove(SIMULATOR)
        for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
            del sys.modules[name]
        sys.modules.update(before)
    return leave


@pytest.fixture(scope="module", autouse=True)
def simulator():
    leave = enter_simulator()
    yield __import__("nanoface_simulator")
    leave()


@pytest.fixture(autouse=True)
def books(simulator, monkeypatch, tmp_path):
    """Every test ends with nothing alive, nothing on a context stack, and no rule broken, but what it failed on purpose."""
    from nanoface_simulator.contexts import driver

    monkeypatch.setenv("NANOFACE_HOME", str(tmp_path))
    monkeypatch.setenv("NANOFACE_SIM_KERNELS", KERNELS)
    monkeypatch.setenv("NANOFACE_SIM_HELD_MS", '{"first": 0, "runtime": 0, "builder": 0, "context": 0}')
    simulator.ledger.clear()
    yield simulator
    driver.failure, driver.launches = "", 0
    report = simulator.report()
    assert report["clean"], {key: report[key] for key in ("violations", "alive", "not_popped")}


@pytest.fixture
def tiny(books, tmp_path):
    """A StoredNetwork with a plan in the store."""
    network = tiny_network(tmp_path / "tiny.onnx")
    build(str(tmp_path), network)
    return network


def frame(seed=0, size=(40, 60)):
    image = np.random.RandomState(seed).randint(0, 256, size + (3,)).astype(np.uint8)
    image.flags.writeable = False
    return image


def crops(shift=0.0):
    """Of the tiny network's two pictures."""
    turned = np.array([[0.5, 0.125, shift], [-0.125, 0.5, 2.0]])
    upright = np.array([[0.25, 0.0, -1.0], [0.0, 0.25, shift]])
    return (Crop(turned, (16, 12), RGB, 1.0 / 255.0, (0.0, 0.0, 0.0)),
            Crop(upright, (16, 12), BGR, 1.0 / 128.0, (-1.0, -1.0, -1.0), REPLICATE))


def build(home, stored, fp16=True):
    """Write plan and sidecar of a network, as `nanoface build` does but for what only a board knows; the StoredPlan."""
    import tensorrt as trt

    from edge.runtimes.gpu import context as cuda
    from edge.runtimes.gpu.plan import log_of

    cuda.PRIMARY.enter()
    try:
        plan, sides = _built(trt, log_of(trt), stored, fp16)
    finally:
        cuda.PRIMARY.leave()
    path = plans.plan_path(home, stored.role, stored.name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(plan)
    gpu = cuda.gpu()
    sidecar = dict(
        schema=plans.SCHEMA, role=stored.role, network=stored.name, sha256=models.sha256_of(path), size=len(plan),
        onnx_sha256=stored.sha256, tensorrt=trt.__version__, gpu=gpu.name, compute_capability=gpu.compute_capability,
        precision="fp16" if fp16 else "fp32", inputs=sides[0], outputs=sides[1])
    write_sidecar(home, stored, sidecar)
    return plans.find(home, stored.role, stored.name)


def _built(trt, log, stored, fp16):
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    parser = trt.OnnxParser(network, log)
    with open(stored.file, "rb") as f:
        assert parser.parse(f.read()), [parser.get_error(i).desc() for i in range(parser.num_errors)]
    config = builder.create_builder_config()
    config.max_workspace_size = 256 << 20
    if fp16:
        config.set_flag(trt.BuilderFlag.FP16)
    plan = builder.build_serialized_network(network, config)
    assert plan is not None, "the simulator built nothing"
    sides = [[[t.name, list(t.shape)] for t in tensors] for tensors in (
        [network.get_input(i) for i in range(network.num_inputs)],
        [network.get_output(i) for i in range(network.num_outputs)])]
    return bytes(plan), sides


def write_sidecar(home, stored, sidecar):
    with open(plans.sidecar_path(home, stored.role, stored.name), "w") as f:
        json.dump(sidecar, f)


def reseal(home, stored, **changes):
    """Make the sidecar fit whatever lies there as the plan, with some of its other facts changed."""
    plan = plans.find(home, stored.role, stored.name)
    facts = dict(sha256=models.sha256_of(plan.file), size=os.path.getsize(plan.file))
    write_sidecar(home, stored, dict(plan.sidecar, **dict(facts, **changes)))


def write_cubin(home, arch="sm_53", content=None):
    """What stands for the compiled crop kernel: the simulator computes it by its reference in numpy."""
    from edge.store import cubin

    os.makedirs(plans.plans_dir(home), exist_ok=True)
    path = os.path.join(plans.plans_dir(home), plans.CUBIN)
    with open(path, "wb") as f:
        f.write(content or "SIMULATOR CUBIN {} crop crop_from".format(arch).encode("ascii"))
    sidecar = dict(schema=cubin.SCHEMA, sha256=models.sha256_of(path), size=os.path.getsize(path),
                   source_sha256=cubin.source_sha256(), arch=arch, nvcc="none")
    with open(os.path.join(plans.plans_dir(home), plans.CUBIN_SIDECAR), "w") as f:
        json.dump(sidecar, f)


def tiny_network(path, batch=2, height=12, width=16, kind="FLOAT"):
    """A small network of one layer of each kind, written to `path`; the StoredNetwork, its role is iris."""
    import onnx
    from onnx import helper, numpy_helper

    random, element = np.random.RandomState(7), getattr(onnx.TensorProto, kind)
    weights = {"weight": random.uniform(-1, 1, (4, 3, 1, 1)), "bias": random.uniform(-1, 1, 4),
               "slope": np.array([0.25, -0.5, 1.5, 0.0]).reshape(4, 1, 1)}
    nodes = [helper.make_node("Conv", ["input", "weight", "bias"], ["raw"]),
             helper.make_node("PRelu", ["raw", "slope"], ["features"]),
             helper.make_node("GlobalAveragePool", ["features"], ["mean"])]
    sides = [[helper.make_tensor_value_info(name, element, shape) for name, shape in side] for side in (
        [("input", (batch, 3, height, width))],
        [("features", (batch, 4, height, width)), ("mean", (batch, 4, 1, 1))])]
    constants = [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()]
    model = helper.make_model(helper.make_graph(nodes, "tiny", sides[0], sides[1], constants),
                              opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 7
    with open(str(path), "wb") as f:
        f.write(model.SerializeToString())
    return models.StoredNetwork("tiny", str(path), str(path), {}, "iris", models.sha256_of(str(path)))
