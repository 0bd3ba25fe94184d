"""The detectors by the names of their networks."""
from edge.models.blazeface import BlazeFace
from edge.models.faceboxes import FaceBoxes
from edge.models.fmr import FasterMobileRetinaFace
from edge.models.rfb320 import Rfb320
from edge.models.spec import Detector
from edge.models.yunet import YuNet

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


def make_detector(network: str) -> Detector:
    """The arithmetic of one network, by its name in the manifest."""
    return DETECTORS[network](network)
