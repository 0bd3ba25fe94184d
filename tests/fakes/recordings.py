"""A made-up run, and the recording of it."""
import functools
import math

import numpy as np

from edge.core.packet import END, START, Event, Eyes, Face, Frame, Gaze, Iris, Packet, Pose, Roi
from edge.core.parts import Parts
from edge.outputs.record import encode
from edge.recording.writing import Writer

ALL = Parts(True, True, True)
IMAGE = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (480, 640, 3))


def face(number, at, missing=None, **changes):
    mesh = np.random.RandomState(7).uniform(-60.0, 60.0, (468, 3)) + (at, 240.0, 0.0)
    mesh += np.random.RandomState(int(at * 10)).normal(0.0, 0.1, mesh.shape)
    full = Face(number, Roi(at, 240.0, 150.0, 0.0), 0.98765, (at - 60.0, 180.0, at + 60.0, 300.0), mesh,
                Pose(np.eye(3), np.array([1.0, 2.0, 600.0]), 0.5), Eyes(Iris(np.array([at, 200.0]), 5.0, 0.9), None),
                Eyes(mesh[:71, :2], mesh[71:142, :2]), Gaze((1.0, 2.0), (1.0, 2.0), None, np.array([0.0, 0.0, -1.0])),
                {"eye_open_right": 0.5, "jawOpen": 0.25, "mouth_open": 0.125},
                {"iris.left": "eye closed", "eyeBlinkLeft": "turned away"} if missing is None else missing)
    return full._replace(**changes)


def packets():
    """Faces that come, go and move; frames that were dropped; values that are missing; points that are far out."""
    told = (Event("face", 1, START, 1, 0.0, None, 1.0), Event("blink", 2, END, 1, 0.1, 0.2333333, 0.8, {"side": "both"}))
    far = face(1, 100.0)._replace(landmarks=np.full((468, 3), 1e12))
    bare = Face(4, Roi(0.0, 0.0, 1.0, 0.0), 0.5, (1.0, 2.0, 3.0, 4.0))
    odd = face(3, 50.0, eye_contours=Eyes(None, np.full((71, 2), math.nan)), pose=None, landmarks=None)
    cases = [(0, ()), (1, (face(1, 100.0),)), (2, (face(1, 101.0), face(2, 400.0))), (5, (face(2, 401.0), face(1, 103.5))),
             (6, (far,)), (7, (odd, bare)), (9, (face(1, 104.0),))] + [(n, (face(1, 100.0 + n),)) for n in range(10, 140)]
    for seq, faces in cases:
        frame = Frame(seq, 1000.0 + seq, seq / 30.0, IMAGE, "/media/anna/secret.jpg" if seq == 2 else "")
        yield Packet(frame, faces, (), told if seq == 5 else ())


@functools.lru_cache(maxsize=None)
def _encoded():
    return tuple(encode(packet, packet.frame.captured_at + 0.01, ALL) for packet in packets())


def records():
    """The same ones each time: not to be changed."""
    return list(_encoded())


LAST = {"schema": 1, "events": [
    {"schema": 1, "event": "face", "id": 1, "phase": "end", "face": 1, "start_s": 0.0, "end_s": 4.0}]}


def written(each=None, facts=None, end=True):
    writer = Writer()
    pieces = [writer.head(facts or {"nanoface": "0.1.0"})] + [writer.frame(r) for r in (records() if each is None else each)]
    return pieces + ([writer.end()] if end else [])


def without_file(record):
    """What a recording keeps of it."""
    return {key: value for key, value in record.items() if key != "file"}


def replayed(path, each=None, **facts):
    """The path of a recording of these records, or of all."""
    with open(str(path), "wb") as f:
        f.write(b"".join(written(each, dict({"nanoface": "0.1.0", "fps": 30.0}, **facts))))
    return str(path)
