"""Networks that a user may bring: as ONNX, and as OpenVINO's .xml with its .bin. Most say the same whatever they see."""
import os

import numpy as np

from fakes.simulated import onnx_bytes

PICTURE = (1, 3, 192, 192)
MESH = {"landmarks": (1, 1404), "presence": (1, 1)}


def write(path, content):
    with open(str(path), "wb") as f:
        f.write(content)
    return str(path)


def constant_onnx(path, values, shape=PICTURE, open_batch=False):
    """Gives `values`, name -> array, and 0 times the mean of its input, of `shape`."""
    nodes = [("ReduceMean", "picture", "mean", {"keepdims": 0}), ("Mul", "mean zero", "nothing", {})]
    nodes += [("Add", "nothing {}.value".format(name), name, {}) for name in values]
    constants = {name + ".value": np.asarray(value, np.float32) for name, value in values.items()}
    constants["zero"] = np.zeros((), np.float32)
    given = ("batch",) + tuple(shape[1:]) if open_batch else shape
    outputs = [(name, np.shape(value)) for name, value in values.items()]
    return write(path, onnx_bytes(nodes, [("picture", given)], outputs, constants))


def constant_xml(path, values, shape, dtype=np.float32, name="image"):
    """The same for OpenVINO; `dtype` of its input and outputs."""
    import openvino as ov
    from openvino import opset8 as ops

    picture = ops.parameter(list(shape), dtype, name=name)
    zero = ops.multiply(ops.reduce_mean(picture, np.arange(len(shape)), False), ops.constant(np.zeros((), dtype)))
    outputs = []
    for called, value in values.items():
        added = ops.add(zero, ops.constant(np.asarray(value, dtype)))
        added.set_friendly_name(called)
        added.output(0).set_names({called})
        outputs.append(added)
    ov.save_model(ov.Model(outputs, [picture], "constant"), str(path), compress_to_fp16=False)
    return str(path)


def files_of(folder):
    return sorted(os.listdir(str(folder)))
