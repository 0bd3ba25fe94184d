"""A store of its own for tests that verify: copies of converted networks, and ONNX files that are wrong or rounded."""
import json
import os
import shutil

from edge.store import models
from engines.manifest.read import read_manifest

NETWORKS = [name for name, network in read_manifest().networks.items() if not network.is_asset]
DEFAULT = ["yunet_s", "face_landmark", "mb05", "iris_landmark"]


def home_with(folder, networks):
    """`folder` as $NANOFACE_HOME with copies of these StoredNetworks; returns its path."""
    home, entries = str(folder), {}
    os.makedirs(models.onnx_dir(home))
    for stored in networks:
        entries[stored.name] = dict(models.read_index(home_of(stored))[stored.name])
        for path in {stored.file, stored.cpu_file}:
            shutil.copy(path, models.onnx_dir(home))
    write_index(home, entries)
    return home


def home_of(stored):
    return os.path.dirname(os.path.dirname(stored.file))


def write_index(home, entries):
    with open(os.path.join(models.onnx_dir(home), models.INDEX), "w") as f:
        json.dump({"schema": models.SCHEMA, "networks": entries}, f)


def change_index(home, name, **changes):
    entries = models.read_index(home)
    entries[name].update(changes)
    write_index(home, entries)


def rounded(path, to):
    """Write the ONNX at `path` so that weights and every tensor are rounded to FP16, sums in FP32; no TensorRT needed."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    for weights in graph.initializer:
        if weights.data_type == TensorProto.FLOAT:
            with np.errstate(over="ignore"):
                values = numpy_helper.to_array(weights).astype(np.float16).astype(np.float32)
            weights.CopyFrom(numpy_helper.from_array(values, weights.name))

    def casts(source, target):
        return [helper.make_node("Cast", [source], [target + "/half"], to=TensorProto.FLOAT16),
                helper.make_node("Cast", [target + "/half"], [target], to=TensorProto.FLOAT)]

    feed = graph.input[0].name
    nodes = casts(feed, feed + "/rounded")
    types = {v.name: v.type.tensor_type.elem_type for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == feed:
                node.input[i] = feed + "/rounded"
        after = []
        for i, name in enumerate(node.output):
            if types.get(name) == TensorProto.INT32:
                continue
            node.output[i] = name + "/exact"
            after += casts(name + "/exact", name)
        nodes += [node] + after
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    _save(model, to)


def damaged(path, to, share=0.5):
    """Write the ONNX at `path` with every other output channel of one convolution at zero; `share` of them come before."""
    import onnx
    from onnx import TensorProto, numpy_helper

    model = onnx.load(path)
    kernels = [w for w in model.graph.initializer if w.data_type == TensorProto.FLOAT and len(w.dims) == 4]
    chosen = kernels[int(len(kernels) * share)]
    values = numpy_helper.to_array(chosen).copy()
    values[::2] = 0.0
    chosen.CopyFrom(numpy_helper.from_array(values, chosen.name))
    _save(model, to)


def _save(model, path):
    with open(str(path), "wb") as f:
        f.write(model.SerializeToString())
