"""The detectors by the names of their networks."""
from typing import Optional, Tuple

from edge.core.roles import SSD300X7
from edge.models.detectors.blazeface import BlazeFace
from edge.models.detectors.faceboxes import FaceBoxes
from edge.models.detectors.fmr import FasterMobileRetinaFace
from edge.models.detectors.rfb320 import Rfb320
from edge.models.detectors.ssd300x7 import Ssd300x7
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
OF_ANY_SIZE = {SSD300X7: Ssd300x7}  # what a network of one's own may be like, too


def make_detector(network: str, size: Optional[Tuple[int, int]] = None) -> Detector:
    """The crops and the decoder of one network, by its name in the manifest. `size`: width and height of the input of one of
    OF_ANY_SIZE.
    """
    return DETECTORS[network](network) if size is None else OF_ANY_SIZE[network](network, *size)
