"""What a frame record holds only for who asks, and the names of the blend shapes."""
from typing import Any, NamedTuple, Tuple

# ARKit's names, in its order; which of them a network can tell is decided with its table
SHAPES = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft", "eyeWideLeft",
    "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight",
    "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft",
    "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft",
    "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)


class Parts(NamedTuple):
    """Which of the parts that cost something to make are wanted."""

    landmarks: bool = False  # the 468 points and the eye contours
    shapes: bool = False  # the blend shapes among a face's expression
    events: bool = False
    coarse: bool = False  # with the shapes those that the points tell roughly
    landmarks68: bool = False  # 68 points in iBUG's order, by a network of their own


NO_PARTS, POINTS_ONLY = Parts(), Parts(landmarks=True)
IBUG, BOTH = 68, "all"  # values of `landmarks` beside True, which is the mesh, and False


def points_wanted(landmarks: Any) -> Tuple[bool, bool]:
    """Whether a value of `landmarks` asks for the mesh, and whether for the 68 points."""
    return landmarks in (True, BOTH), landmarks in (IBUG, BOTH)
