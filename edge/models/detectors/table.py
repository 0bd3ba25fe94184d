"""The detectors by the names of their networks."""
from typing import Any, Dict, Optional, Tuple

from edge.core.roles import SSD300X7
from edge.models.detectors.blazeface import BlazeFace
from edge.models.detectors.faceboxes import FaceBoxes
from edge.models.detectors.fmr import FasterMobileRetinaFace
from edge.models.detectors.rfb320 import Rfb320
from edge.models.detectors.sized import ScaledDetector
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
# those that can see pictures of other sizes -> what the sides of the input are multiples of, pixels
MULTIPLES = {"yunet_s": 32, "yunet_n": 32, "fmr_8and16": 32, "fmr_16and32": 32, "rfb320": 32, "faceboxes": 32}
OF_ANY_SIZE = {SSD300X7: Ssd300x7}  # what a network of one's own may be like, too


def make_detector(network: str, most_iou: Optional[float] = None, size: Optional[Tuple[int, int]] = None) -> Detector:
    """The crops and the decoder of one network, by its name in the manifest. `most_iou` in the place of its own; `size`: width
    and height of the input, of one of OF_ANY_SIZE or MULTIPLES."""
    makers: Dict[str, Any] = dict(DETECTORS, **OF_ANY_SIZE)
    detector: Detector = makers[network](network, *(size or ()))
    if most_iou is not None:
        detector.most_iou = most_iou
    return detector


def scaled_detector(network: str, scale: float, most_iou: Optional[float] = None) -> ScaledDetector:
    """The same for one of MULTIPLES, which sees each frame resized by `scale`."""
    return ScaledDetector(network, scale, MULTIPLES[network],
                          lambda width, height: make_detector(network, most_iou, (width, height)))
