"""The detectors by the names of their networks."""
from typing import Optional

from edge.models.detectors.blazeface import BlazeFace
from edge.models.detectors.faceboxes import FaceBoxes
from edge.models.detectors.fmr import FasterMobileRetinaFace
from edge.models.detectors.rfb320 import Rfb320
from edge.models.detectors.yunet import YuNet
from edge.models.spec import Detector

DETECTORS = {
    "yunet_s": YuNet,
    "yunet_n": YuNet,
    "fmr_8and16": FasterMobileRetinaFace,
    "fmr_16and32": FasterMobileRetinaFace,
    "rfb320": Rfb320,
    "faceboxes": FaceBoxes,
    "blazeface_short": BlazeFace,
    "blazeface_full": BlazeFace,
}


def make_detector(network: str, most_iou: Optional[float] = None) -> Detector:
    """The crops and the decoder of one network, by its name in the manifest. `most_iou` in the place of its own."""
    detector = DETECTORS[network](network)
    if most_iou is not None:
        detector.most_iou = most_iou
    return detector
