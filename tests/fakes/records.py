"""Frame records for the tests of outputs: one face, as the relay hands it over."""
import numpy as np

from edge.core.parts import SHAPES
from edge.geometry.rotation import from_angles


def face(number=1, yaw=0.0, pitch=0.0, roll=0.0, place=(0.0, 0.0, 600.0), gaze=(0.0, 0.0), expression=None, box=None):
    """Whole, with all shapes at 0 where `expression` does not have them."""
    sight = {"yaw": gaze[0], "pitch": gaze[1]}
    values = dict({name: 0.0 for name in SHAPES}, eye_open_right=1.0, eye_open_left=1.0, mouth_open=0.0)
    return {
        "id": number, "score": 0.9, "box": box or [220.0, 140.0, 420.0, 340.0],
        "pose": {"yaw": yaw, "pitch": pitch, "roll": roll, "rotation": from_angles(yaw, pitch, roll).tolist(),
                 "translation_mm": list(place), "residual_px": 1.0},
        "iris": {eye: {"center": [300.0, 200.0], "radius": 6.0, "score": 0.9} for eye in ("right", "left")},
        "gaze": dict(sight, direction=[0.0, 0.0, -1.0], right=dict(sight), left=dict(sight)),
        "expression": dict(values, **(expression or {})), "missing": {}}


def record(*faces, frame=0, events=()):
    return {"schema": 1, "frame": frame, "captured_at": 100.0 + frame / 30.0, "time_s": frame / 30.0, "age_ms": 10.0,
            "size": [640, 480], "faces": list(faces), "events": list(events)}


def with_points(found):
    """The same face with its points as arrays."""
    points = np.round(np.random.RandomState(found["id"]).uniform(100.0, 400.0, (468, 3)), 2)
    return dict(found, landmarks=points, eye_contours={eye: points[:71, :2] for eye in ("right", "left")})


def blink(number=1, face_id=1):
    return {"schema": 1, "event": "blink", "id": number, "phase": "end", "face": face_id, "frame": 3, "time_s": 0.1,
            "captured_at": 100.1, "start_s": 0.0, "end_s": 0.1, "duration_s": 0.1, "confidence": 0.9, "side": "left"}
