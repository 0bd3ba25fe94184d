"""The same head in every protocol: one table of the signs that each of its fields has."""
import json
import struct
from collections import namedtuple

import numpy as np
import pytest
from pythonosc.osc_bundle import OscBundle

from edge.core.parts import Parts
from edge.outputs.live.signals import Follower
from edge.outputs.live.testface import Moves, MovingFace
from edge.outputs.record import encode

# of a person: the nose to its right, up; the crown to its left; the head to its right, up, nearer to the camera; the eyes to
# its left; the left eye shuts
Fields = namedtuple("Fields", "yaw pitch roll right up nearer look_left shut_left")
NONE = None  # the protocol has no such field
MOVES = Fields(Moves(yaw=20.0), Moves(pitch=15.0), Moves(roll=10.0), Moves(right_mm=60.0), Moves(up_mm=40.0),
               Moves(nearer_mm=100.0), Moves(gaze=(-15.0, 0.0)), Moves(shut=(0.0, 1.0)))
SIGNS = {  # of the field, while the person does what the column says
    "record":       Fields(+1, +1, +1, -1, -1, -1, -1, -1),
    "osc":          Fields(+1, +1, +1, -1, -1, -1, -1, +1),
    "vmc":          Fields(+1, -1, +1, NONE, NONE, NONE, -1, +1),
    "vrchat":       Fields(NONE, NONE, NONE, NONE, NONE, NONE, +1, +1),
    "opentrack":    Fields(+1, +1, +1, +1, +1, -1, NONE, NONE),
    "openseeface":  Fields(-1, -1, -1, +1, +1, +1, +1, -1),
    "vts":          Fields(+1, +1, -1, +1, +1, +1, -1, -1),
    "vts-phone":    Fields(+1, -1, +1, -1, +1, +1, -1, +1),
    "ifacialmocap": Fields(+1, -1, +1, +1, +1, +1, -1, +1),
    "socketio":     Fields(-1, -1, -1, NONE, NONE, NONE, +1, -1),
}


def recorded(moves):
    face = MovingFace()
    packet = face.packet(100.0)
    return encode(packet._replace(faces=(face._face(moves),)), 100.0, Parts(True, True, True), as_lists=False)


def signals_of(record, mirror=False):
    return Follower(mirror).follow(record, 0.0)


def osc_messages(datagrams):
    return [(message.address, message.params) for data in datagrams for message in OscBundle(data)]


def read_record(record, mirror):
    face = record["faces"][0]
    pose, sight = face["pose"], face["gaze"]
    return Fields(pose["yaw"], pose["pitch"], pose["roll"], *pose["translation_mm"], sight.get("left", sight)["yaw"],
                  face["expression"]["eye_open_left"])


def read_osc(record, mirror):
    from edge.outputs.live.osc import messages, values

    found = dict(osc_messages(values.encode(record, values.Places(), messages.Encoder())))
    start = "/nanoface/face/1/"
    return Fields(*found[start + "pose"], *found[start + "translation_mm"],
                  found.get(start + "gaze/left", found[start + "gaze"])[0], found[start + "expression/eyeBlinkLeft"][0])


def read_vmc(record, mirror):
    from edge.outputs.live.osc import messages, vmc

    found = osc_messages(vmc.encode(signals_of(record, mirror), 0.0, messages.Encoder()))
    bones = {arguments[0]: arguments[4:] for address, arguments in found if address == "/VMC/Ext/Bone/Pos"}
    values = {arguments[0]: arguments[1] for address, arguments in found if address == "/VMC/Ext/Blend/Val"}
    x, y, z, _ = bones["Head"]
    return Fields(y, x, z, None, None, None, bones["LeftEye"][1], values["Blink_L"])


def read_vrchat(record, mirror):
    from pythonosc.osc_message import OscMessage

    from edge.outputs.live.osc import messages, vrchat

    found = [OscMessage(data) for data in vrchat.encode(signals_of(record, mirror), messages.Encoder())]
    values = {message.address: message.params[0] for message in found}
    return Fields(None, None, None, None, None, None, values["/eyeLookOutLeft"] - values["/eyeLookInLeft"],
                  values["/eyeBlinkLeft"])


def read_opentrack(record, mirror):
    from edge.outputs.live import opentrack

    x, y, z, yaw, pitch, roll = struct.unpack("<6d", opentrack.encode(signals_of(record, mirror)))
    return Fields(yaw, pitch, roll, x, y, z, None, None)


def read_openseeface(record, mirror):
    packet = pytest.importorskip("edge.outputs.live.openseeface.packet")
    data = packet.Encoder(mirror).datagram(record, 0.0)
    values = struct.unpack("<di4fBf4f3f3f68f136f210f14f", data)
    (x, y, z), (down, across, depth) = values[12:15], values[15:18]
    left_eye_open, landmarks = values[5], np.reshape(values[86:222], (68, 2))
    pupil = landmarks[67, 0] - 0.5 * (landmarks[42, 0] + landmarks[45, 0])
    return Fields(y, (x + 360.0) % 360.0 - 180.0, z, across, down, depth, pupil, left_eye_open)


def read_vts(record, mirror):
    parameters = pytest.importorskip("edge.outputs.live.vts.parameters")
    axes = pytest.importorskip("edge.outputs.live.axes")
    found = parameters.defaults(signals_of(record, mirror), axes.unity_position((0.0, 0.0, 600.0)))
    return Fields(*[found[name] for name in ("FaceAngleX", "FaceAngleY", "FaceAngleZ", "FacePositionX", "FacePositionY",
                                             "FacePositionZ", "EyeLeftX", "EyeOpenLeft")])


def read_vts_phone(record, mirror):
    phone = pytest.importorskip("edge.outputs.live.phone.vtsphone")
    found = json.loads(phone.encode(signals_of(record, mirror), 0))
    turn, place = found["Rotation"], found["Position"]
    shapes = {shape["k"]: shape["v"] for shape in found["BlendShapes"]}
    return Fields(turn["x"], turn["y"], turn["z"], place["x"], place["y"], place["z"], found["EyeLeft"]["y"],
                  shapes["EyeBlinkLeft"])


def read_ifacialmocap(record, mirror):
    phone = pytest.importorskip("edge.outputs.live.phone.ifacialmocap")
    text = phone.encode(signals_of(record, mirror), "v1").decode("ascii")
    shapes, bones = text.split("|=")
    values = dict(word.rsplit("-", 1) for word in shapes.split("|"))
    bones = {name: [float(number) for number in numbers.split(",")]
             for name, numbers in (word.split("#") for word in bones.strip("|").split("|"))}
    x, y, z, right, up, nearer = bones["head"]
    return Fields(y, x, z, right, up, nearer, bones["leftEye"][1], float(values["eyeBlink_L"]))


def read_socketio(record, mirror):
    payload = pytest.importorskip("edge.outputs.live.socketio.payload")
    found = payload.payload(signals_of(record, mirror))
    pitch, yaw, roll = found["euler"]
    return Fields(yaw, pitch, roll, None, None, None, found["eye"][0], found["blink"][0])


READ = {"record": read_record, "osc": read_osc, "vmc": read_vmc, "vrchat": read_vrchat, "opentrack": read_opentrack,
        "openseeface": read_openseeface, "vts": read_vts, "vts-phone": read_vts_phone, "ifacialmocap": read_ifacialmocap,
        "socketio": read_socketio}
TURNS, PLACES = ("yaw", "pitch", "roll"), ("right", "up", "nearer")


def changes(name, moves, mirror=False):
    """Of each field, from the head at rest."""
    rest, moved = (READ[name](recorded(m), mirror) for m in (Moves(), moves))
    return Fields(*[None if before is None else after - before for before, after in zip(rest, moved)])


@pytest.mark.parametrize("name", list(SIGNS))
def test_each_field_has_its_sign_and_no_other_moves(name):
    assert set(SIGNS) == set(READ)
    for move, expected in zip(Fields._fields, SIGNS[name]):
        found = changes(name, getattr(MOVES, move))
        value = getattr(found, move)
        if expected is None:
            assert value is None
            continue
        assert np.sign(value) == expected and abs(value) > 1e-3, (move, value)
        for group in (TURNS, PLACES):
            for other in group:
                if other != move and getattr(found, other) is not None:
                    tolerance = 0.05 * abs(value) if move in group else 1e-3
                    assert abs(getattr(found, other)) <= tolerance, (move, other, found)


C, S = np.cos(np.radians(20.0)), np.sin(np.radians(20.0))
BY_HAND = {  # what a person does, and where its head's own left, its crown and its nose then point, in camera axes: x to the
    # picture's right, which is a person's left, y down, z away from the camera
    ("yaw", -20.0): ((C, 0, S), (0, -1, 0), (S, 0, -C)),  # looks to its own left: the nose to the picture's right
    ("pitch", 20.0): ((1, 0, 0), (0, -C, S), (0, -S, -C)),  # looks up: the crown goes back, away from the camera
    ("roll", 20.0): ((C, S, 0), (S, -C, 0), (0, 0, -1)),  # leans to its own left: the crown to the picture's right
}


@pytest.mark.parametrize("name", list(SIGNS))
@pytest.mark.parametrize("turn", list(BY_HAND), ids=["to its left", "up", "leans to its left"])
def test_a_head_that_was_turned_by_hand_has_the_signs_of_the_table(name, turn):
    """Without the function that makes rotations of angles: x_C = F R x_H, F = diag(1, -1, -1), of docs/records.md."""
    seen = np.transpose(BY_HAND[turn])  # the columns are the head's axes
    assert np.linalg.det(np.diag([1.0, -1.0, -1.0]).dot(seen)) == pytest.approx(1.0)
    move, degrees = turn
    face = MovingFace()
    packet = face.packet(100.0)
    whole = face._face(Moves())
    turned = whole._replace(pose=whole.pose._replace(rotation=np.diag([1.0, -1.0, -1.0]).dot(seen)))
    rest, found = (READ[name](encode(packet._replace(faces=(each,)), 100.0, Parts(True, True, True), as_lists=False), False)
                   for each in (whole, turned))
    sign, value = getattr(SIGNS[name], move), getattr(found, move)
    if sign is None:
        assert value is None
        return
    assert np.sign(value - getattr(rest, move)) == sign * np.sign(degrees)
    if name not in ("vmc", "openseeface"):  # quaternions; an angle that is not about 0
        assert abs(value) == pytest.approx(20.0, abs=0.01)


MIRRORED = {"yaw": -1, "pitch": 1, "roll": -1, "right": -1, "up": 1, "nearer": 1}


@pytest.mark.parametrize("name", [name for name in SIGNS if name not in ("record", "osc")])
def test_a_mirror_turns_what_goes_to_a_side(name):
    for move, sign in MIRRORED.items():
        plain, mirrored = (getattr(changes(name, getattr(MOVES, move), mirror), move) for mirror in (False, True))
        if plain is not None:
            assert mirrored == pytest.approx(sign * plain, rel=1e-3, abs=1e-3)
    shut = changes(name, Moves(shut=(1.0, 0.0)), True).shut_left
    if SIGNS[name].shut_left is not None:
        assert np.sign(shut) == SIGNS[name].shut_left and changes(name, MOVES.shut_left, True).shut_left == pytest.approx(
            0.0, abs=1e-3)


@pytest.mark.parametrize("name", ["opentrack", "vts", "vts-phone", "ifacialmocap", "socketio", "record", "osc"])
def test_angles_are_degrees_of_the_same_size(name):
    for move, degrees in (("yaw", 20.0), ("pitch", 15.0), ("roll", 10.0)):
        assert abs(getattr(changes(name, getattr(MOVES, move)), move)) == pytest.approx(degrees, abs=0.05)
