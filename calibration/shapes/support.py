"""Which shapes each network's points cannot tell, as measured on heads that were not in the fit; see docs/expressions.md."""
from typing import Dict

MIXED = "the points cannot tell it from others when several are mixed"
SMALL = "it moves the points less than they tremble"
UNSUPPORTED: Dict[str, Dict[str, str]] = {
    "face_attention": {
        "mouthPressRight": MIXED, "mouthLowerDownRight": MIXED, "eyeSquintRight": MIXED, "mouthStretchRight": MIXED,
        "mouthFrownRight": MIXED, "mouthClose": MIXED, "jawForward": SMALL,
    },
    "face_landmark": {
        "mouthPressRight": MIXED, "mouthLowerDownRight": MIXED, "eyeSquintRight": MIXED, "mouthStretchRight": MIXED,
        "mouthFrownRight": MIXED, "mouthClose": MIXED, "jawForward": SMALL, "mouthPucker": MIXED, "mouthRollUpper": MIXED,
        "mouthDimpleRight": MIXED, "cheekSquintRight": SMALL,
    },
}
