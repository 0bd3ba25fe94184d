"""68 points in iBUG's order: who asks for them gets them in every frame, and nobody else pays."""
import io
import json
import math
import os

import numpy as np
import pytest
from fakes.recordings import face, records, written
from fakes.tracker import Tracker, good

from edge.app.chain import Stages, steps_of
from edge.app.ends import asked, make_senders
from edge.config.load import load_config
from edge.core.errors import ConfigError, FrameError
from edge.core.packet import LEFT_OUT, Frame, Packet, Roi
from edge.core.parts import Parts
from edge.core.records import read_record
from edge.geometry import roi as regions
from edge.models.mb05 import Mb05
from edge.outputs.files.csv import CsvOutput
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.live.udpjson import encode as datagram
from edge.outputs.record import NOT_RECORDED, encode, without
from edge.outputs.relay import messages, packed
from edge.outputs.spec import parse_output, parse_outputs
from edge.pipeline.governor import Switch
from edge.recording.reading import Reader
from edge.stages.replay import face_of

RNG = np.random.RandomState(3)
IMAGE = np.zeros((48, 64, 3), np.uint8)
POINTS = RNG.uniform(-50.0, 700.0, (68, 2)).round(2)
ASKED, BOTH, EVERYTHING = Parts(landmarks68=True), Parts(True, landmarks68=True), Parts(True, True, True, landmarks68=True)


def packet(*points):
    """With a face for each of these."""
    return Packet(Frame(7, 1.0, 0.5, IMAGE), tuple(face(i, 100.0 * i, landmarks68=p) for i, p in enumerate(points, 1)))


@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0])
def test_the_network_tells_all_x_and_then_all_y_across_its_region(angle):
    told = RNG.uniform(-1.0, 1.0, (68, 2))
    roi = Roi(300.0, 200.0, 150.0, angle)
    model = Mb05({"mean": [0.0] * 12, "std": [1.0] * 12})
    found = model.decode_points({"landmarks": told.T.reshape(1, 136).astype(np.float32)}, roi)
    assert found.shape == (68, 2)
    assert np.allclose(regions.apply(model.crop(roi).matrix, found), told * 60.0 + 60.0, atol=1e-4)
    with pytest.raises(FrameError, match="mb05 gave 134 values"):
        model.decode_points({"landmarks": np.zeros((1, 134), np.float32)}, roi)


def faces_of(tracker, frames):
    return [tracker.track(seq).faces[0] for seq in frames]


def test_the_network_runs_once_in_every_frame_where_they_are_wanted_and_the_pose_is_the_same():
    plain, asking = Tracker(pose_every=5).open(), Tracker(pose_every=5, points68=True).open()
    without_them, with_them = faces_of(plain, range(20)), faces_of(asking, range(20))
    assert (plain.runners["pose"].calls, asking.runners["pose"].calls) == (4, 20)
    assert (plain.pose.counters(), asking.pose.counters()) == ({"skipped": 16}, {"skipped": 0})
    for a, b in zip(without_them, with_them):
        assert a.landmarks68 is None and b.landmarks68.shape == (68, 2) and not b.missing
        assert np.array_equal(a.pose.rotation, b.pose.rotation)
        assert encode(Packet(Frame(0, 0.0, 0.0, IMAGE), (b,)), 0.0, Parts()) == encode(
            Packet(Frame(0, 0.0, 0.0, IMAGE), (a,)), 0.0, Parts())


def test_to_keep_the_rate_they_are_told_in_every_second_frame_with_the_irises():
    tracker = Tracker(pose_every=100, points68=True).open()
    faces_of(tracker, range(4))
    steps = steps_of(Stages(tracker.detect, tracker.align, tracker.pose, tracker.iris, tracker.express), Switch())
    assert [step.text for step in steps[:2]] == ["irises in every second frame only", "68 points in every second frame only"]
    for step in steps[:2]:
        step.apply(True)
    seen = faces_of(tracker, range(4, 12))
    assert tracker.runners["pose"].calls == 4 + 4
    assert [face.landmarks68 is None for face in seen] == [face.irises is None for face in seen]
    assert [face.missing.get("landmarks68") for face in seen].count(LEFT_OUT) == 4
    steps[1].apply(False)
    assert all(face.landmarks68 is not None for face in faces_of(tracker, range(12, 16)))
    quiet = Tracker().open()
    assert len(steps_of(Stages(quiet.detect, quiet.align, quiet.pose, quiet.iris, quiet.express), Switch())) == 4


def test_they_are_smoothed_with_the_size_of_the_face():
    told = iter([0.0, 0.01] * 20)

    def answer():
        return dict(good()["pose"], landmarks=np.full((1, 136), next(told), np.float32))

    raw, smooth = (np.array([f.landmarks68[0, 0] for f in faces_of(
        Tracker(points68=True, smoothing=smoothing, pose=answer).open(), range(20))]) for smoothing in (False, True))
    assert 0.0 < np.abs(np.diff(smooth)[4:]).max() < 0.5 * np.abs(np.diff(raw)).max()


def test_a_network_without_the_second_head_drops_the_frame_of_who_asks_alone():
    answer = {"params": good()["pose"]["params"]}
    assert Tracker(pose=answer).open().track(0) is not None
    assert Tracker(pose=answer, points68=True).open().track(0) is None


def test_a_record_has_them_for_who_asks_and_reads_back():
    told = packet(POINTS, None)
    whole = encode(told, 2.0, BOTH)
    assert whole["faces"][0]["landmarks68"] == POINTS.tolist() and "landmarks" in whole["faces"][0]
    assert whole["faces"][1]["missing"]["landmarks68"] == "not measured"
    found = read_record(json.dumps(whole)).faces
    assert np.array_equal(found[0].landmarks68, POINTS) and found[1].landmarks68 is None
    assert np.array_equal(face_of(found[0]).landmarks68, POINTS)
    for parts in (ASKED, BOTH, Parts(), Parts(True), Parts(True, True, True)):
        assert without(encode(told, 2.0, EVERYTHING), parts) == encode(told, 2.0, parts)
        assert ("landmarks68" in json.dumps(encode(told, 2.0, parts))) == parts.landmarks68


def test_a_face_without_them_says_why_to_who_asked_alone():
    told = packet(None)
    told = told.with_faces((told.faces[0].without("landmarks68", LEFT_OUT),))
    assert encode(told, 2.0, ASKED)["faces"][0]["missing"]["landmarks68"] == LEFT_OUT
    assert "landmarks68" not in encode(told, 2.0, Parts(True))["faces"][0]["missing"]
    assert "landmarks68" not in without(encode(told, 2.0, BOTH), Parts(True))["faces"][0]["missing"]
    odd = encode(packet(np.full((68, 2), math.nan)), 2.0, ASKED)["faces"][0]
    assert odd["missing"]["landmarks68"] == "not finite" and "landmarks68" not in odd


def test_a_table_has_two_columns_for_each(tmp_path):
    output = CsvOutput(parse_output("csv:" + str(tmp_path / "a.csv")), False, ASKED)
    header, row = output.header(), next(output.rows(encode(packet(POINTS), 2.0, ASKED)))
    named = dict(zip(header, row))
    assert len(header) == len(row) and sum(name.startswith("landmark") for name in header) == 136
    assert (named["landmark68_0_x_px"], named["landmark68_67_y_px"]) == (POINTS[0, 0], POINTS[67, 1])


def test_a_recording_keeps_them_and_a_replay_gives_them_or_says_that_there_are_none():
    each = [encode(packet(POINTS + i, POINTS - 0.25 * i), 2.0 + i, EVERYTHING, as_lists=False) for i in range(3)]
    for i, record in enumerate(each):
        record["frame"] = i
    reader = Reader(io.BytesIO(b"".join(written(each))), "a.nfr")
    for i in range(3):
        found = reader.next()
        assert all(np.allclose(f.landmarks68, p, atol=0.0051) for f, p in zip(found.faces, (POINTS + i, POINTS - 0.25 * i)))
        replayed = Packet(Frame(i, 2.0, 0.5, IMAGE, "", found))
        assert encode(replayed, 2.0, ASKED)["faces"][0]["landmarks68"] == each[i]["faces"][0]["landmarks68"].tolist()
        assert "landmarks68" not in json.dumps(encode(replayed, 2.0, Parts()))
    old = Reader(io.BytesIO(b"".join(written(records()[1:2]))), "a.nfr").next()
    replayed = Packet(Frame(0, 2.0, 0.5, IMAGE, "", old))
    assert encode(replayed, 2.0, ASKED)["faces"][0]["missing"]["landmarks68"] == NOT_RECORDED


def test_a_recording_has_them_where_the_run_was_asked_for_them(tmp_path):
    options = OutputOptions(False, False, True, lambda: None)
    for asks in (False, True):
        output = make_output(parse_output("record:" + str(tmp_path / "a.nfr")), options._replace(landmarks68=asks))
        assert output.parts == Parts(True, True, True, True, asks)


@pytest.mark.parametrize("points, points68", [(True, True), (True, False), (False, True), (False, False)])
def test_the_relay_hands_over_those_that_are_wanted(points, points68):
    told, parts = packet(POINTS, None), Parts(points, landmarks68=points68)
    recorded = Reader(io.BytesIO(b"".join(written([encode(told, 2.0, EVERYTHING)]))), "a").next()
    for one in (told, Packet(told.frame._replace(recorded=recorded))):
        _, sent = messages.unpack(packed.pack(one, [], 1.0, points, points68))
        assert encode(sent.packet, 2.0, parts) == encode(one, 2.0, parts)
    bare = packed.pack(told, [], 1.0, False)
    assert len(bare) + 1088 < len(packed.pack(told, [], 1.0, False, True)) and len(bare) < 3000


def test_a_datagram_that_would_be_too_large_leaves_them_out_too():
    told = json.loads(datagram(encode(packet(*[POINTS] * 60), 2.0, BOTH, as_lists=False)).decode())
    assert {face["missing"]["landmarks68"] for face in told["faces"]} == {"the record has no room for it in a datagram"}


@pytest.mark.parametrize("words, mesh, ibug", [
    ({}, False, False), ({"output.landmarks": True}, True, False), ({"output.landmarks": 68}, False, True),
    ({"output.landmarks": "all"}, True, True), ({"output.landmarks": "468"}, True, False),
    ({"outputs": ["jsonl:a.jsonl?landmarks=68"]}, False, True),
    ({"outputs": ["jsonl:a.jsonl?landmarks=all"]}, True, True),
    ({"outputs": ["jsonl:a.jsonl?landmarks=68", "csv:a.csv?landmarks=true"]}, True, True),
    ({"outputs": ["jsonl:a.jsonl?landmarks=no"], "output.landmarks": "all"}, False, False),
    ({"outputs": ["udp-json:127.0.0.1:9?landmarks=68"]}, False, True),
    ({"outputs": ["vmc:127.0.0.1", "mqtt:127.0.0.1", "openseeface:127.0.0.1"], "output.landmarks": 68}, True, False),
], ids=str)
def test_the_stages_make_what_the_outputs_ask_for(words, mesh, ibug, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    usual = {} if "outputs" in words else {"outputs": ["jsonl:a.jsonl"]}
    config = load_config(os.devnull, dict(words, **usual), {})

    class Film:
        live, fps, name, stills = False, None, "", False

    parts = asked(make_senders(parse_outputs(config.outputs), config, Film()))
    assert (parts.landmarks, parts.landmarks68) == (mesh, ibug)


@pytest.mark.parametrize("value", ["67", 67, 68.0, [68], None, "both"])
def test_another_number_of_points_is_an_error_that_names_those_there_are(value):
    with pytest.raises(ConfigError, match="output.landmarks.*allowed: true or false, 468 .as true., 68 .* or all"):
        load_config(os.devnull, {"output.landmarks": value}, {})
