import itertools
import math

import numpy as np
import pytest
from test_still import face_of_points, seen

from edge.core.packet import Eyes, Face, Iris, Roi
from edge.core.parts import SHAPES
from edge.face.blendshapes import Blendshapes
from edge.face.measures import LIDS, SIDED, SIDES, Measures, groups, mate, mirrored
from edge.face.mesh import LEFT_EYE, POINTS, RIGHT_EYE
from edge.face.still import ANCHORS
from edge.stages.shapes import NO_FACE, ShapesOfTrack

NETWORKS = ("face_attention", "face_landmark", "facemesh_pth")
SHIFTED_PX = (320.0, 240.0, 0.0)


def face(points, open_by=(1.0, 1.0), irises=True, **pose):
    """Eyes are as far open as `open_by` says of a usual eye, and the mesh's lids with them; irises lie between the corners."""
    points = points.copy()
    for (group, fall_mm), (i, part) in itertools.product((("upperLid", 8.0), ("lidFold", 2.0)), enumerate(open_by)):
        points[list(SIDED[group][i]), 1] -= fall_mm * max(0.0, 1.0 - part)
    landmarks = seen(points, **dict({"scale": 2.0, "shift": SHIFTED_PX}, **pose))
    contours, circles = [], []
    for around, part in zip((RIGHT_EYE, LEFT_EYE), open_by):
        outer, inner = landmarks[around[0], :2], landmarks[around[8], :2]
        along = inner - outer
        up = np.array([along[1], -along[0]]) * (1.0 if along[0] > 0 else -1.0)
        lids = [outer + along * k / 8.0 - up * 0.12 * part * math.sin(math.pi * k / 8.0) for k in range(9)]
        lids += [outer + along * k / 8.0 + up * 0.12 * part * math.sin(math.pi * k / 8.0) for k in range(7, 0, -1)]
        contours.append(np.concatenate((lids, np.repeat([(outer + inner) / 2.0], 55, axis=0))))
        circles.append(Iris((outer + inner) / 2.0, 5.0, 1.0))
    return Face(1, Roi(320.0, 240.0, 400.0, 0.0), 1.0, (0.0, 0.0, 1.0, 1.0), landmarks=landmarks, eye_contours=Eyes(*contours),
                irises=Eyes(*circles) if irises else None, expression={"mouth_open": 0.0})


def symmetric_face():
    """Its measures are about those of the mean face."""
    shapes, points = Blendshapes("face_attention"), face_of_points()
    for i, group in enumerate(groups().values()):
        points[list(group)] = shapes.rest[3 * i:3 * i + 3]
    points[ANCHORS[:, 0].astype(int)] = ANCHORS[:, 1:4]
    return points


@pytest.mark.parametrize("network", NETWORKS)
def test_the_table_is_complete(network):
    shapes = Blendshapes(network)
    assert len(shapes.names) >= (20 if network == "face_attention" else 14)
    assert not set(shapes.names) & set(shapes.unsupported)
    assert set(shapes.names) | set(shapes.unsupported) == set(SHAPES)
    assert {mate(name) for name in shapes.names} == set(shapes.names)
    assert all(shapes.unsupported.values())


@pytest.mark.parametrize("network", NETWORKS)
def test_coarse_shapes_are_told_to_who_asks_for_them_beside_the_others_which_stay_as_they_are(network):
    shapes, also = Blendshapes(network), Blendshapes(network, coarse=True)
    assert set(shapes.names) < set(also.names) and len(also.names) >= (46 if network == "face_attention" else 28)
    assert not set(also.names) & set(also.unsupported) and set(also.names) | set(also.unsupported) == set(SHAPES)
    change = np.random.RandomState(3).uniform(-2.0, 2.0, len(shapes.measures.names))
    told = dict(zip(also.names, also.answer(change)))
    assert [told[name] for name in shapes.names] == pytest.approx(shapes.answer(change).tolist(), abs=1e-9)


def test_a_network_without_a_table_is_a_key_error():
    with pytest.raises(KeyError):
        Blendshapes("no_such_network")


@pytest.mark.parametrize("network", NETWORKS)
def test_a_face_at_rest_has_no_shapes(network):
    shapes = Blendshapes(network)
    assert shapes.answer(np.zeros(len(shapes.measures.names))).max() == 0.0


@pytest.mark.parametrize("network", NETWORKS)
def test_a_mirrored_face_has_the_mirrored_shapes(network):
    shapes, names = Blendshapes(network), Measures().names
    change = np.random.RandomState(1).normal(0.0, 1.0, len(names))
    turned = np.zeros(len(names))
    for name, value in zip(names, change):
        there, sign = mirrored(name)
        turned[shapes.measures.at[there]] = sign * value
    here, there = (dict(zip(shapes.names, shapes.answer(x))) for x in (change, turned))
    assert max(here.values()) > 0.1
    for name, value in here.items():
        assert there[mate(name)] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("pose", [{"scale": 0.5}, {"scale": 8.0}, {"shift": (900.0, -40.0, 3.0)}, {"roll": 25.0}])
def test_size_place_and_roll_do_not_matter(pose):
    measures = Measures()
    np.testing.assert_allclose(measures.of(face(face_of_points(), **pose)), measures.of(face(face_of_points())), atol=1e-6)


def test_only_the_head_itself_is_seen_to_turn():
    measures = Measures()
    change = measures.of(face(face_of_points(), irises=False, yaw=20.0)) - measures.of(face(face_of_points(), irises=False))
    assert change[measures.at["yaw"]] == pytest.approx(1.0, abs=1e-6)
    assert np.nanmax(np.abs(change[:measures.at[LIDS[0]]])) < 1e-6


def told(track, *faces):
    """What the last of some seconds of faces reads as."""
    for frame, one in enumerate(f for f in faces for _ in range(20)):
        result = track(one, frame / 30.0)
    return result


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("shut", SIDES)
def test_a_wink_is_of_its_own_eye_alone(network, shut):
    points, track = symmetric_face(), ShapesOfTrack(Blendshapes(network), smooth=True, centre=True)
    wink = face(points, open_by=(0.02, 1.0) if shut == "right" else (1.0, 0.02))
    expression = told(track, *([face(points)] * 12 + [wink])).expression
    name = "eyeBlink" + shut.capitalize()
    assert expression[name] > 0.9
    assert expression[mate(name)] < 0.1
    assert expression["eyeLookDown" + shut.capitalize()] < 0.2
    assert expression["mouth_open"] == 0.0


@pytest.mark.parametrize("open_part, low, high", [(0.9, 0.0, 0.2), (0.55, 0.8, 1.0)])
def test_a_wink_whose_lids_a_squeezed_cheek_keeps_apart_is_a_wink(open_part, low, high):
    points, track = symmetric_face(), ShapesOfTrack(Blendshapes("face_attention"), smooth=True, centre=True)
    expression = told(track, *([face(points)] * 12 + [face(points, open_by=(open_part, 1.0))])).expression
    assert low <= expression["eyeBlinkRight"] <= high
    assert expression["eyeBlinkLeft"] < 0.1


def test_an_unsupported_name_is_never_told():
    for network in NETWORKS:
        shapes = Blendshapes(network)
        expression = told(ShapesOfTrack(shapes, True, True), face(symmetric_face())).expression
        assert set(expression) == set(shapes.names) | {"mouth_open"}


def test_an_eye_that_is_not_known_has_its_reason_and_the_rest_is_told():
    shapes, one = Blendshapes("face_attention"), face(symmetric_face())
    one = one._replace(eye_contours=Eyes(None, one.eye_contours.left), missing={"eye_open_right": "turned away"})
    result = ShapesOfTrack(shapes, True, True)(one, 0.0)
    assert result.missing["eyeBlinkRight"] == result.missing["eyeLookDownRight"] == "turned away"
    assert not [name for name in result.expression if name.startswith("eye") and name.endswith("Right")]
    assert {"eyeBlinkLeft", "jawOpen"} <= set(result.expression)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
def test_points_of_no_face_have_the_reason_for_every_shape(wrong):
    shapes = Blendshapes("face_attention")
    one = face(symmetric_face())._replace(landmarks=np.full((POINTS, 3), wrong))
    result = ShapesOfTrack(shapes, True, True)(one, 0.0)
    assert set(result.expression) == {"mouth_open"}
    assert {result.missing[name] for name in shapes.names} == {NO_FACE}


def test_wild_points_never_make_a_number_that_is_none(recwarn):
    track, chance = ShapesOfTrack(Blendshapes("face_attention"), True, True), np.random.RandomState(2)
    for frame in range(200):
        one = face(face_of_points(frame))
        landmarks = one.landmarks * chance.choice([1e-30, 1.0, 1e30, 1e200])
        landmarks[chance.randint(POINTS)] = chance.choice([np.nan, np.inf, 1e300, 0.0])
        expression = track(one._replace(landmarks=landmarks), frame / 30.0).expression
        assert all(0.0 <= value <= 1.0 for value in expression.values())
    assert not recwarn.list
