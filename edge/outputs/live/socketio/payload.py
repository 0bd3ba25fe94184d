"""What the pages of OpenVtuber and DLVYF make an avatar of."""
import math
from typing import Any, Dict, Sequence

from edge.outputs.live.axes import head_angles
from edge.outputs.live.signals import EYES, Signals

# Their measure of the mouth is the gap over the outer height of the lips, gap + lips; their page changes the mouth's shape
# at 0.2, 0.4 and 0.6. mouth_open is the gap in another unit, in which the lips were 0.35 high: over 3152 faces of six films
# that differs from the ratio of the points (13, 14) over (0, 17) by 0.015 in the mean
LIPS = 0.35
OPEN_EYE = 0.3  # their measure of an open eye; below 0.1 it counts as closed


def payload(signals: Signals) -> Dict[str, Any]:
    """The object of `result_data` and `result_download`. `euler` is, in three.js, the head's rotation in degrees (x, y, z),
    `eye` that of the eyes' bones in radians (y, x), `blink` has the subject's left first. Their pages ignore `shapes`."""
    yaw, pitch, roll = head_angles(signals.rotation)
    sights = [signals.gaze[eye] for eye in EYES]
    gaze_yaw, gaze_pitch = (math.radians(sum(angles) / len(EYES)) for angles in zip(*sights))
    mouth = max(0.0, signals.mouth_open)
    return {"euler": _numbers((-pitch, -yaw, -roll), 2), "eye": _numbers((-gaze_yaw, -gaze_pitch), 4),
            "mouth": _numbers((mouth / (mouth + LIPS),), 4)[0],
            "blink": _numbers([OPEN_EYE * signals.eye_open[eye] for eye in ("left", "right")], 4),
            "shapes": dict(zip(signals.shapes, _numbers(list(signals.shapes.values()), 4)))}


def _numbers(values: Sequence[float], digits: int) -> Sequence[float]:
    """What is not finite is at rest: one NaN would make the avatar disappear."""
    return [round(value, digits) + 0.0 if math.isfinite(value) else 0.0 for value in values]
