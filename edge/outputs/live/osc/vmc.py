"""The VMC protocol: head, eyes and blend shapes to a program that animates an avatar, as an Assistant of the protocol."""
import json
from typing import Dict, Iterator, List, Mapping, Optional

from edge.geometry.rotation import exp, from_angles, log
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.axes import Quaternion, unity_quaternion
from edge.outputs.live.datagrams import ToAddress
from edge.outputs.live.osc.messages import Encoder
from edge.outputs.live.output import AvatarOutput
from edge.outputs.live.signals import LOOK_DEG, Signals

VRM0, VRM1, PERFECT_SYNC, ALL = "vrm0", "vrm1", "perfectsync", "all"
PASCAL, CAMEL = "pascal", "camel"
CALIBRATED, NORMAL = 3, 0
# Perfect Sync's order; * is Left, then Right
IN_ORDER = (
    "browInnerUp browDown* browOuterUp* eyeLookUp* eyeLookDown* eyeLookIn* eyeLookOut* eyeBlink* eyeSquint* eyeWide* "
    "cheekPuff cheekSquint* noseSneer* jawOpen jawForward jaw* mouthFunnel mouthPucker mouth* mouthRollUpper mouthRollLower "
    "mouthShrugUpper mouthShrugLower mouthClose mouthSmile* mouthFrown* mouthDimple* mouthUpperUp* mouthLowerDown* "
    "mouthPress* mouthStretch* tongueOut")
SHAPES = tuple(name.replace("*", side) for name in IN_ORDER.split() for side in (("Left", "Right") if "*" in name else ("",)))
# VRM 0 -> VRM 1
PRESETS = {
    "Neutral": "neutral", "A": "aa", "I": "ih", "U": "ou", "E": "ee", "O": "oh", "Blink": "blink", "Blink_L": "blinkLeft",
    "Blink_R": "blinkRight", "Joy": "happy", "Angry": "angry", "Sorrow": "sad", "Fun": "relaxed", "LookUp": "lookUp",
    "LookDown": "lookDown", "LookLeft": "lookLeft", "LookRight": "lookRight",
}
SURPRISED = "surprised"  # VRM 1 alone has it
Shapes = Mapping[str, float]


def encode(signals: Signals, elapsed_s: float, encoder: Encoder, names: str = ALL, case: str = PASCAL) -> List[bytes]:
    """The datagrams of one frame: a bundle of the pose, then those of the shapes, of which the last commits them."""
    return [encoder.bundle(_pose(signals, elapsed_s, encoder))] + encoder.bundles(_shapes(signals, encoder, names, case))


def _pose(signals: Signals, elapsed_s: float, encoder: Encoder) -> Iterator[bytes]:
    yield encoder.message("/VMC/Ext/OK", (1, CALIBRATED, NORMAL, int(signals.tracked)))
    yield encoder.floats("/VMC/Ext/T", (elapsed_s,))
    half = unity_quaternion(exp([0.5 * x for x in log(signals.rotation)]))  # neck and head each turn by half of it
    eyes = {"LeftEye": "left", "RightEye": "right"}
    bones: Dict[str, Quaternion] = {"Neck": half, "Head": half}
    bones.update((bone, unity_quaternion(from_angles(*signals.gaze[eye], roll=0.0))) for bone, eye in eyes.items())
    for bone, turn in bones.items():
        yield encoder.floats("/VMC/Ext/Bone/Pos", (0.0, 0.0, 0.0) + turn, bone)


def _shapes(signals: Signals, encoder: Encoder, names: str, case: str) -> Iterator[bytes]:
    values: Dict[str, float] = {}
    if names in (PERFECT_SYNC, ALL):
        values.update((name if case == CAMEL else name[0].upper() + name[1:], signals.shapes[name]) for name in SHAPES)
    told = {} if names == PERFECT_SYNC else presets(signals)
    if names in (VRM0, ALL):
        values.update((name, told[name]) for name in PRESETS)
    if names in (VRM1, ALL):
        values.update((other, told[name]) for name, other in PRESETS.items())
        values[SURPRISED] = told[SURPRISED]
    for name, value in values.items():
        yield encoder.floats("/VMC/Ext/Blend/Val", (value,), name)
    for event in signals.events:
        yield encoder.message("/VMC/Thru/nanoface/event", (json.dumps(event, separators=(",", ":")),))
    yield encoder.message("/VMC/Ext/Blend/Apply")


def presets(signals: Signals) -> Dict[str, float]:
    """VRM's own expressions, by the names of VRM 0, made of ARKit's shapes by formulas of ours (docs/outputs.md).

    The vowels share the opening of the mouth, and happy and relaxed the smile, so that no sum passes 1. Blink stays 0:
    avatars add it to Blink_L and Blink_R.
    """
    s = signals.shapes
    opened, rounded, wide = s["jawOpen"], max(s["mouthPucker"], s["mouthFunnel"]), _both(s, "mouthStretch")
    smile, laughing = _both(s, "mouthSmile"), min(1.0, 2.0 * opened)
    found = {
        "A": opened * (1.0 - rounded) * (1.0 - wide), "E": opened * (1.0 - rounded) * wide, "O": opened * rounded,
        "U": (1.0 - opened) * rounded, "I": (1.0 - opened) * (1.0 - rounded) * wide,
        "Blink_L": s["eyeBlinkLeft"], "Blink_R": s["eyeBlinkRight"], "Blink": 0.0, "Neutral": 0.0,
        "Joy": smile * laughing, "Fun": smile * (1.0 - laughing), "Sorrow": _both(s, "mouthFrown") * (1.0 - smile),
        "Angry": _both(s, "browDown") * (1.0 - smile), SURPRISED: s["browInnerUp"] * opened * (1.0 - smile),
    }
    yaw, pitch = (0.5 * (right + left) / LOOK_DEG for right, left in zip(signals.gaze["right"], signals.gaze["left"]))
    found.update((name, min(1.0, max(0.0, value))) for name, value in (
        ("LookRight", yaw), ("LookLeft", -yaw), ("LookUp", pitch), ("LookDown", -pitch)))
    return found


def _both(shapes: Shapes, name: str) -> float:
    return 0.5 * (shapes[name + "Left"] + shapes[name + "Right"])


class Vmc(ToAddress, AvatarOutput):
    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        self._names, self._case = spec.keys.get("names", ALL), spec.keys.get("case", PASCAL)
        self._encoder = Encoder()
        self._began_at: Optional[float] = None

    def show(self, signals: Signals, now: float) -> None:
        self._began_at = now if self._began_at is None else self._began_at
        for datagram in encode(signals, now - self._began_at, self._encoder, self._names, self._case):
            self.target.send(datagram)


make = Vmc
