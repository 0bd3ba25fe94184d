"""What two runs of a network differ in: nothing for a sound FP16 engine, too much for one that is broken in any way."""
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_detectors import ENCODE, NEAR

from edge.core.errors import ModelError
from edge.geometry import rotation as rot
from edge.models.detectors.table import DETECTORS, make_detector
from edge.store.models import StoredNetwork
from engines.verify.agreement import QUANTITIES, Difference, combined, differences, quantities_of

DECODE = {"mean": [0.0] * 12, "std": [1.0] * 12}
OTHERS = {"align": "face_landmark", "pose": "mb05", "iris": "iris_landmark"}
NETWORKS = [("detect", name) for name in sorted(DETECTORS)] + sorted(OTHERS.items())
each_network = pytest.mark.parametrize("role, network", NETWORKS)


def outputs_of(role, network, seed=3):
    """What the network answers to a face, in float32; a detector sees one face."""
    rng = np.random.RandomState(seed)
    if role == "detect":
        return ENCODE[network]([NEAR])
    if role == "align":
        return {"landmarks": rng.uniform(20, 170, (1, 1404)).astype(np.float32), "presence": np.full((1, 1), 9, np.float32)}
    if role == "pose":
        params = rng.uniform(-1, 1, (1, 62)).astype(np.float32)
        params[0, :12] = np.concatenate([rot.from_angles(20, -10, 5), np.zeros((3, 1))], axis=1).reshape(-1)
        return {"params": params, "landmarks": rng.uniform(-0.8, 0.8, (1, 136)).astype(np.float32)}
    return {"contour": rng.uniform(5, 60, (2, 213)).astype(np.float32), "iris": rng.uniform(5, 60, (2, 15)).astype(np.float32)}


def stored(role, network, *also):
    return StoredNetwork(network, "", "", DECODE, role, "", also)


def compare(role, network, found, expected=None):
    expected = outputs_of(role, network) if expected is None else expected
    return {d.quantity: d for d in differences(stored(role, network), expected, found)}


def altered(outputs, change):
    """Every output through `change`."""
    return {name: change(values).astype(np.float32) for name, values in outputs.items()}


@each_network
def test_the_same_outputs_do_not_differ_and_every_quantity_has_a_unit_and_a_tolerance(role, network):
    found = compare(role, network, outputs_of(role, network))
    assert set(found) == set(quantities_of(stored(role, network), outputs_of(role, network)))
    for difference in found.values():
        assert (difference.median, difference.worst) == (0.0, 0.0) and difference.within
        assert difference.tolerance > 0.0 and difference.unit


@each_network
def test_outputs_rounded_to_half_precision_agree(role, network):
    found = compare(role, network, altered(outputs_of(role, network), lambda v: v.astype(np.float16)))
    assert all(d.within for d in found.values()), found


@each_network
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_value_of_any_output_that_is_no_number_is_infinitely_wrong(role, network, wrong):
    for name in outputs_of(role, network):
        outputs = outputs_of(role, network)
        outputs[name].reshape(-1)[-1] = wrong
        found = compare(role, network, outputs)
        assert set(found) == set(quantities_of(stored(role, network), outputs_of(role, network)))
        assert all(d.worst == np.inf and not d.within for d in found.values())


@each_network
def test_an_output_that_is_missing_or_of_another_shape_is_infinitely_wrong(role, network):
    for name in outputs_of(role, network):
        for change in (lambda o, n: o.pop(n), lambda o, n: o.update({n: o[n][:, :-1]}), lambda o, n: o.update({n: None})):
            outputs = outputs_of(role, network)
            change(outputs, name)
            assert not any(d.within for d in compare(role, network, outputs).values())


@each_network
def test_an_engine_that_answers_nothing_or_something_fixed_does_not_agree(role, network):
    for change in (np.zeros_like, np.ones_like, lambda v: v * 0.5, lambda v: -v):
        found = compare(role, network, altered(outputs_of(role, network), change))
        assert not all(d.within for d in found.values())


@pytest.mark.parametrize("role, network", [n for n in NETWORKS if n[0] != "detect"])
def test_rows_in_another_order_do_not_agree(role, network):
    for name in outputs_of(role, network):
        if outputs_of(role, network)[name].size > 1:
            outputs = outputs_of(role, network)
            outputs[name] = outputs[name][:, ::-1].copy()
            assert not all(d.within for d in compare(role, network, outputs).values())


def test_the_two_eyes_exchanged_do_not_agree():
    outputs = altered(outputs_of("iris", "iris_landmark"), lambda v: v[::-1])
    assert not any(d.within for d in compare("iris", "iris_landmark", outputs).values())


@pytest.mark.parametrize("network", sorted(DETECTORS))
def test_a_face_is_compared_by_whichever_run_finds_it(network):
    nobody, somebody = ENCODE[network]([]), ENCODE[network]([NEAR])
    for expected, found in ((nobody, somebody), (somebody, nobody)):
        score = compare("detect", network, found, expected)["score"]
        assert not score.within and score.worst > 0.5


@pytest.mark.parametrize("network", sorted(DETECTORS))
def test_a_face_that_is_lost_among_many_surer_places_is_infinitely_far_away(network):
    rng, somebody = np.random.RandomState(1), ENCODE[network]([NEAR])
    elsewhere = {name: rng.uniform(0.01, 0.1, v.shape).astype(np.float32) for name, v in somebody.items()}
    anchors, _ = make_detector(network).anchors(somebody, make_detector(network).threshold)
    for name, values in elsewhere.items():
        if name.startswith(("cls", "obj", "scores")):
            values[somebody[name] > 0.5] = -9.0  # the face's own anchor is the least sure of all
    found = compare("detect", network, elsewhere, somebody)
    assert len(anchors) == 1 and not found["score"].within
    assert not found["box"].within


@each_network
@settings(max_examples=10)
@given(scale=st.floats(0.9, 1.1))
def test_it_does_not_matter_which_of_the_two_runs_is_expected(role, network, scale):
    one = outputs_of(role, network)
    other = altered(one, lambda v: v * np.float32(scale))
    there, back = (differences(stored(role, network), a, b) for a, b in ((one, other), (other, one)))
    for a, b in zip(there, back):
        if a.quantity != "outputs":  # of the expected ones' size
            assert a == b


@pytest.mark.parametrize("network", sorted(DETECTORS))
def test_the_anchors_of_a_detector_tell_their_face_in_input_pixels(network):
    detector = make_detector(network)
    side = {"blazeface_short": 128.0, "blazeface_full": 192.0}.get(network, 320.0)
    anchors, faces = detector.anchors(ENCODE[network]([NEAR]), detector.threshold)
    assert len(anchors) == 1 and np.allclose(faces.boxes[0], np.array(NEAR[0]) * side / 320.0, atol=0.02)
    assert faces.scores[0] == pytest.approx(NEAR[1], abs=1e-3)
    assert len(detector.anchors(ENCODE[network]([]), detector.threshold)[0]) == 0


@pytest.mark.parametrize("network", sorted(DETECTORS))
def test_without_a_face_only_the_surest_score_is_compared(network):
    faint = ENCODE[network]([(NEAR[0], 0.2)])
    found = compare("detect", network, ENCODE[network]([]), faint)
    assert set(found) == {"score", "outputs"} and found["score"].worst == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("network", sorted(DETECTORS))
@pytest.mark.parametrize("score", [0.001, -0.001])
def test_a_face_on_the_threshold_is_no_difference_for_falling_on_either_side(network, score):
    threshold = make_detector(network).threshold
    found = compare("detect", network, ENCODE[network]([(NEAR[0], threshold - score)]),
                    ENCODE[network]([(NEAR[0], threshold + score)]))
    assert all(d.within for d in found.values()), found
    assert found["score"].worst == pytest.approx(0.002, abs=1e-3) and found["box"].worst < 0.01


@pytest.mark.parametrize("network", sorted(DETECTORS))
@settings(max_examples=20)
@given(shift=st.floats(-8, 8))
def test_a_box_that_is_moved_differs_by_as_many_pixels_of_the_input(network, shift):
    x0, y0, x1, y1 = NEAR[0]
    moved = ENCODE[network]([((x0 + shift, y0, x1 + shift, y1), NEAR[1])])
    found = compare("detect", network, moved)
    if "box" in found and found["score"].worst < 0.1:  # the face is still in the same cell
        side = {"blazeface_short": 128.0, "blazeface_full": 192.0}.get(network, 320.0)
        assert found["box"].worst == pytest.approx(abs(shift) * side / 320.0, abs=0.02)


@given(st.floats(0, 5), st.floats(0, 2 * math.pi), st.integers(0, 467))
def test_one_landmark_that_is_off_is_the_worst_and_not_the_median(distance, angle, point):
    outputs = outputs_of("align", "face_landmark")
    outputs["landmarks"][0, 3 * point:3 * point + 2] += distance * np.array([math.cos(angle), math.sin(angle)])
    found = compare("align", "face_landmark", outputs)["landmarks"]
    assert found.worst == pytest.approx(distance, abs=1e-4) and found.median == 0.0
    assert found.within == (found.worst <= found.tolerance)


def test_all_landmarks_a_little_to_one_side_do_not_agree():
    outputs = outputs_of("align", "face_landmark")
    outputs["landmarks"][0, ::3] += 0.4
    found = compare("align", "face_landmark", outputs)
    assert [d.quantity for d in found.values() if not d.within] == ["median landmark"]
    assert found["median landmark"].worst == pytest.approx(0.4, abs=1e-3)


def test_depth_and_presence_are_quantities_of_their_own():
    outputs = outputs_of("align", "face_landmark")
    outputs["landmarks"][0, 2] += 2.0
    outputs["presence"][0, 0] = 0.0
    found = compare("align", "face_landmark", outputs)
    assert found["landmarks"].worst == 0.0 and found["depth"].worst == pytest.approx(2.0, abs=1e-4)
    assert found["presence"].worst == pytest.approx(0.5, abs=1e-3)


def test_landmarks_count_where_one_of_the_runs_sees_a_face():
    face, nobody = outputs_of("align", "face_landmark"), outputs_of("align", "face_landmark", seed=4)
    nobody["presence"][:] = -9.0
    assert set(compare("align", "face_landmark", nobody, nobody)) == {"presence"}
    for expected, found in ((face, nobody), (nobody, face)):
        assert not any(d.within for d in compare("align", "face_landmark", found, expected).values())


@given(st.floats(0, 40), st.integers(0, 2))
def test_a_pose_differs_by_the_angle_between_the_rotations(angle, axis):
    turned = [0.0] * 3
    turned[axis] = angle
    outputs = outputs_of("pose", "mb05")
    rotation = outputs["params"][0, :12].reshape(3, 4)[:, :3]
    outputs["params"][0, :12].reshape(3, 4)[:, :3] = rotation.dot(rot.from_angles(*turned))
    assert compare("pose", "mb05", outputs)["rotation"].worst == pytest.approx(angle, abs=1e-3)


def test_a_pose_that_one_run_does_not_have_is_infinitely_wrong_and_one_that_neither_has_is_not():
    none, some = outputs_of("pose", "mb05"), outputs_of("pose", "mb05")
    none["params"][0, :12] = 0.0
    assert compare("pose", "mb05", none, some)["rotation"].worst == np.inf
    assert compare("pose", "mb05", some, none)["rotation"].worst == np.inf
    assert compare("pose", "mb05", none, none)["rotation"].worst == 0.0


def test_differences_on_several_inputs_become_the_worst_and_the_median_of_each_quantity():
    several = [[Difference("a", "px", m, w, 1.0)] + extra for m, w, extra in (
        (0.1, 0.2, []), (0.3, 0.9, [Difference("b", "px", 0.0, np.nan, 1.0)]), (0.2, 0.4, []))]
    a, b = combined(several)
    assert a == Difference("a", "px", 0.2, 0.9, 1.0) and a.within
    assert b.quantity == "b" and not b.within
    assert combined([]) == []


@pytest.mark.parametrize("worst, within", [(0.0, True), (1.0, True), (1.001, False), (np.inf, False), (np.nan, False)])
def test_what_is_no_number_is_not_within(worst, within):
    assert Difference("a", "px", 0.0, worst, 1.0).within is within


@pytest.mark.parametrize("role, network, text", [
    ("geometry", "canonical_face", "geometry"), ("", "mb05", "align"), ("detect", "yolo", "yolo")])
def test_what_nothing_is_known_of_is_refused_with_what_there_is(role, network, text):
    with pytest.raises(ModelError) as caught:
        differences(stored(role, network), {}, {})
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_every_role_that_runs_has_its_quantities():
    assert set(QUANTITIES) == {"detect", "align", "pose", "iris"}


@pytest.mark.parametrize("role, quantity, sound, broken", [
    ("detect", "box", 0.25, 1.5), ("detect", "keypoints", 0.14, 2.1), ("detect", "score", 0.011, 0.09),
    ("detect", "outputs", 0.04, 0.08), ("align", "landmarks", 0.92, 1.8), ("align", "median landmark", 0.23, 0.9),
    ("align", "depth", 0.22, 4.6), ("align", "presence", 0.0001, 0.5), ("pose", "rotation", 0.05, 0.9),
    ("pose", "points", 0.04, 2.0), ("pose", "parameters", 0.009, 0.15), ("iris", "iris", 0.22, 1.0),
    ("iris", "contour", 0.37, 2.3),
])
def test_each_tolerance_lies_between_a_sound_engine_and_a_broken_one(role, quantity, sound, broken):
    """As both were emulated: every sum rounded to FP16; colours exchanged, or the picture moved by a pixel."""
    assert 1.1 * sound < QUANTITIES[role][quantity].tolerance < 0.9 * broken


def both_at_once(presence=9, seed=3):
    """What a network answers that gives points, irises and eyelids of one picture, and something that no role reads."""
    rng = np.random.RandomState(seed)
    more = {name: rng.uniform(20, 170, (1, count)).astype(np.float32) for name, count in (
        ("iris", 30), ("contour", 426), ("lips", 160))}
    return dict(outputs_of("align", "whole", seed), presence=np.full((1, 1), presence, np.float32), **more)


def test_a_network_of_two_roles_is_compared_in_what_both_give_in_its_own_pixels_and_in_the_rest():
    whole, expected = stored("align", "whole", "iris"), both_at_once()
    found = {d.quantity: d for d in differences(whole, expected, both_at_once())}
    assert list(found) == ["landmarks", "median landmark", "depth", "presence", "iris", "contour", "outputs"]
    assert found["iris"].unit == found["landmarks"].unit == "px of 192" and all(d.within for d in found.values())
    for name, quantity in (("landmarks", "landmarks"), ("iris", "iris"), ("contour", "contour"), ("lips", "outputs")):
        other = dict(both_at_once(), **{name: expected[name] * np.float32(1.2)})
        wrong = {d.quantity for d in differences(whole, expected, other) if not d.within}
        assert quantity in wrong and wrong <= {quantity, "median landmark", "depth"}


def test_where_neither_run_sees_a_face_its_irises_are_not_compared_either():
    whole = stored("align", "whole", "iris")
    assert [d.quantity for d in differences(whole, both_at_once(-9), both_at_once(-9, seed=4))] == ["presence"]


def test_a_network_whose_outputs_no_decoder_reads_is_compared_in_all_of_them():
    expected = {"points": np.linspace(1, 9, 30, dtype=np.float32).reshape(1, 30)}
    found, = differences(stored("align", "strange", "iris"), expected, {"points": expected["points"] * np.float32(1.5)})
    assert found.quantity == "outputs" and not found.within
