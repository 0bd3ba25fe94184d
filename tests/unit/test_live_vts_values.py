"""What VTube Studio's inputs get, who tells of itself, and where permissions are kept."""
import os
import stat
import string

import numpy as np
import pytest

from edge.core.parts import SHAPES
from edge.geometry.rotation import from_angles
from edge.outputs.live.signals import at_rest
from edge.outputs.live.vts import messages, tokens
from edge.outputs.live.vts.parameters import Values, defaults, definitions

RANGES = dict({"FaceAngleX": (-30, 30), "FaceAngleY": (-30, 30), "FaceAngleZ": (-90, 90), "FacePositionX": (-15, 15),
               "FacePositionY": (-15, 15), "FacePositionZ": (-10, 10), "MouthX": (-1, 1)},
              **{"Eye{}{}".format(side, axis): (-1, 1) for side in ("Left", "Right") for axis in "XY"})



def test_added_inputs_have_names_that_are_taken():
    names = [definition["parameterName"] for definition in definitions()]
    assert len(set(names)) == len(names) == 59 <= 100
    for definition in definitions():
        name = definition["parameterName"]
        assert 4 <= len(name) <= 32 and set(name) <= set(string.ascii_letters + string.digits)
        assert len(definition["explanation"]) < 256 and definition["min"] < definition["max"]


@pytest.mark.parametrize("change, expected", [
    ({"rotation": from_angles(20, 0, 0)}, {"FaceAngleX": 20.0}),
    ({"rotation": from_angles(0, 10, 0)}, {"FaceAngleY": 10.0}),
    ({"rotation": from_angles(0, 0, 10)}, {"FaceAngleZ": -10.0}),
    ({"rotation": from_angles(50, 0, 0)}, {"FaceAngleX": 30.0}),
    ({"position_mm": (-50.0, 20.0, 560.0)}, {"FacePositionX": 5.0, "FacePositionY": -2.0, "FacePositionZ": 4.0}),
    ({"gaze": {"left": (15.0, 0.0), "right": (0.0, -60.0)}}, {"EyeLeftX": 0.5, "EyeRightY": -1.0}),
    ({"eye_open": {"left": 0.2, "right": 1.0}}, {"EyeOpenLeft": 0.2}),
    ({"mouth_open": 0.7}, {"MouthOpen": 0.7}),
])
def test_each_value_reaches_its_input(change, expected):
    signals = at_rest()._replace(tracked=True, **change)
    found, rest = defaults(signals, (0.0, 0.0, -0.6)), defaults(at_rest(), (0.0, 0.0, -0.6))
    assert {name: value for name, value in found.items() if abs(value - rest[name]) > 1e-9} == pytest.approx(expected)
    assert rest["MouthSmile"] == rest["Brows"] == rest["BrowLeftY"] == 0.5


@pytest.mark.parametrize("shape, expected", [
    ("mouthSmileLeft", {"MouthSmile": 0.75}), ("mouthFrownRight", {"MouthSmile": 0.25}), ("mouthLeft", {"MouthX": 1.0}),
    ("cheekPuff", {"CheekPuff": 1.0}), ("tongueOut", {"TongueOut": 1.0}),
    ("browOuterUpLeft", {"BrowLeftY": 1.0, "Brows": 0.75}), ("browDownRight", {"BrowRightY": 0.0, "Brows": 0.25})])
def test_each_shape_reaches_its_inputs(shape, expected):
    rest = at_rest()
    signals = rest._replace(shapes=dict(rest.shapes, **{shape: 1.0}))
    values, before = Values(True).of(signals, 0.0), Values(True).of(rest, 0.0)
    own = "Nanoface" + shape[0].upper() + shape[1:]
    assert {name: value for name, value in values.items() if value != before[name]} == pytest.approx(
        dict(expected, **{own: 1.0}))


def test_every_value_is_in_the_range_of_its_input():
    rng = np.random.RandomState(4)
    for _ in range(300):
        signals = at_rest()._replace(
            rotation=from_angles(*rng.uniform(-80, 80, 3)), position_mm=tuple(rng.uniform(-2000, 2000, 3)),
            gaze={eye: tuple(rng.uniform(-90, 90, 2)) for eye in ("right", "left")},
            eye_open={eye: rng.uniform(-1, 2) for eye in ("right", "left")}, mouth_open=rng.uniform(-1, 2),
            shapes={name: rng.uniform(-0.5, 1.5) for name in SHAPES})
        for name, value in Values(True).of(signals, 0.0).items():
            low, high = RANGES.get(name, (0, 1))
            assert low <= value <= high, name


def test_a_face_s_place_counts_from_where_it_was_first_seen():
    values = Values(False)
    first = at_rest()._replace(face=1, tracked=True, position_mm=(100.0, 0.0, 800.0))
    assert values.of(first, 0.0)["FacePositionX"] == 0.0
    assert values.of(first._replace(position_mm=(50.0, 0.0, 800.0)), 0.1)["FacePositionX"] == pytest.approx(5.0)
    assert values.of(first._replace(face=2, position_mm=(50.0, 0.0, 800.0)), 0.2)["FacePositionX"] == 0.0


def test_events_are_inputs():
    values, rest = Values(True), at_rest()._replace(face=1, tracked=True)

    def told(now, *events):
        found = values.of(rest._replace(events=tuple(events)), now)
        return {name[8:]: found[name] for name in found if name[8:] in ("Yawn", "Nod", "BlinkRate", "Away") and found[name]}

    assert told(0.0) == {}
    assert told(1.0, {"event": "yawn", "phase": "start", "face": 1}) == {"Yawn": 1.0}
    assert told(2.0, {"event": "blink", "phase": "end", "face": 1}, {"event": "blink", "phase": "end", "face": 2}) == {
        "Yawn": 1.0, "BlinkRate": 1.0}
    assert told(3.0, {"event": "yawn", "phase": "end", "face": 1}, {"event": "nod", "phase": "end", "face": 1}) == {
        "BlinkRate": 1.0, "Nod": 1.0}
    assert told(4.0, {"event": "away", "phase": "start", "face": 1}, {"event": "presence", "phase": "start"}) == {
        "BlinkRate": 1.0, "Away": 1.0}
    assert told(63.0) == {"Away": 1.0}


@pytest.mark.parametrize("data, port", [
    (b'{"messageType":"VTubeStudioAPIStateBroadcast","data":{"active":true,"port":8001}}', 8001),
    (b'{"messageType":"VTubeStudioAPIStateBroadcast","data":{"active":false,"port":8001}}', 0),
    (b'{"messageType":"VTubeStudioAPIStateBroadcast","data":{"active":true,"port":0}}', None),
    (b'{"messageType":"VTubeStudioAPIStateBroadcast","data":{"active":true,"port":true}}', None),
    (b'{"messageType":"APIStateResponse","data":{"active":true,"port":8001}}', None), (b"[]", None), (b"\xff", None),
    (b"[" * 2000, None)])
def test_only_a_broadcast_tells_a_port(data, port):
    assert messages.port_of(data) == port


def test_tokens_are_kept_for_their_owner_alone_one_a_host(tmp_path):
    environ = {tokens.FOLDER: str(tmp_path / "new")}
    path = tokens.path_of("192.0.2.7", environ)
    assert tokens.kept(path) == "" and tokens.keep(path, "abc") == "" and tokens.kept(path) == "abc"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert tokens.path_of("fe80::1", environ) != path
    assert os.path.dirname(tokens.path_of("../x", environ)) == str(tmp_path / "new")
    with open(path, "wb") as f:
        f.write(b"\xff" * 1000)
    assert tokens.kept(path) == ""
    assert tokens.keep(str(tmp_path / "new" / "vts-192.0.2.7" / "x"), "abc") != ""


def test_the_service_keeps_tokens_beside_its_versions(monkeypatch):
    assert tokens.path_of("a", {"XDG_DATA_HOME": "/d"}) == "/d/nanoface/tokens/vts-a"
    monkeypatch.setattr("edge.host.commands.is_installed", lambda: True)
    assert tokens.path_of("a", {}) == "/var/lib/nanoface/tokens/vts-a"
