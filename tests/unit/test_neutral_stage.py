"""What a neutral face changes in a run, how one is switched while it goes, and whose it is."""
import os

import numpy as np
import pytest
from test_stages import FOV, expressive_face, frame

from edge.app import neutral as app
from edge.config.load import load_config
from edge.core import clock
from edge.core.errors import ConfigError
from edge.core.packet import Eyes
from edge.core.parts import Parts
from edge.face import eyes, gaze
from edge.face.events.signals import of_face
from edge.face.mesh import POINTS
from edge.face.neutral import Neutral, Taken, facts_of
from edge.face.owner import LOOK_S, Owner
from edge.geometry import rotation
from edge.geometry.camera import CameraGuess, from_fov
from edge.outputs.record import encode
from edge.stages.express import Express, ExpressSettings
from edge.stages.resting import Fixed, signals_of
from edge.store import requests

NETWORK = "face_attention"
CAMERA = from_fov(640, 480, FOV)
STILL = np.random.RandomState(7).uniform(-70.0, 70.0, (POINTS, 3))
REST = Neutral("me", NETWORK, STILL, ((0.30, 0.08), (0.20, 0.02)), ((4.0, 2.0), (6.0, -1.0)),
               rotation.from_angles(10.0, -5.0, 3.0), ((1.0, 1.0), (-1.0, 1.0)))


def expressed(neutral, *faces):
    stage = Express(ExpressSettings(CameraGuess(None, FOV), None, neutral=None if neutral is None else Fixed(neutral)))
    return [stage.process(frame(i, i / 30).with_faces((face,))).faces[0] for i, face in enumerate(faces)]


def test_each_eye_loses_the_error_that_it_had_toward_the_lens_and_the_direction_follows():
    plain, out = (expressed(neutral, expressive_face(0.25))[0].gaze for neutral in (None, REST))
    for side, error in (("right", (3.0, 1.0)), ("left", (7.0, -2.0))):
        assert np.subtract(getattr(plain, side), getattr(out, side)) == pytest.approx(error, abs=1e-6)
    assert out.both == pytest.approx(np.mean([out.right, out.left], axis=0), abs=0.05)
    yaw, pitch = np.radians(out.both)
    assert out.direction == pytest.approx([-np.sin(yaw), -np.sin(pitch), -1.0], abs=0.05)


def test_an_eye_whose_gaze_was_not_known_then_stays_as_it_is():
    plain, out = (expressed(neutral, expressive_face(0.25))[0].gaze
                  for neutral in (None, REST._replace(gaze=(None, REST.gaze[1]))))
    assert out.right == plain.right and out.left != plain.left


@pytest.mark.parametrize("side, rest", [("right", 0.30), ("left", 0.20)])
def test_an_eye_is_open_as_the_profile_says_from_the_first_frame_on(side, rest):
    usual, known = (expressed(neutral, *[expressive_face(o) for o in (0.9 * rest, rest, 0.6 * rest)])
                    for neutral in (None, REST))
    assert [face.expression["eye_open_" + side] for face in known[:2]] == pytest.approx([0.86, 1.0], abs=0.05)
    assert usual[0].expression["eye_open_" + side] == 1.0  # without one, the first look is taken for open


def test_the_range_stays_near_the_profile_whatever_is_seen():
    learned, free = eyes.EyeRange((0.3, 0.08)), eyes.EyeRange()
    for i in range(3000):
        for one in (learned, free):
            one.learn(0.21, i / 30.0)
    assert learned.openness(0.21) < 0.75 < free.openness(0.21)


def test_the_pose_stays_and_its_angles_from_rest_stand_beside_it():
    nod = rotation.from_angles(0.0, 12.0, 0.0)
    face = expressive_face(0.25)
    face = face._replace(pose=face.pose._replace(rotation=REST.rotation.dot(nod)))
    plain, out = (expressed(neutral, face)[0].pose for neutral in (None, REST))
    assert np.array_equal(plain.rotation, out.rotation) and plain.neutral is None
    assert np.allclose(out.neutral, nod)  # a nod is a nod, wherever the camera stands
    record = encode(frame().with_faces((face._replace(pose=out),)), 0.0, Parts())["faces"][0]["pose"]
    assert record["neutral"] == {"yaw": 0.0, "pitch": 12.0, "roll": 0.0}


def test_a_face_that_looks_into_the_lens_has_no_error_after_a_capture():
    face = expressive_face(0.25, gaze_px=1.0)
    seen = signals_of(face, CAMERA, frame().frame.image)
    assert seen.lens[0][0] < 0.0 < seen.lens[1][0]  # each eye turns inward to it
    neutral = REST._replace(gaze=seen.looks, lens=seen.lens)
    out = expressed(neutral, face)[0].gaze
    assert out.right == pytest.approx(seen.lens[0], abs=1e-6) and out.left == pytest.approx(seen.lens[1], abs=1e-6)


def test_who_looks_as_in_the_capture_looks_into_the_lens_for_the_events():
    face = expressive_face(0.25, gaze_px=4.0)
    seen = signals_of(face, CAMERA, frame().frame.image)
    neutral = REST._replace(gaze=seen.looks, lens=seen.lens)
    off = [np.linalg.norm(np.subtract(signals.look_deg, signals.lens_deg)) for signals in (
        of_face(expressed(rest, face)[0], (None, None)) for rest in (None, neutral))]
    assert off[1] < 4.0 < off[0]  # the way to the lens is that from the head's origin, 25 mm below the eyes


@pytest.mark.parametrize("yaw, pitch", [(0.0, 0.0), (20.0, -10.0), (-40.0, 35.0)])
def test_a_direction_is_turned_by_degrees(yaw, pitch):
    there = gaze.turned((0.0, 0.0, 1.0), yaw, pitch)
    assert gaze.angles(there) == pytest.approx((yaw, pitch))
    assert gaze.turned(there, -yaw, -pitch) == pytest.approx((0.0, 0.0, 1.0))


@pytest.mark.parametrize("change, other", [(1.0, False), (1.1, True)], ids=["the owner", "somebody else"])
def test_a_face_of_other_proportions_is_somebody_elses_until_the_owner_is_back(change, other):
    owner, at_s = Owner(REST), 0.0

    def look(still, count):
        nonlocal at_s
        for _ in range(count):
            at_s += LOOK_S
            if owner.due(at_s, REST.rotation):
                owner.look(at_s, still)

    look(STILL * change, 9)
    assert not owner.other  # it is not said at the first look
    look(STILL * change, 6)
    assert owner.other == other
    look(STILL, 11)
    assert not owner.other


def test_a_turned_head_tells_nothing_of_its_owner():
    owner = Owner(REST)
    assert owner.due(0.0, REST.rotation) and not owner.due(0.0, rotation.from_angles(40.0, 0.0, 0.0))


class Run:
    """An InUse whose time passes by itself, and what it has told."""

    def __init__(self, monkeypatch, folder, name=None, live=True):
        self.now = 0.0
        monkeypatch.setenv("NANOFACE_PROFILES", str(folder))
        monkeypatch.setattr(clock, "monotonic", self.monotonic)
        settings = {} if name is None else {"neutral.profile": name}
        self.told, self.stored = [], app.profiles()
        config = load_config(os.devnull, settings, {})
        self.in_use = lambda: app.InUse(config, NETWORK, lambda event, text: self.told.append((event, text)), live)

    def monotonic(self):
        self.now += 0.4
        return self.now

    def save(self, name, neutral=REST):
        self.stored.save(name, facts_of(Taken(neutral._replace(name=name), 90, 3.0, 0.3, 0.4)))

    def names(self, source, frames=8):
        return [getattr(source.current(), "name", None) for _ in range(frames)]


def test_a_profile_is_switched_while_the_run_goes(monkeypatch, tmp_path):
    run = Run(monkeypatch, tmp_path)
    run.save("anna")
    source = run.in_use()
    assert set(run.names(source)) == {None} and source.record() == {} and run.told == []
    run.stored.use("anna")
    assert run.names(source)[-1] == "anna" and source.record() == {"name": "anna"}
    before = source.current()
    run.save("anna", REST._replace(lids=((0.2, 0.1), (0.2, 0.1))))
    assert run.names(source)[-1] == "anna" and source.current() is not before
    run.stored.use(None)
    assert run.names(source)[-1] is None
    assert [text for _, text in run.told] == ["profile anna is in use"] * 2 + ["no profile is in use any more"]


def test_the_configuration_wins_over_what_was_chosen(monkeypatch, tmp_path):
    for name, expected in (("bob", "bob"), ("none", None)):
        run = Run(monkeypatch, tmp_path, name)
        run.save("anna"), run.save("bob")
        run.stored.use("anna")
        assert set(run.names(run.in_use())) == {expected}


@pytest.mark.parametrize("network, text", [
    (None, "there is no profile bob"), ("face_landmark", "was made with face_landmark")])
def test_a_profile_that_cannot_be_used_ends_a_run_that_names_it_and_is_told_in_others(monkeypatch, tmp_path, network, text):
    named, chosen = Run(monkeypatch, tmp_path, "bob"), Run(monkeypatch, tmp_path)
    if network is not None:
        named.save("bob", REST._replace(network=network))
    with pytest.raises(ConfigError, match=text):
        named.in_use()
    (tmp_path / "use").write_text("bob\n")
    source = chosen.in_use()
    assert set(chosen.names(source)) == {None}
    assert [event for event, _ in chosen.told] == ["warning"] and text in chosen.told[0][1] and text in source.record()["note"]


def test_a_damaged_profile_is_told_once_and_the_version_before_it_is_used(monkeypatch, tmp_path):
    run = Run(monkeypatch, tmp_path)
    run.save("anna"), run.save("anna"), run.stored.use("anna")
    (tmp_path / "anna.json").write_text("{")
    assert set(run.names(run.in_use())) == {"anna"}
    assert [event for event, _ in run.told] == ["warning", "note"] and "anna.damaged" in run.told[0][1]


def seen(time_s):
    """A packet of a resting face in a lit picture, whose eyes look about where the lens is."""
    face = expressive_face(0.25)
    packet = frame(int(30 * time_s), time_s).with_faces((face._replace(box=(200.0, 150.0, 400.0, 350.0)),))
    return packet._replace(frame=packet.frame._replace(image=np.full((480, 640, 3), 120, np.uint8)))


@pytest.mark.parametrize("live", [True, False])
def test_a_run_takes_a_face_when_it_is_asked_and_uses_it(monkeypatch, tmp_path, live):
    run = Run(monkeypatch, tmp_path, live=live)
    source = run.in_use()
    request = requests.put(str(tmp_path), "anna", 1.0)
    for i in range(60):
        source.current()
        source.look(seen(i / 30.0), CAMERA)
    told = requests.read_reply(str(tmp_path), request)
    if not live:  # a film is not who sits there
        assert told is None and requests.withdraw(str(tmp_path))
        return
    assert told["over"] and "failed" not in told, told
    assert run.stored.in_use() == "anna" and run.names(source)[-1] == "anna"


def test_a_request_that_cannot_be_met_is_answered_with_the_reason(monkeypatch, tmp_path):
    run = Run(monkeypatch, tmp_path)
    source = run.in_use()
    request = requests.put(str(tmp_path), "anna", 0.5)
    for i in range(200):
        source.current()
        source.look(seen(i / 5.0).with_faces(()), CAMERA)
    told = requests.read_reply(str(tmp_path), request)
    assert told["failed"] and told["text"] == "no face is seen" and run.stored.names() == []


@pytest.mark.parametrize("at", [0, 20])
def test_a_request_that_its_user_takes_back_changes_nothing(monkeypatch, tmp_path, at):
    run = Run(monkeypatch, tmp_path)
    source = run.in_use()
    request = requests.put(str(tmp_path), "anna", 1.0)
    for i in range(60):
        if i == at:
            requests.cancel(str(tmp_path), request)
        source.current()
        source.look(seen(i / 30.0), CAMERA)
    assert run.stored.names() == [] and run.stored.in_use() is None
    assert [text for _, text in run.told] == ["neutral face: not taken, cancelled"] * bool(at)
    assert sorted(os.listdir(str(tmp_path))) == ["reply"] * bool(at)
    source.current()
    requests.put(str(tmp_path), "bob", 0.5)
    for i in range(60, 120):
        source.current()
        source.look(seen(i / 30.0), CAMERA)
    assert run.stored.names() == ["bob"]


def test_eyes_that_nobody_saw_leave_the_signals_empty():
    bare = expressive_face(0.25)._replace(irises=None, eye_contours=None)
    found = signals_of(bare, CAMERA, frame().frame.image)
    assert found.lids == (None, None) and found.looks == (None, None) and found.still is not None
    assert signals_of(bare._replace(landmarks=None, pose=None), CAMERA, frame().frame.image).still is None
    half = bare._replace(irises=Eyes(None, None), eye_contours=expressive_face(0.25).eye_contours)
    assert None not in signals_of(half, CAMERA, frame().frame.image).lids
