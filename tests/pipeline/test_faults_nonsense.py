"""Nonsense from each network, through the real stages: no crash, no number that is none, and the face is back afterwards."""
import json
import warnings

import numpy as np
import pytest
from fakes.tracker import INPUTS, Tracker, good, mesh, yunet

from edge.core.errors import FrameError
from edge.core.parts import POINTS_ONLY
from edge.models.detectors.table import make_detector
from edge.outputs.record import encode

WILD = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "huge": 3e38, "-huge": -3e38, "far": 1e6, "-far": -1e6}
FURTHEST_PX = 1e4  # nothing that was measured in a picture of 640x480 has a larger number
UNREAD = ("cls_8", "cls_16", "obj_8", "obj_16", "bbox_8", "bbox_16", "kps_8", "kps_16")  # as those of stride 32
OUTPUTS = [(role, name) for role, outputs in sorted(good().items()) for name in sorted(outputs)
           if name not in UNREAD and (role, name) != ("pose", "landmarks")]
WARM, MAD = 4, 5  # frames that are tracked before the network goes mad, and while it is


@pytest.fixture(autouse=True)
def a_warning_is_a_fault():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def spoiled(role, name, array):
    return dict(good()[role], **{name: array})


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for part in value for number in numbers(part)]
    return [value] if isinstance(value, (int, float)) else []


def go_mad(role, outputs):
    """Records of the frames on which `role` answered `outputs`, None for those dropped; then of a frame after it."""
    tracker = Tracker(pose_every=2).open()
    for seq in range(WARM):
        tracker.track(seq)
    tracker.answers[role] = outputs
    records = []
    for seq in range(WARM, WARM + MAD):
        if role == "detect" and seq == WARM + 2:
            tracker.answers["align"] = mesh(-9.0)  # the detector is asked only for what is lost
        packet = tracker.track(seq)
        records.append(None if packet is None else encode(packet, 0.0, POINTS_ONLY))
    tracker.answers.update(good())
    for seq in range(WARM + MAD, WARM + MAD + 3):
        packet = tracker.track(seq)
    return records, encode(packet, 0.0, POINTS_ONLY)


def check(records, after):
    for record in records:
        text = json.dumps(record, allow_nan=False)
        faces = [] if record is None else record["faces"]
        assert max(map(abs, numbers(faces)), default=0.0) < FURTHEST_PX, text
        assert all(reason for face in faces for reason in face["missing"].values())
    assert len(after["faces"]) == 1 and after["faces"][0]["missing"] == {}, "the face is back, whole"


@pytest.mark.parametrize("value", sorted(WILD))
@pytest.mark.parametrize("role, name", OUTPUTS)
def test_wild_numbers_reach_no_output(role, name, value):
    usual = good()[role][name]
    check(*go_mad(role, spoiled(role, name, np.full_like(usual, WILD[value]))))
    for at in sorted({0, 2 % usual.size, usual.size - 1}):
        one = usual.copy()
        one.reshape(-1)[at] = WILD[value]
        check(*go_mad(role, spoiled(role, name, one)))


@pytest.mark.parametrize("kind", ["empty", "half", "twice", "absent"])
@pytest.mark.parametrize("role, name", OUTPUTS)
def test_outputs_of_another_shape_drop_the_frame(role, name, kind):
    usual = good()[role][name]
    outputs = spoiled(role, name, {"empty": usual[:, :0], "half": usual[:, :usual.shape[1] // 2],
                                   "twice": np.concatenate([usual, usual], axis=1), "absent": None}[kind])
    if kind == "absent":
        del outputs[name]
    records, after = go_mad(role, outputs)
    check(records, after)
    places = role == "detect" and name.startswith(("bbox", "kps"))
    assert None in records or places, "where nobody is, places are not looked at"


@pytest.mark.parametrize("network", ["yunet_s", "yunet_n", "fmr_8and16", "fmr_16and32", "rfb320", "faceboxes",
                                     "blazeface_short", "blazeface_full"])
def test_a_detector_says_what_is_wrong_with_its_outputs(network):
    detector = make_detector(network)
    with pytest.raises(FrameError) as reported:
        detector.decode({}, detector.crop(640, 480), 0.5, 4)
    assert network in str(reported.value) and "no output" in str(reported.value)


@pytest.mark.parametrize("box", [(250, 150, 250, 150), (350, 270, 250, 150), (-1e4, -1e4, 1e4, 1e4), (250, 150, 250.01, 270)],
                         ids=["empty", "inside out", "larger than everything", "flat"])
def test_a_box_that_is_none_is_no_face_or_one_that_holds(box):
    x0, y0, x1, y1 = box
    found = yunet()
    found["bbox_32"][0, 34, 2:] = [np.log(max(1e-30, (x1 - x0) / 64.0)), np.log(max(1e-30, (y1 - y0) / 64.0))]
    records, after = go_mad("detect", found)
    check(records, after)


@pytest.mark.parametrize("answer, lost", [("landmarks", True), ("presence", True)])
def test_a_track_that_gives_nonsense_is_lost(answer, lost):
    records, _ = go_mad("align", spoiled("align", answer, np.full_like(good()["align"][answer], np.nan)))
    assert [len(record["faces"]) for record in records] == [0] * MAD


@pytest.mark.parametrize("name", ["iris", "contour"])
def test_eyes_that_are_none_are_missing_with_the_reason_and_the_rest_is_there(name):
    records, _ = go_mad("iris", spoiled("iris", name, np.full_like(good()["iris"][name], np.nan)))
    for record in records:
        face, = record["faces"]
        reasons = {key: face["missing"][key] for key in ("iris", "gaze", "eye_open_right", "eye_open_left", "eye_contours")}
        assert set(reasons.values()) == {"the network's answer is no eye"}
        assert "pose" in face and "mouth_open" in face["expression"]


def test_a_pose_network_gone_mad_leaves_the_other_witnesses():
    for value in WILD.values():
        records, _ = go_mad("pose", spoiled("pose", "params", np.full((1, 62), value, np.float32)))
        assert all(abs(record["faces"][0]["pose"]["yaw"]) < 90.0 for record in records)


def test_every_network_is_driven_mad():
    assert {role for role, _ in OUTPUTS} == set(INPUTS)
