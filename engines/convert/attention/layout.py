"""Which tensors of the file are what, and whether its operators are asked for what is translated."""
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence

import numpy as np

from edge.core.errors import ModelError
from engines.convert.attention.geometry import CELL_PX, CROP, MARGIN, SIDE, Subset
from engines.convert.attention.heads import PLANE
from engines.convert.lite_file import LiteFile, LiteOp, custom_options

MESH, FLAG = "output_mesh_identity", "conv_faceflag"  # upstream's outputs
PARTS = ("output_lips", "output_left_eye", "output_right_eye", "output_left_iris", "output_right_iris")
HEADS = 3  # parts with a crop of their own: the irises share those of the eyes
CROPPED = {"output_height": CROP, "output_width": CROP}
PLACED = dict(CROPPED, scale_x=MARGIN, scale_y=MARGIN, target_rotation_radians=0.0)


class Part(NamedTuple):
    """Tensors of one part, and the options of the operator that places its crop."""

    branch: int  # of its last convolution
    matrix: int  # (1, 4, 4) from the crop to the feature map
    points: int  # (1, 468, 3) in cells of the feature map
    place: Dict[str, Any]


class Layout:
    """Which tensors of the file play which part. Raises ModelError where one is made in another way than is translated."""

    def __init__(self, lite: LiteFile) -> None:
        self._lite = lite
        self._made = {op.output: op for op in lite.ops}
        named = {lite.tensors[i].name: i for i in lite.outputs}
        missing = sorted({MESH, FLAG, *PARTS} - set(named))
        if missing:
            raise ModelError("this is no attention mesh: it has no output {}".format(", ".join(missing)))
        self.flag = named[FLAG]
        self.parts = [self._part(named[name]) for name in PARTS]
        self.mesh = self._one([self._mesh_of(part) for part in self.parts], "mesh")
        if self._maker(named[MESH]).inputs[0] != self.mesh:
            raise ModelError("the crops of this attention mesh are not made of the points that it gives")
        crops = [self._crop_of(part) for part in self.parts]
        self.crops = [op.output for op in crops]  # of each part
        self.feature = self._one([op.inputs[0] for op in crops], "feature map")
        self._check_shapes()

    def subsets(self) -> List[Subset]:
        return [Subset(tuple(p.place["subset_idxs"]), p.place["left_rotation_idx"], p.place["right_rotation_idx"])
                for p in self.parts[:HEADS]]

    def _part(self, output: int) -> Part:
        moved = self._maker(output, "TransformLandmarks")
        points, matrix = moved.inputs
        scaled = self._maker(matrix, "MUL")
        unit = np.array([CELL_PX, CELL_PX, 1.0, 1.0])
        self._is_constant(scaled.inputs[1], np.outer(unit, 1.0 / unit))  # the same map in pixels instead of cells
        place = self._maker(scaled.inputs[0], "Landmarks2TransformMatrix")
        return Part(self._maker(points, "RESHAPE").inputs[0], place.output, place.inputs[0], self._options(place, PLACED))

    def _mesh_of(self, part: Part) -> int:
        scaled = self._maker(part.points, "MUL")
        self._is_constant(scaled.inputs[1], np.array(1.0 / CELL_PX))
        return self._maker(scaled.inputs[0], "RESHAPE").inputs[0]

    def _crop_of(self, part: Part) -> LiteOp:
        found = [op for op in self._lite.ops if op.kind == "TransformTensorBilinear" and op.inputs[1] == part.matrix]
        if len(found) != 1:
            raise ModelError("a part of this attention mesh has {} crops".format(len(found)))
        self._options(found[0], CROPPED)
        return found[0]

    def _maker(self, tensor: int, kind: str = "") -> LiteOp:
        """What makes a tensor; outputs are reshaped in the end."""
        op = self._made[tensor]
        if kind and op.kind != kind and op.kind == "RESHAPE":
            op = self._made[op.inputs[0]]
        if kind and op.kind != kind:
            raise ModelError("the operator {} stands where an attention mesh has {}".format(op.kind, kind))
        return op

    def _is_constant(self, tensor: int, expected: np.ndarray) -> None:
        values = self._lite.tensors[tensor].values
        if values is None or values.size != expected.size or not (values.reshape(expected.shape) == expected).all():
            raise ModelError("a factor of this attention mesh is not one that is translated")

    @staticmethod
    def _options(op: LiteOp, expected: Mapping[str, Any]) -> Dict[str, Any]:
        options = custom_options(op)
        for key, value in expected.items():
            if options.get(key) != value:
                raise ModelError("{} with {}={}, where {} is translated".format(op.kind, key, options.get(key), value))
        return options

    @staticmethod
    def _one(tensors: Sequence[int], what: str) -> int:
        if len(set(tensors)) != 1:
            raise ModelError("the parts of this attention mesh look at more than one {}".format(what))
        return tensors[0]

    def _check_shapes(self) -> None:
        height, width = self._lite.tensors[self.feature].shape[1:3]
        size = self._lite.tensors[self._lite.inputs[0]].shape[1:3]
        crops = [self.crops[:HEADS].index(crop) if crop in self.crops[:HEADS] else -1 for crop in self.crops]
        if (height, width) != (SIDE, SIDE) or size != (SIDE * CELL_PX,) * 2 or crops != [0, 1, 2, 1, 2]:
            raise ModelError("an attention mesh of another layout than is translated")
        if max(len(part.place["subset_idxs"]) for part in self.parts) > PLANE:
            raise ModelError("a part of this attention mesh has more than {} points".format(PLANE))
