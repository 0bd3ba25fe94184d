"""The telephones' datagrams, read by decoders that were written from the formats' descriptions."""
import json
import random
import socket

import numpy as np
import pytest

from edge.core.parts import SHAPES
from edge.geometry.rotation import from_angles
from edge.outputs.kinds import OutputOptions
from edge.outputs.live.phone import ifacialmocap, vtsphone
from edge.outputs.live.phone.requesters import CLOSED_S, Requesters, is_here, is_near
from edge.outputs.live.signals import at_rest, mirrored
from edge.outputs.spec import parse_output

NAMES = """browInnerUp browDown_L browDown_R browOuterUp_L browOuterUp_R eyeLookUp_L eyeLookUp_R eyeLookDown_L eyeLookDown_R
eyeLookIn_L eyeLookIn_R eyeLookOut_L eyeLookOut_R eyeBlink_L eyeBlink_R eyeSquint_L eyeSquint_R eyeWide_L eyeWide_R cheekPuff
cheekSquint_L cheekSquint_R noseSneer_L noseSneer_R jawOpen jawForward jawLeft jawRight mouthFunnel mouthPucker mouthLeft
mouthRight mouthRollUpper mouthRollLower mouthShrugUpper mouthShrugLower mouthClose mouthSmile_L mouthSmile_R mouthFrown_L
mouthFrown_R mouthDimple_L mouthDimple_R mouthUpperUp_L mouthUpperUp_R mouthLowerDown_L mouthLowerDown_R mouthPress_L
mouthPress_R mouthStretch_L mouthStretch_R tongueOut""".split()
ASK = b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719"
REQUEST = {"messageType": "iOSTrackingDataRequest", "time": 2.5, "sentBy": "App", "ports": [11125]}


def read_line(line, mark):
    """Shapes, and bones by name."""
    text = line.decode("ascii")
    assert text.count("=") == 1 and text.endswith("|") and "\n" not in text
    shapes, bones = text.split("=")
    assert shapes.endswith("|")
    pairs = [word.split(mark) for word in shapes[:-1].split("|")]
    assert all(len(pair) == 2 and pair[1].isdigit() for pair in pairs)
    found = [word.split("#") for word in bones[:-1].split("|")]
    assert [name for name, _ in found] == ["head", "rightEye", "leftEye"]
    return {name: int(value) for name, value in pairs}, {name: [float(x) for x in xs.split(",")] for name, xs in found}


def a_face(rng):
    return at_rest()._replace(
        tracked=True, rotation=from_angles(*rng.uniform(-40, 40, 3)), position_mm=tuple(rng.uniform(-900, 900, 3)),
        gaze={eye: tuple(rng.uniform(-30, 30, 2)) for eye in ("right", "left")},
        shapes={name: rng.uniform(0, 1) for name in SHAPES})


@pytest.mark.parametrize("version, mark", [("v1", "-"), ("v2", "&")])
def test_a_line_has_all_there_is(version, mark):
    rng = np.random.RandomState(1)
    for _ in range(50):
        signals = a_face(rng)
        line = ifacialmocap.encode(signals, version)
        shapes, bones = read_line(line, mark)
        assert sorted(shapes) == sorted(NAMES) and 850 < len(line) < 1200
        for name, value in signals.shapes.items():
            assert shapes[ifacialmocap.written(name)] == round(100 * value)
        assert bones["head"][3:] == pytest.approx([-signals.position_mm[0] / 1000, -signals.position_mm[1] / 1000,
                                                   -signals.position_mm[2] / 1000], abs=1e-6)
        assert len(bones["head"]) == 6 and len(bones["rightEye"]) == len(bones["leftEye"]) == 3


def turned(yaw=0.0, pitch=0.0, roll=0.0):
    return at_rest()._replace(rotation=from_angles(yaw, pitch, roll), gaze={"right": (yaw, pitch), "left": (0.0, 0.0)})


@pytest.mark.parametrize("signals, line, phone", [
    (turned(yaw=20.0), [0, 20, 0], {"x": 20, "y": 0, "z": 0}), (turned(pitch=15.0), [-15, 0, 0], {"x": 0, "y": -15, "z": 0}),
    (turned(roll=10.0), [0, 0, 10], {"x": 0, "y": 0, "z": 10})])
def test_signs_of_a_turned_head(signals, line, phone):
    """Nose to the subject's right, nose up, crown to the subject's left."""
    bones = read_line(ifacialmocap.encode(signals, "v1"), "-")[1]
    assert bones["head"][:3] == pytest.approx(line, abs=1e-5)
    assert bones["rightEye"][:2] == pytest.approx(line[:2], abs=1e-5) and bones["leftEye"] == pytest.approx([0, 0, 0])
    found = json.loads(vtsphone.encode(signals, 1).decode())
    assert found["Rotation"] == pytest.approx(phone, abs=1e-4)
    assert [found["EyeRight"][axis] for axis in "xy"] == pytest.approx(line[:2], abs=1e-4)
    other = read_line(ifacialmocap.encode(mirrored(signals), "v1"), "-")[1]
    assert other["head"][:3] == pytest.approx([line[0], -line[1], -line[2]], abs=1e-5)


def test_values_beyond_their_range_stay_whole_numbers():
    shapes = {name: value for name, value in zip(SHAPES, [-0.3, 1.7, 0.004, 0.996] * 13)}
    found = set(read_line(ifacialmocap.encode(at_rest()._replace(shapes=shapes), "v1"), "-")[0].values())
    assert found == {0, 100}


def test_a_face_that_keeps_still_is_not_the_line_before_and_a_lost_one_is():
    output = ifacialmocap.make(parse_output("ifacialmocap://192.0.2.7"), OutputOptions(False, False, False, lambda: None))
    still = at_rest()._replace(tracked=True)
    lines = [output._line(still, "v1") for _ in range(6)]
    assert all(a != b for a, b in zip(lines, lines[1:])) and len(set(lines)) == 2
    lost = [output._line(still._replace(tracked=False), "v1") for _ in range(3)]
    assert len(set(lost[1:])) == 1


def test_the_phone_of_vtube_studio_has_every_key():
    signals = a_face(np.random.RandomState(2))
    found = json.loads(vtsphone.encode(signals, 1625405710728).decode("ascii"))
    assert set(found) == {"Timestamp", "Hotkey", "FaceFound", "Rotation", "Position", "BlendShapes", "EyeLeft", "EyeRight"}
    assert (found["Timestamp"], found["Hotkey"], found["FaceFound"]) == (1625405710728, -1, True)
    assert json.loads(vtsphone.encode(signals._replace(tracked=False), 1).decode("ascii"))["FaceFound"] is False
    shapes = {row["k"]: row["v"] for row in found["BlendShapes"]}
    assert len(found["BlendShapes"]) == 52 and set(map(len, found["BlendShapes"])) == {2}
    assert all(shapes[name[0].upper() + name[1:]] == pytest.approx(value, abs=1e-5) for name, value in signals.shapes.items())
    assert found["Position"] == pytest.approx({"x": signals.position_mm[0] / 10, "y": -signals.position_mm[1] / 10,
                                               "z": -signals.position_mm[2] / 10}, abs=1e-4)


@pytest.mark.parametrize("change, taken", [
    ({}, True), ({"time": 0.5}, True), ({"time": 10}, True), ({"time": None, "sendForSeconds": 3}, False),
    ({"ports": list(range(1, 33))}, True), ({"sentBy": "x" * 64}, True),
    ({"time": 0.4}, False), ({"time": 10.1}, False), ({"time": True}, False), ({"time": "3"}, False), ({"time": 1e999}, False),
    ({"ports": []}, False), ({"ports": list(range(1, 34))}, False), ({"ports": [0]}, False), ({"ports": [65536]}, False),
    ({"ports": [True]}, False), ({"ports": ["1"]}, False), ({"ports": [1.0]}, False), ({"ports": 3}, False),
    ({"sentBy": ""}, False), ({"sentBy": "x" * 65}, False), ({"sentBy": 3}, False), ({"messageType": "x"}, False),
    ({"more": "x" * 3000}, False)])
def test_only_a_request_is_one(change, taken):
    assert (vtsphone.read_request(json.dumps(dict(REQUEST, **change)).encode()) is not None) == taken


def test_some_programs_call_the_time_otherwise():
    text = json.dumps({"messageType": "iOSTrackingDataRequest", "sentBy": "G", "sendForSeconds": 10, "ports": [2, 2, 1]})
    assert vtsphone.read_request(text.encode()) == vtsphone.Request(10.0, (1, 2))


@pytest.mark.parametrize("host, near", [
    ("127.0.0.1", True), ("192.168.1.7", True), ("10.0.0.1", True), ("169.254.3.4", True), ("100.64.0.1", True), ("::1", True),
    ("fe80::1%eth0", True), ("fd00::1", True), ("::ffff:192.168.1.7", True), ("::ffff:8.8.8.8", False), ("8.8.8.8", False),
    ("224.0.0.1", False), ("255.255.255.255", False), ("0.0.0.0", False), ("2001:4860:4860::8888", False), ("ff02::1", False)])
def test_who_is_near(host, near):
    assert is_near(host) == near


@pytest.mark.parametrize("host, here", [("127.0.0.1", True), ("192.0.2.7", False), ("255.255.255.255", False)])
def test_which_addresses_are_this_machine_s(host, here):
    assert is_here(host) == here


def receiver():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.settimeout(30.0)
    return s


def test_who_asked_is_served_for_as_long_and_no_further_ones():
    asking = Requesters(2)
    with receiver() as one, receiver() as other:
        places = [s.getsockname() for s in (one, other)]
        assert all(asking.take(host, port, "x", 10.0, 0.0) for host, port in places)
        assert not asking.take("127.0.0.1", 9, "x", 10.0, 0.0) and asking.refused == 1
        assert asking.take(places[0][0], places[0][1], "y", 5.0, 1.0) and asking.forms == {"x", "y"}
        asking.send(lambda form: form.encode(), 4.0)
        assert (one.recv(9), other.recv(9)) == (b"y", b"x")
        asking.send(lambda form: form.encode(), 6.0)
        assert len(asking) == 1 and other.recv(9) == b"x"
        asking.stop("127.0.0.1")
        assert len(asking) == 0
    for host in ("8.8.8.8", "255.255.255.255", "224.0.0.1"):
        assert not asking.take(host, 9, "x", 10.0, 0.0)
    assert len(asking) == 0


def test_a_port_that_nobody_has_any_more_is_left_and_one_that_opens_late_is_not():
    asking = Requesters(4)
    with receiver() as s:
        closed = s.getsockname()[1]
    assert asking.take("127.0.0.1", closed, "x", 1e9, 0.0)
    now = 0.0
    while len(asking) and now < 60.0:
        asking.send(lambda form: b"x", now)
        now += 0.1
    assert CLOSED_S <= now < CLOSED_S + 1.0
    asking.take("127.0.0.1", closed, "x", 1e9, now)
    for _ in range(20):
        asking.send(lambda form: b"x", now)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        late.bind(("127.0.0.1", closed))
        for n in range(100):
            asking.send(lambda form: b"x", now + 0.1 * n)
        assert len(asking) == 1
    asking.close()


def nonsense(rng, valid):
    """All kinds of datagrams that are none."""
    kind = rng.randrange(7)
    if kind == 0:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(60)))
    if kind == 1:
        return valid[:rng.randrange(len(valid))]
    if kind == 2:
        at = rng.randrange(len(valid) - 1)  # its last byte may be a blank
        return valid[:at] + bytes([(valid[at] + rng.randrange(1, 255)) % 256]) + valid[at + 1:]
    if kind == 3:
        return valid + bytes(rng.randrange(33, 256) for _ in range(rng.randrange(1, 90)))
    if kind == 4:
        return rng.choice([b"[", b'{"a":', b'"', b"9", b"{}"]) * rng.randrange(1, 1500)
    if kind == 5:
        return json.dumps({key: rng.choice([None, True, -1, 1e308, "", [], {}, [[]], "x" * 70, [1] * 40])
                           for key in ("messageType", "time", "sentBy", "ports")}).encode()
    return b"iFacialMocap_" + bytes(rng.randrange(256) for _ in range(rng.randrange(50)))


@pytest.mark.parametrize("output, valid", [
    ("ifacialmocap://0.0.0.0", ASK), ("vts-phone://", json.dumps(REQUEST).encode())])
def test_nonsense_is_counted_and_never_answered(output, valid):
    """Without a socket: what may be taken is an address that a valid request came from."""
    made = make(output)
    rng, given = random.Random(5), 20000
    strangers = [(nonsense(rng, valid), ("127.0.0.1", rng.randrange(65536))) for _ in range(given)]
    texts = [data for data, _ in strangers if data.rstrip(b"\0\r\n ") in ifacialmocap.ASKING]
    assert not texts
    made._listener.received = lambda: iter(strangers)
    made.show(at_rest(), 0.0)
    served = len(made._asking)
    assert served <= made._asking._most and (served == 0 or output == "vts-phone://")
    assert made.more_counts()["refused"] >= 0.95 * given
    made.close()


def make(text):
    from edge.outputs.kinds import make_output
    return make_output(parse_output(text), OutputOptions(False, False, False, lambda: None))
