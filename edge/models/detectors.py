"""Which class decodes which detection network."""
from typing import Callable, Dict

from edge.errors import ModelError
from edge.models.blazeface import BlazeFace
from edge.models.faceboxes import FaceBoxes
from edge.models.fmr import FasterMobileRetinaFace
from edge.models.rfb320 import Rfb320
from edge.models.spec import Detector
from edge.models.yunet import YuNet

DETECTORS = {
    "yunet_s": YuNet,
    "yunet_n": YuNet,
    "blazeface_full": BlazeFace,
    "blazeface_short": BlazeFace,
    "fmr_8and16": FasterMobileRetinaFace,
    "fmr_16and32": FasterMobileRetinaFace,
    "rfb320": Rfb320,
    "faceboxes": FaceBoxes,
}  # type: Dict[str, Callable[[str], Detector]]


def make_detector(network: str) -> Detector:
    """The decoder of a network by its name in the manifest. Raises ModelError."""
    if network not in DETECTORS:
        raise ModelError("no detector is called {}: take one of {}".format(network, ", ".join(DETECTORS)))
    return DETECTORS[network](network)
