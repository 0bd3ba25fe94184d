"""Tensors of each network by its name, as its decoder reads them: the manifest's, which a run does not have."""
from typing import Dict, Tuple

from edge.core.interface import Interface, Shape
from edge.core.roles import SSD300X7

YUNET_OUTPUTS: Dict[str, Shape] = {"{}_{}".format(kind, stride): (1, cells, columns)
                 for stride, cells in ((8, 1280), (16, 320), (32, 80))
                 for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))}
MESH: Tuple[Shape, Dict[str, Shape]] = ((1, 3, 192, 192), {"landmarks": (1, 1404), "presence": (1, 1)})
TABLE: Dict[str, Tuple[Shape, Dict[str, Shape]]] = {
    "yunet_s": ((1, 3, 256, 320), YUNET_OUTPUTS),
    "yunet_n": ((1, 3, 256, 320), YUNET_OUTPUTS),
    "blazeface_full": ((1, 3, 192, 192), {"regressors": (1, 2304, 16), "scores": (1, 2304, 1)}),
    "blazeface_short": ((1, 3, 128, 128), {"regressors": (1, 896, 16), "scores": (1, 896, 1)}),
    "fmr_8and16": ((1, 3, 240, 320), {"cls_8": (1, 4, 30, 40), "bbox_8": (1, 8, 30, 40),
                                      "cls_16": (1, 4, 15, 20), "bbox_16": (1, 8, 15, 20)}),
    "fmr_16and32": ((1, 3, 240, 320), {"cls_16": (1, 4, 15, 20), "bbox_16": (1, 8, 15, 20),
                                       "cls_32": (1, 4, 8, 10), "bbox_32": (1, 8, 8, 10)}),
    "rfb320": ((1, 3, 240, 320), {"scores": (1, 4420, 2), "boxes": (1, 4420, 4)}),
    "faceboxes": ((1, 3, 240, 320), {"boxes": (1, 1706, 4), "scores": (1, 1706, 2)}),
    SSD300X7: ((1, 3, 0, 0), {"detections": (1, 1, 0, 7)}),
    "face_attention": ((1, 3, 192, 192), {"mesh": (1, 468, 3), "refined": (5, 2, 80), "flag": (1, 1)}),
    "face_landmark": MESH,
    "facemesh_pth": MESH,
    "mb05": ((1, 3, 120, 120), {"params": (1, 62)}),
    "iris_landmark": ((2, 3, 64, 64), {"contour": (2, 213), "iris": (2, 15)}),
}


def interfaces() -> Dict[str, Interface]:
    return {name: Interface(name, shape, outputs) for name, (shape, outputs) in TABLE.items()}
