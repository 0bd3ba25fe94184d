"""The record's values as OSC, VRChat's shapes, opentrack's pose and datagrams of JSON, read by independent decoders."""
import json
import struct

import numpy as np
import pytest
from fakes.records import blink, face, record, with_points
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from edge.core.parts import SHAPES
from edge.outputs.live import opentrack, udpjson
from edge.outputs.live.osc import values, vrchat
from edge.outputs.live.osc.messages import Encoder
from edge.outputs.live.signals import Follower, at_rest
from edge.outputs.live.udpjson import LARGEST


def told(found, places=None):
    """Address -> arguments."""
    datagrams = values.encode(found, places or values.Places(), Encoder())
    messages = [message for data in datagrams for message in OscBundle(data)]
    assert len({message.address for message in messages}) == len(messages)
    return {message.address: message.params for message in messages}


def test_every_value_of_a_record_has_an_address():
    found = told(record(face(7, yaw=20.0, pitch=15.0, roll=10.0, gaze=(5.0, -3.0), expression={"jawOpen": 0.25}), frame=12))
    start = "/nanoface/face/1/"
    assert found["/nanoface/frame"] == [12, pytest.approx(0.4)] and found["/nanoface/size"] == [640, 480]
    assert found["/nanoface/faces"] == [1] and found[start + "id"] == [7]
    assert found[start + "pose"] == [20.0, 15.0, 10.0] and found[start + "translation_mm"] == [0.0, 0.0, 600.0]
    assert len(found[start + "rotation"]) == 9 and len(found[start + "box"]) == 4 and len(found[start + "iris/left"]) == 4
    assert found[start + "gaze"] == [5.0, -3.0] == found[start + "gaze/right"]
    assert found[start + "gaze/direction"] == [0.0, 0.0, -1.0] and found[start + "expression/jawOpen"] == [0.25]
    assert {name[len(start) + 11:] for name in found if "/expression/" in name} >= set(SHAPES)


def test_what_is_not_known_has_no_message():
    found = told(record({"id": 3, "missing": {"pose": "no camera"}}))
    assert set(found) == {"/nanoface/frame", "/nanoface/size", "/nanoface/faces", "/nanoface/face/1/id"}
    assert told(record())["/nanoface/faces"] == [0]


def test_points_are_sent_where_the_record_has_them():
    whole = with_points(face())
    found = told(record(whole))
    np.testing.assert_allclose(np.reshape(found["/nanoface/face/1/landmarks"], (468, 3)), whole["landmarks"], atol=1e-3)
    assert len(found["/nanoface/face/1/eye_contours/right"]) == 142


def test_a_face_keeps_its_number_while_it_is_there():
    places = values.Places()
    steps = [([5], [1]), ([5, 9], [1, 2]), ([9], [2]), ([9, 12], [2, 1]), ([], []), ([30, 31, 32], [1, 2, 3])]
    assert [places.of(ids) for ids, _ in steps] == [expected for _, expected in steps]


def test_an_event_has_its_numbers_and_the_whole_record():
    message = OscMessage(values.encode_event(blink(4), Encoder()))
    phase, number, confidence, duration_s, text = message.params
    assert message.address == "/nanoface/event/blink" and (phase, number) == ("end", 1) and json.loads(text) == blink(4)
    assert (confidence, duration_s) == (pytest.approx(0.9), pytest.approx(0.1))
    start = OscMessage(values.encode_event({"event": "presence", "phase": "start"}, Encoder()))
    assert start.params[:4] == ["start", 0, 0.0, 0.0]


def test_vrchat_gets_single_messages_of_one_number():
    shapes = dict(at_rest().shapes, jawOpen=0.5, cheekPuff=0.25)
    messages = [OscMessage(data) for data in vrchat.encode(at_rest()._replace(shapes=shapes), Encoder())]
    found = {message.address: message.params for message in messages}
    assert set(found) == {"/" + name for name in SHAPES} | {"/cheekPuffLeft", "/cheekPuffRight"} and len(messages) == 54
    assert found["/jawOpen"] == [0.5] and found["/cheekPuffLeft"] == found["/cheekPuffRight"] == [0.25]


def test_opentrack_gets_48_bytes_of_centimetres_and_degrees():
    signals = Follower().follow(record(face(yaw=20.0, pitch=-15.0, roll=10.0, place=(-30.0, -20.0, 500.0))), 0.0)
    data = opentrack.encode(signals)
    assert len(data) == 48
    np.testing.assert_allclose(struct.unpack("<6d", data), [3.0, 2.0, 50.0, 20.0, -15.0, 10.0], atol=1e-9)


def test_a_record_is_one_datagram_of_json():
    found = record(face(), frame=3)
    assert json.loads(udpjson.encode(found)) == found
    whole = record(*[with_points(face(n)) for n in (1, 2, 3, 4)])
    data = udpjson.encode(whole)
    assert len(data) <= LARGEST
    np.testing.assert_allclose(json.loads(data)["faces"][3]["landmarks"], whole["faces"][3]["landmarks"])


def test_points_that_fit_into_no_datagram_are_left_out_and_it_says_so():
    many = [dict(with_points(face(n)), landmarks=np.full((468, 3), 1234567.89)) for n in (1, 2, 3, 4)]
    data = udpjson.encode(record(*many))
    assert len(data) <= LARGEST
    for found in json.loads(data)["faces"]:
        assert "landmarks" not in found and found["missing"]["landmarks"] == udpjson.TOO_LARGE
        assert found["missing"]["eye_contours"] == udpjson.TOO_LARGE and found["pose"]["yaw"] == 0.0
    assert all("landmarks" in found and not found["missing"] for found in many)  # the record is others', too


def test_no_number_that_json_does_not_know_is_sent():
    with pytest.raises(ValueError):
        udpjson.encode(record(dict(face(), score=float("nan"))))
