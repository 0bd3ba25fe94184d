"""Every value of the record as an OSC message, for programs that make sound, light or pictures of them."""
import json
from typing import Any, Dict, Iterator, List, Mapping, Optional

import numpy as np

from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.datagrams import ToAddress
from edge.outputs.live.osc.messages import Encoder
from edge.outputs.live.output import LiveOutput, Record

ANGLES = ("yaw", "pitch", "roll")


class Places:
    """Faces by small numbers, from 1: a face keeps its own while it is there, a new one gets the lowest that is free. Ids grow
    for ever, and nobody can wire a patch to those."""

    def __init__(self) -> None:
        self._taken: Dict[int, int] = {}

    def of(self, ids: List[int]) -> List[int]:
        self._taken = {face: place for face, place in self._taken.items() if face in ids}
        for face in ids:
            used = self._taken.values()
            self._taken.setdefault(face, next(n for n in range(1, len(ids) + len(used) + 2) if n not in used))
        return [self._taken[face] for face in ids]


def encode(record: Record, places: Places, encoder: Encoder) -> List[bytes]:
    """The datagrams of a frame record; one with points is larger than the others."""
    return encoder.bundles(_messages(record, places, encoder))


def _messages(record: Record, places: Places, encoder: Encoder) -> Iterator[bytes]:
    yield encoder.message("/nanoface/frame", (int(record["frame"]), float(record.get("time_s", 0.0))))
    yield encoder.message("/nanoface/size", [int(pixels) for pixels in record["size"]])
    faces = record["faces"]
    yield encoder.message("/nanoface/faces", (len(faces),))
    for place, face in zip(places.of([face["id"] for face in faces]), faces):
        start = "/nanoface/face/{}/".format(place)
        yield encoder.message(start + "id", (int(face["id"]),))
        for name, values in _values(face):
            yield encoder.floats(start + name, values)


def _values(face: Mapping[str, Any]) -> Iterator[Any]:
    """(name, numbers) of what is known of a face."""
    for name in ("score", "box", "landmarks", "landmarks68"):
        if name in face:
            yield name, _flat(face[name])
    pose = face.get("pose")
    if pose is not None:
        yield "pose", _named(pose, ANGLES)
        for name in ("rotation", "translation_mm", "residual_px"):
            if name in pose:
                yield name, _flat(pose[name])
        if "neutral" in pose:
            yield "neutral", _named(pose["neutral"], ANGLES)
    for eye, iris in face.get("iris", {}).items():
        yield "iris/" + eye, _flat(iris["center"]) + [iris["radius"], iris["score"]]
    gaze = face.get("gaze")
    if gaze is not None:
        yield "gaze", _named(gaze, ANGLES[:2])
        yield "gaze/direction", _flat(gaze["direction"])
        for eye in ("right", "left"):
            if eye in gaze:
                yield "gaze/" + eye, _named(gaze[eye], ANGLES[:2])
    for name, value in face.get("expression", {}).items():
        yield "expression/" + name, [value]
    for eye, points in face.get("eye_contours", {}).items():
        yield "eye_contours/" + eye, _flat(points)


def _flat(values: Any) -> List[float]:
    numbers: List[float] = np.asarray(values, np.float64).ravel().tolist()
    return numbers


def _named(values: Mapping[str, float], names: Any) -> List[float]:
    return [values[name] for name in names]


def encode_event(event: Record, encoder: Encoder) -> bytes:
    """Phase, face, confidence and seconds (0 where there is none of it), and the whole event record as JSON."""
    numbers = int(event.get("face", 0)), float(event.get("confidence", 0.0)), float(event.get("duration_s", 0.0))
    return encoder.message("/nanoface/event/{}".format(event["event"]),
                           (event["phase"],) + numbers + (json.dumps(event, separators=(",", ":")),))


class Osc(ToAddress, LiveOutput):
    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        self._encoder, self._places = Encoder(), Places()

    def send(self, record: Optional[Record], events: List[Record], now: float) -> None:
        datagrams = [] if record is None else encode(record, self._places, self._encoder)
        if events:
            datagrams += self._encoder.bundles(encode_event(event, self._encoder) for event in events)
        for datagram in datagrams:
            self.target.send(datagram)


make = Osc
