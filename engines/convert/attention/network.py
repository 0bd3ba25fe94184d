"""MediaPipe's attention mesh as one plain network: the points of the face, then lids, lips and irises finer than that.

The .tflite crops the feature map around lips and eyes, where the mesh has found them, with three operators that only
MediaPipe has (mediapipe/util/tflite/operations, version 2 of each). What they do is in geometry.py; what the file asks of
them is read in layout.py, and a file that asks for something else is refused. The networks of the five parts have one shape,
and become one with grouped convolutions (heads.py). Names of nodes: geo/ is what depends on a pixel's place and needs FP32,
crop/ the sampling, heads/ the five parts; everything else is the plain mesh's.
"""
from typing import Any, Mapping, Sequence

from onnx import ModelProto

from edge.core.packet import POINTS
from engines.convert.attention.geometry import CELL_PX, SIDE, Geometry
from engines.convert.attention.heads import GroupedHeads
from engines.convert.attention.layout import Layout
from engines.convert.graph import Graph
from engines.convert.lite_file import read
from engines.convert.lite_graph import EMIT, Translation, needed


def convert(files: Sequence[str], options: Mapping[str, Any]) -> ModelProto:
    """Input RGB in [0, 1]. Outputs: mesh (1, 468, 3) pixels of the input; refined (5, 2, 80), the x and the y of lips (80
    points), left and right eye (71 each), left and right iris (5 each), where MediaPipe's left eye is the subject's right
    one, and each row is filled up with its first number; flag (1, 1) logit.
    """
    lite, graph = read(files[0]), Graph(str(options.get("name", "attention")))
    layout = Layout(lite)
    t = Translation(lite, graph, 1, {layout.mesh: "geo/mesh_conv", layout.flag: "geo/flag_conv"})
    t.tensors[lite.inputs[0]] = graph.input([1, 3, SIDE * CELL_PX, SIDE * CELL_PX])
    for op in needed(lite, [layout.mesh, layout.flag]):
        EMIT[op.kind](t, op)
    geometry = Geometry(graph, layout.subsets())
    crops = geometry.crops(graph.reshape("geo/points", t.tensors[layout.mesh], [3 * POINTS]), t.tensors[layout.feature])
    heads = GroupedHeads(t, layout.crops, [part.branch for part in layout.parts])
    geometry.placed("refined", heads.emit(crops), [layout.crops.index(crop) for crop in layout.crops])
    graph.reshape("mesh", t.tensors[layout.mesh], [1, POINTS, 3])
    graph.reshape("flag", t.tensors[layout.flag], [1, 1])
    return graph.model(["mesh", "refined", "flag"])
