"""`nanoface calibrate neutral` and `nanoface profile` as they are typed, on films whose truth is known."""
import json
import os

import pytest
from in_process import InProcess
from whole_runs import need_networks, need_runtime, quick

from edge.cli.table import read_words
from edge.core.errors import ConfigError, FrameError
from edge.stages.detect import Detect

SWEEP, HEAD = "media/shapes/sweep.mp4", "media/synth/head_seed1.mp4"
TWO, NOBODY, DARK = "media/video/hysts_video02.mp4", "media/noface/noface_bottle-detection.mp4", "media/video/lp_d20.mp4"


@pytest.fixture
def command(tmp_path, capfd, models_home):
    need_runtime("onnxruntime", "openvino")
    need_networks(models_home, "yunet_s", "face_attention", "face_landmark", "mb05", "iris_landmark")
    return InProcess(tmp_path, capfd, models_home)


def one_line(done, code):
    assert done.code == code and done.out == "", done.err
    last = done.err.strip().split("\n")[-1]
    assert last.startswith("nanoface: ") and "Traceback" not in done.err
    return last


@pytest.mark.shared(SWEEP)
@pytest.mark.parametrize("aligner, other", [("face_attention", "face_landmark"), ("face_landmark", "face_attention")])
def test_a_resting_face_is_taken_used_and_taken_back(command, shared, aligner, other):
    """Its first second is at rest."""
    film = os.path.join(shared, SWEEP)
    ours = quick() + ("--aligner", aligner)

    def faces(*words):
        done = command("run", film, "--end", "0.8", "--status", "none", "--output", "jsonl:a.jsonl", *(ours + words))
        assert done.code == 0, done.err
        return [record["faces"][0] for record in done.records("a.jsonl")[8:]], done.err

    plain, _ = faces()
    assert all("neutral" not in face["pose"] for face in plain)
    done = command("calibrate", "neutral", film, "--end", "1", "--name", "anna", *ours)
    assert done.code == 0 and "used by every run from now on" in done.out, done.err
    rested, said = faces()
    assert "profile anna is in use" in said
    for before, face in zip(plain, rested):
        assert face["pose"]["rotation"] == before["pose"]["rotation"]
        assert max(abs(angle) for angle in face["pose"]["neutral"].values()) < 2.0
        assert min(face["expression"][eye] for eye in ("eye_open_right", "eye_open_left")) > 0.75
    off = [sum(abs(face["gaze"][axis]) for face in some) / len(some) for some in (plain, rested) for axis in ("yaw", "pitch")]
    assert max(off[2:]) < 2.0 and sum(off[2:]) < sum(off[:2])  # it looks ahead, into the lens
    assert all("neutral" not in face["pose"] for face in faces("--profile", "none")[0])
    wrong = command("run", film, "--profile", "anna", "--aligner", other, *quick())
    assert "was made with " + aligner in one_line(wrong, 2) and "calibrate neutral --name anna" in wrong.err
    assert [row["name"] for row in json.loads(command("profile", "list", "--json").out)["profiles"]] == ["anna"]
    assert command("calibrate", "neutral", "--undo", "--name", "anna").code == 0
    assert "no profile" in command("profile").out
    assert all("neutral" not in face["pose"] for face in faces()[0])


@pytest.mark.parametrize("film, words, reason", [
    pytest.param(NOBODY, ("--end", "3"), "no face is seen", marks=pytest.mark.shared(NOBODY)),
    pytest.param(TWO, (), "there is more than one face", marks=pytest.mark.shared(TWO)),
    pytest.param(HEAD, ("--start", "2", "--end", "7"), "the head moves", marks=pytest.mark.shared(HEAD)),
    pytest.param(DARK, (), "the head moves", marks=pytest.mark.shared(DARK)),
])
def test_a_film_without_a_resting_face_is_refused_with_the_reason(command, shared, film, words, reason):
    done = command("calibrate", "neutral", os.path.join(shared, film), *(words + quick()))
    assert reason in one_line(done, 3)
    assert not os.path.exists(os.path.join(done.folder, "profiles"))


def test_frames_that_a_stage_refuses_count_as_without_a_face(command, monkeypatch):
    def refused(stage, packet):
        raise FrameError("refused")

    monkeypatch.setattr(Detect, "process", refused)
    done = command("calibrate", "neutral", "portrait", "--max-frames", "30", *quick())
    assert "no face is seen" in one_line(done, 3)


def test_a_picture_is_enough(command):
    picture = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "edge", "sources",
                           "portrait.jpg")
    done = command("calibrate", "neutral", picture, *quick())
    assert done.code == 0 and "taken from one picture\n" in done.out, done.err
    found = command("run", picture, "--profile", "me", "--status", "none", "--output", "jsonl:a.jsonl", *quick())
    assert max(abs(a) for a in found.records("a.jsonl")[0]["faces"][0]["pose"]["neutral"].values()) < 0.1
    unnamed = command("run", picture, "--status", "none", "--output", "jsonl:a.jsonl", *quick())
    assert "neutral" not in unnamed.records("a.jsonl")[0]["faces"][0]["pose"]  # pictures are of anybody


@pytest.mark.parametrize("words, text", [
    (["calibrate", "neutral", "--undo", "--seconds", "2"], "--undo takes a --name and nothing else"),
    (["calibrate", "neutral", "--undo", "0"], "--undo takes a --name and nothing else"),
    (["calibrate", "neutral", "--seconds", "0"], "0 is not a number from 0.3 to 60"),
    (["calibrate", "neutral", "--seconds", "nan"], "nan is not a number from 0.3 to 60"),
    (["calibrate", "neutral", "--countdown", "-1"], "--countdown"),
    (["calibrate", "neutral", "--write"], "--write goes with nanoface calibrate fp16"),
    (["calibrate", "fp16", "--undo"], "--undo goes with nanoface calibrate neutral"),
    (["calibrate", "fp16", "--fps", "3"], "--fps goes with nanoface calibrate neutral"),
    (["calibrate", "neutral", "a.mp4", "--source", "b.mp4"], "both name a source"),
    (["calibrate", "neutrl"], "did you mean neutral?"),
    (["profile", "use"], "profile use what? The name is missing"),
    (["profile", "use", "a", "b"], "profile use takes no word b"),
    (["profile", "list", "a"], "profile list takes no word a"),
    (["profile", "use", "a", "--json"], "--json goes with nanoface profile list and show"),
    (["profile", "lst"], "did you mean list?"),
])
def test_a_wrong_word_is_named(words, text):
    with pytest.raises(ConfigError) as error:
        read_words(words)
    assert text in str(error.value)


@pytest.mark.parametrize("words, code, text", [
    (["profile"], 0, "there is no profile in "),
    (["profile", "none"], 0, "no profile is used"),
    (["profile", "use", "NONE"], 0, "no profile is used"),
    (["profile", "use", "anna"], 2, "there is no profile anna"),
    (["profile", "show", "../x"], 2, "is no name of a profile"),
    (["profile", "remove", "anna"], 2, "there is no profile anna"),
    (["profile", "undo", "anna"], 2, "there is no profile anna"),
    (["calibrate", "neutral", "--undo"], 2, "there is no profile me"),
    (["calibrate", "neutral", "--name", ""], 2, "is no name of a profile"),
    (["run", "portrait", "--profile", "a/b"], 2, "neutral.profile is the text 'a/b'"),
])
def test_what_there_is_not_is_one_line(tmp_path, capfd, words, code, text):
    done = InProcess(tmp_path, capfd)(*words)
    assert done.code == code and text in done.out + done.err and len((done.out + done.err).strip().split("\n")) == 1


@pytest.mark.shared(SWEEP)
def test_it_is_taken_whatever_the_runs_smooth_or_follow_and_names_a_network_of_ones_own(command, shared, models_home):
    film = os.path.join(shared, SWEEP)
    own = ("--aligner", os.path.join(models_home, "onnx", "face_landmark.onnx"), "--aligner-like", "face_landmark")
    done = command("calibrate", "neutral", film, "--end", "1", "--set", "smoothing.kind=mean", "--set",
                   "tracking.follow=false", *own + quick())
    assert done.code == 0 and "later" not in done.err, done.err
    wrong = command("run", film, "--profile", "me", *quick())
    assert one_line(wrong, 2).endswith("or take --aligner with that file")
