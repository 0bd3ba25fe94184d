"""VTube Studio's telephone: JSON for each frame, to the ports that a program lists, for as long as it asks."""
import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from edge.core import clock
from edge.core.parts import SHAPES
from edge.host.reading import parse_json
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.axes import eye_euler, unity_euler, unity_position
from edge.outputs.live.output import AvatarOutput, peers
from edge.outputs.live.phone.requesters import Requesters
from edge.outputs.live.signals import Signals
from edge.outputs.live.udp import UdpListener

REQUEST = "iOSTrackingDataRequest"
SHORTEST_S, LONGEST_S = 0.5, 10.0
MOST_PORTS, LONGEST_NAME, LONGEST_BYTES = 32, 64, 2048
MOST = 64  # ports of all programs together
NO_HOTKEY = -1
FORM = "json"
KEYS = tuple((name, name[0].upper() + name[1:]) for name in SHAPES)


class Request(NamedTuple):
    """What a program asks for."""

    seconds: float
    ports: Tuple[int, ...]


def read_request(data: bytes) -> Optional[Request]:
    """None for anything else. Some programs call `time` `sendForSeconds`."""
    if len(data) > LONGEST_BYTES or REQUEST.encode("ascii") not in data:
        return None
    try:
        found = parse_json(data)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("messageType") != REQUEST:
        return None
    seconds, name, ports = found.get("time", found.get("sendForSeconds")), found.get("sentBy"), found.get("ports")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not SHORTEST_S <= seconds <= LONGEST_S:
        return None
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
        return None
    if not isinstance(ports, list) or not 1 <= len(ports) <= MOST_PORTS or not all(type(port) is int for port in ports):
        return None
    return Request(float(seconds), tuple(sorted(set(ports)))) if all(1 <= port <= 65535 for port in ports) else None


def encode(signals: Signals, timestamp_ms: int) -> bytes:
    """Rotation has the turn to the side in x (> 0: to the subject's right), the nod in y (> 0: down), the lean in z (> 0: to
    the subject's left); Position is in centimetres, x to the subject's left, y up, z toward the camera; the eyes turn as in
    Unity: x down, y to the subject's right."""
    down, right, left = unity_euler(signals.rotation)
    x, y, z = (100.0 * metres for metres in unity_position(signals.position_mm))
    shapes: List[Dict[str, Any]] = [{"k": key, "v": round(signals.shapes[name], 5)} for name, key in KEYS]
    return json.dumps({
        "Timestamp": timestamp_ms, "Hotkey": NO_HOTKEY, "FaceFound": signals.tracked,
        "Rotation": _vector(right, down, left), "Position": _vector(-x, y, z), "BlendShapes": shapes,
        "EyeLeft": _vector(*eye_euler(signals.gaze["left"])), "EyeRight": _vector(*eye_euler(signals.gaze["right"])),
    }, separators=(",", ":")).encode("ascii")


def _vector(x: float, y: float, z: float) -> Dict[str, float]:
    return {"x": round(x, 5), "y": round(y, 5), "z": round(z, 5)}


class VtsPhone(AvatarOutput):
    """Answers at its port."""

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        assert spec.address is not None
        self._listener = UdpListener(self.name, spec.address)
        self._asking = Requesters(MOST, spec.keys.get("anywhere", False))
        self._invalid = 0

    @property
    def condition(self) -> str:  # type: ignore
        return peers(len(self._asking))

    def more_counts(self) -> Dict[str, int]:
        return {"refused": self._invalid + self._asking.refused + self._listener.refused}

    def open(self) -> None:
        self._listener.open()

    def show(self, signals: Signals, now: float) -> None:
        for data, (host, _) in self._listener.received():
            request = read_request(data)
            if request is None:
                self._invalid += 1
                continue
            for port in request.ports:
                self._asking.take(host, port, FORM, now + request.seconds, now)
        if self._asking:
            data = encode(signals, int(1000.0 * clock.wall()))
            self._asking.send(lambda form: data, now)

    def close(self) -> None:
        self._asking.close()
        self._listener.close()


make = VtsPhone
