"""The VMC protocol: its bytes, its limits, and what python-osc's own decoder finds in them."""
import json

import numpy as np
import pytest
from fakes.records import blink, face, record
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from edge.core import parts
from edge.geometry.rotation import from_angles
from edge.outputs.live.axes import unity_quaternion
from edge.outputs.live.osc.messages import LARGEST_BUNDLE, Encoder
from edge.outputs.live.osc.vmc import PRESETS, SHAPES, SURPRISED, encode, presets
from edge.outputs.live.signals import Follower, at_rest

MOST = 1500  # of the protocol
VRM0 = "Neutral A I U E O Blink Blink_L Blink_R Joy Angry Sorrow Fun LookUp LookDown LookLeft LookRight".split()
VRM1 = "happy angry sad relaxed surprised aa ih ou ee oh blink blinkLeft blinkRight".split()


def decoded(datagrams):
    """[(address, arguments)] in their order, each bundle's."""
    found = []
    for data in datagrams:
        bundle = OscBundle(data)
        assert len(bundle.dgram) == len(data)
        found += [(message.address, message.params) for message in bundle]
    return found


def signals(**changes):
    face = at_rest()
    shapes = dict(face.shapes, **changes.pop("shapes", {}))
    return face._replace(tracked=True, shapes=shapes, **changes)


ORDER = """BrowInnerUp BrowDownLeft BrowDownRight BrowOuterUpLeft BrowOuterUpRight EyeLookUpLeft EyeLookUpRight
EyeLookDownLeft EyeLookDownRight EyeLookInLeft EyeLookInRight EyeLookOutLeft EyeLookOutRight EyeBlinkLeft EyeBlinkRight
EyeSquintLeft EyeSquintRight EyeWideLeft EyeWideRight CheekPuff CheekSquintLeft CheekSquintRight NoseSneerLeft NoseSneerRight
JawOpen JawForward JawLeft JawRight MouthFunnel MouthPucker MouthLeft MouthRight MouthRollUpper MouthRollLower MouthShrugUpper
MouthShrugLower MouthClose MouthSmileLeft MouthSmileRight MouthFrownLeft MouthFrownRight MouthDimpleLeft MouthDimpleRight
MouthUpperUpLeft MouthUpperUpRight MouthLowerDownLeft MouthLowerDownRight MouthPressLeft MouthPressRight MouthStretchLeft
MouthStretchRight TongueOut""".split()


def values(datagrams):
    return {arguments[0]: arguments[1] for address, arguments in decoded(datagrams) if address == "/VMC/Ext/Blend/Val"}


def test_the_messages_have_the_bytes_of_the_format():
    encoder = Encoder()
    for _ in range(2):  # made by python-osc, then out of what it made
        assert encoder.floats("/VMC/Ext/Blend/Val", (0.5,), "JawOpen") == bytes.fromhex(
            "2f564d432f4578742f426c656e642f56616c0000 2c736600 4a61774f70656e00 3f000000".replace(" ", ""))
    assert encoder.message("/VMC/Ext/Blend/Apply") == bytes.fromhex(
        "2f564d432f4578742f426c656e642f4170706c7900000000 2c000000".replace(" ", ""))
    assert len(encoder.floats("/VMC/Ext/Bone/Pos", (0.0,) * 7, "Head")) == 68
    assert encoder.bundle([b"abcd"]) == b"#bundle\0" + bytes(7) + b"\1" + b"\0\0\0\4abcd"


def test_all_shapes_go_in_two_bundles_and_the_last_commits_them():
    pose, first, last = encode(signals(), 1.0, Encoder(), "perfectsync")
    assert (len(first), len(last)) == (1380, 1160) and len(first) + len(last) - 16 == 2524
    assert [address for address, _ in decoded([pose])] == ["/VMC/Ext/OK", "/VMC/Ext/T"] + 4 * ["/VMC/Ext/Bone/Pos"]
    addresses = [address for address, _ in decoded([first, last])]
    assert addresses == 52 * ["/VMC/Ext/Blend/Val"] + ["/VMC/Ext/Blend/Apply"]
    assert [arguments[0] for _, arguments in decoded([first, last])[:-1]] == ORDER and set(SHAPES) == set(parts.SHAPES)


def test_after_the_face_is_lost_status_0_and_eased_values_go_on_until_the_next():
    follower, encoder, told = Follower(), Encoder(), []
    for now, found in ((0.0, record(face(yaw=20.0, expression={"jawOpen": 0.8}))), (0.2, None), (0.5, record()), (9.0, None)):
        datagrams = encode(follower.follow(found, now), now, encoder)
        messages = decoded(datagrams)
        ok, = [arguments[3] for address, arguments in messages if address == "/VMC/Ext/OK"]
        head, = [arguments[5] for address, arguments in messages if arguments[:1] == ["Head"]]
        told.append((ok, values(datagrams)["JawOpen"], head))
    statuses, jaws, heads = zip(*told)
    assert statuses == (1, 0, 0, 0)
    for one, held, eased, rest in (jaws, heads):
        assert one == held > eased > rest and rest == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("names", ["vrm0", "vrm1", "perfectsync", "all"])
def test_no_bundle_is_larger_than_the_protocol_allows(names):
    many = signals(events=tuple(blink(n) for n in range(20)))
    datagrams = encode(many, 1.0, Encoder(), names)
    assert max(len(data) for data in datagrams) <= LARGEST_BUNDLE <= MOST
    committed = [any(address == "/VMC/Ext/Blend/Apply" for address, _ in decoded([data])) for data in datagrams]
    assert committed == [False] * (len(datagrams) - 1) + [True]


@pytest.mark.parametrize("names, case, there, absent", [
    ("vrm0", "pascal", VRM0, ["JawOpen", "aa"]), ("vrm1", "pascal", VRM1, ["A", "JawOpen"]),
    ("perfectsync", "pascal", ["JawOpen", "EyeBlinkLeft", "TongueOut"], ["jawOpen", "A", "aa"]),
    ("perfectsync", "camel", ["jawOpen", "eyeBlinkLeft"], ["JawOpen"]),
    ("all", "pascal", VRM0 + VRM1 + ["JawOpen"], ["jawOpen"]),
])
def test_the_names_are_those_of_the_avatar(names, case, there, absent):
    found = values(encode(signals(), 1.0, Encoder(), names, case))
    assert set(there) <= set(found) and not set(absent) & set(found)


@pytest.mark.parametrize("turn, axis, sign", [
    ((20.0, 0.0, 0.0), 1, 1.0),  # the nose to the subject's right: about Unity's y, from z toward x
    ((0.0, 15.0, 0.0), 0, -1.0),  # up: about x, from y toward z is down
    ((0.0, 0.0, 10.0), 2, 1.0),  # the crown to the subject's left: about z, from x toward y
])
def test_neck_and_head_share_the_turn(turn, axis, sign):
    found = decoded(encode(signals(rotation=from_angles(*turn)), 1.0, Encoder()))
    bones = {arguments[0]: arguments[1:] for address, arguments in found if address == "/VMC/Ext/Bone/Pos"}
    assert bones["Neck"] == bones["Head"] and bones["Head"][:3] == [0.0, 0.0, 0.0]
    half = np.radians(sum(abs(angle) for angle in turn) / 2.0)
    expected = [0.0, 0.0, 0.0, np.cos(half / 2.0)]
    expected[axis] = sign * np.sin(half / 2.0)
    np.testing.assert_allclose(bones["Head"][3:], expected, atol=1e-6)
    assert bones["LeftEye"][3:] == bones["RightEye"][3:] == [0.0, 0.0, 0.0, 1.0]


def test_each_eye_has_its_own_turn():
    gaze = {"right": (10.0, 0.0), "left": (0.0, 5.0)}
    found = decoded(encode(signals(gaze=gaze), 1.0, Encoder()))
    bones = {arguments[0]: arguments[4:] for address, arguments in found if address == "/VMC/Ext/Bone/Pos"}
    np.testing.assert_allclose(bones["RightEye"], unity_quaternion(from_angles(10.0, 0.0, 0.0)), atol=1e-6)
    np.testing.assert_allclose(bones["LeftEye"], unity_quaternion(from_angles(0.0, 5.0, 0.0)), atol=1e-6)


@pytest.mark.parametrize("tracked", [True, False])
def test_the_status_tells_whether_the_face_is_tracked(tracked):
    found = dict(decoded(encode(signals()._replace(tracked=tracked), 2.5, Encoder())[:1])[:2])
    assert found == {"/VMC/Ext/OK": [1, 3, 0, int(tracked)], "/VMC/Ext/T": [2.5]}


def test_events_go_through_unchanged():
    found = decoded(encode(signals(events=(blink(),)), 1.0, Encoder()))
    assert [json.loads(arguments[0]) for address, arguments in found if address == "/VMC/Thru/nanoface/event"] == [blink()]


@pytest.mark.parametrize("shapes, highest", [
    ({"jawOpen": 0.9}, "A"), ({"jawOpen": 0.8, "mouthFunnel": 0.9}, "O"), ({"mouthPucker": 0.9}, "U"),
    ({"mouthStretchLeft": 0.9, "mouthStretchRight": 0.8}, "I"),
    ({"jawOpen": 0.8, "mouthStretchLeft": 0.9, "mouthStretchRight": 0.9}, "E"), ({"eyeBlinkLeft": 1.0}, "Blink_L"),
    ({"eyeBlinkRight": 1.0}, "Blink_R"), ({"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9}, "Fun"),
    ({"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0, "jawOpen": 0.4}, "Joy"),
    ({"browDownLeft": 0.9, "browDownRight": 0.9}, "Angry"), ({"mouthFrownLeft": 0.9, "mouthFrownRight": 0.9}, "Sorrow"),
    ({"browInnerUp": 1.0, "jawOpen": 0.9}, None),
])
def test_the_expressions_of_vrm_come_from_the_shapes(shapes, highest):
    found = presets(signals(shapes=shapes))
    if highest is not None:
        assert max(found, key=found.get) == highest and found[highest] > 0.5
    assert set(found) == set(PRESETS) | {SURPRISED} and all(0.0 <= value <= 1.0 for value in found.values())
    assert sum(found[vowel] for vowel in "AIUEO") <= 1.0 and found["Joy"] + found["Fun"] <= 1.0


@pytest.mark.parametrize("gaze, name", [
    ((15.0, 0.0), "LookRight"), ((-15.0, 0.0), "LookLeft"), ((0.0, 15.0), "LookUp"), ((0.0, -15.0), "LookDown")])
def test_eyes_look_to_the_side_that_the_name_says(gaze, name):
    found = presets(signals(gaze={"right": gaze, "left": gaze}))
    assert {look for look in found if look.startswith("Look") and found[look] > 0.0} == {name}
    assert found[name] == pytest.approx(0.5)


def test_a_message_too_large_for_a_bundle_has_its_own():
    encoder = Encoder()
    large = encoder.message("/large", ("x" * 2000,))
    small = [encoder.floats("/small", (float(n),)) for n in range(3)]
    datagrams = encoder.bundles(small[:1] + [large] + small[1:])
    assert [len(list(OscBundle(data))) for data in datagrams] == [1, 1, 2]
    assert OscMessage(large).params == ["x" * 2000] and encoder.bundles([]) == []
