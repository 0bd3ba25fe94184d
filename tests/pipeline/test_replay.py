"""The whole program: what a replay of a recorded run writes is what the run itself wrote, and no network takes part."""
import csv
import json
import os
import subprocess
import sys

import pytest
from patience import wait_until
from whole_runs import ROOT, one_line, whole_program

cv2 = pytest.importorskip("cv2")

from edge.recording.reading import Reader

ALL = "landmarks=yes&shapes=yes&events=yes"
FILMS = ["media/video/hysts_video02.mp4", "media/video/lp_d3.mp4"]
STILLS = "media/stills/groups"
OUTPUTS = ("--output", "jsonl:all.jsonl?" + ALL, "--output", "jsonl:few.jsonl", "--output", "jsonl:told.jsonl?events=yes",
           "--output", "csv:a.csv?shapes=yes", "--quiet")


@pytest.fixture(scope="module")
def program(models_home, tmp_path_factory):
    return whole_program(models_home, tmp_path_factory)


def same(done, name):
    return [{key: value for key, value in record.items() if key not in ("captured_at", "age_ms", "file")}
            for record in done.records(name)]


def rows(done):
    with open(done.path("a.csv"), newline="", encoding="utf-8") as f:
        return [{key: value for key, value in row.items() if key not in ("captured_at_s", "age_ms", "file")}
                for row in csv.DictReader(f)]


def assert_replayed(program, run, source, *words):
    """Returns the replay."""
    replay = program.with_home("/nowhere").run("--source", source, *(OUTPUTS + words))
    for name in ("all.jsonl", "few.jsonl", "told.jsonl"):
        assert same(replay, name) == same(run, name)
    assert rows(replay) == rows(run)
    assert replay.notes() == []
    return replay


@pytest.fixture(scope="module")
def recorded(program):
    """A run of the demo with a profile, and one without."""
    return program.run("portrait", "--max-frames", "120", *OUTPUTS, "--output", "record:run.nfr")


def test_a_replay_writes_what_the_run_wrote_and_needs_no_network(program, recorded):
    path = recorded.path("run.nfr")
    assert_replayed(program, recorded, path)
    faces = [face for record in same(recorded, "all.jsonl") for face in record.get("faces", ())]
    assert any("jawOpen" in face["expression"] for face in faces)
    assert any("event" in record for record in recorded.records("told.jsonl"))
    assert os.path.getsize(path) < 120 * 3000


def test_a_recording_of_a_replay_is_the_same_recording(program, recorded):
    again = program.run("--source", "record:" + recorded.path("run.nfr"), "--output", "record:again.nfr", "--quiet")
    with open(recorded.path("run.nfr"), "rb") as one, open(again.path("again.nfr"), "rb") as other:
        assert Reader(one, "one").facts == Reader(other, "other").facts
    assert_replayed(program, recorded, again.path("again.nfr"))


def test_a_resting_face_and_values_as_measured_come_back(program, tmp_path):
    own = dict(NANOFACE_PROFILES=str(tmp_path / "profiles"))
    taken = program.call("calibrate", "neutral", "portrait", "--seconds", "0.5", **own)
    assert taken.code == 0, taken.err
    run = program.run("portrait", "--max-frames", "20", "--no-smoothing", *OUTPUTS, "--output", "record:run.nfr", **own)
    assert any("neutral" in face.get("pose", {}) for record in same(run, "few.jsonl") for face in record["faces"])
    assert_replayed(program, run, run.path("run.nfr"))


@pytest.mark.shared(*FILMS)
@pytest.mark.parametrize("film", FILMS)
def test_films_of_people_come_back(program, shared, film):
    coarse = ("--set", "output.coarse_shapes=true")
    run = program.run(os.path.join(shared, film), "--max-frames", "75", "--max-faces", "4",
                      *OUTPUTS + coarse + ("--output", "record:run.nfr"))
    assert_replayed(program, run, run.path("run.nfr"), *coarse)


@pytest.mark.shared(STILLS)
def test_pictures_of_any_size_and_many_faces_come_back_without_their_names(program, shared):
    run = program.run(os.path.join(shared, STILLS), "--max-frames", "12", *OUTPUTS, "--output", "record:run.nfr")
    assert any(len(record["faces"]) > 1 for record in same(run, "few.jsonl"))
    replay = assert_replayed(program, run, run.path("run.nfr"))
    assert all("file" not in record for record in replay.records("all.jsonl"))


def test_pictures_and_films_are_drawn_on_black(program, recorded):
    done = program.run("--source", recorded.path("run.nfr"), "--output", "image:a.png", "--output", "video:a.mp4",
                       "--max-frames", "20", "--quiet")
    picture = cv2.imread(done.path("a.png"))
    assert picture.shape == (480, 640, 3) and 0.3 < (picture.max(axis=2) < 8).mean() < 0.99 and picture.max() > 150
    assert cv2.VideoCapture(done.path("a.mp4")).read()[0]


def test_the_library_gives_the_same_faces(recorded, tmp_path):
    code = ("import json, sys, nanoface\n"
            "for frame, faces in nanoface.Tracker.stream(sys.argv[1], shapes=True, events=True):\n"
            "    print(frame.index, frame.time_s, json.dumps([[f.id, f.box, f.pose and f.pose.yaw, dict(f.expression),\n"
            "                                               f.landmarks.tolist()] for f in faces]))\n")
    done = subprocess.run([sys.executable, "-c", code, "record:" + recorded.path("run.nfr")], cwd=str(tmp_path), check=True,
                          stdout=subprocess.PIPE, universal_newlines=True,
                          env=dict(os.environ, PYTHONPATH=ROOT + os.pathsep + os.environ.get("PYTHONPATH", ""),
                                   NANOFACE_HOME="/nowhere", NANOFACE_CONFIG=os.devnull))
    found = [line.split(" ", 2) for line in done.stdout.splitlines()]
    frames = [record for record in recorded.records("all.jsonl") if "faces" in record]
    assert [(int(seq), float(time_s)) for seq, time_s, _ in found] == [(r["frame"], r["time_s"]) for r in frames]
    for (_, _, faces), record in zip(found, frames):
        assert json.loads(faces) == [
            [f["id"], f["box"], f["pose"]["yaw"], f["expression"], f["landmarks"]] for f in record["faces"]]


def test_what_networks_were_asked_for_is_said_to_have_no_effect(program, recorded):
    done = program.run("--source", recorded.path("run.nfr"), "--detector", "fmr_8and16", "--quiet", "--max-frames", "3")
    assert done.notes() == []
    done = program.run("--source", recorded.path("run.nfr"), "--detector", "fmr_8and16", "--max-frames", "3")
    assert any("models.detect has no effect" in note for note in done.notes())


@pytest.mark.parametrize("words, code, told", [
    (("run", "--source", "{}", "--rotate", "90"), 2, "--rotate is for pictures"),
    (("run", "--source", "{}", "--size", "64x64"), 2, "--size is for pictures"),
    (("run", "--source", "{}", "--output", "record:{}"), 2, "would write over the source"),
    (("bench", "--source", "{}"), 3, "bench needs pictures"),
    (("calibrate", "neutral", "{}"), 3, "a neutral face is taken from pictures"),
    (("run", "--source", "record:nothing.nfr"), 3, "there is no nothing.nfr"),
    (("report", "--recording", "nothing.nfr"), 3, "cannot be read: No such file"),
])
def test_what_a_recording_cannot_be_is_one_line(program, recorded, words, code, told):
    done = program.call(*(word.format(recorded.path("run.nfr")) for word in words))
    assert done.code == code and told in one_line(done.err)


def test_a_recording_that_is_cut_off_is_replayed_and_says_so(program, recorded, tmp_path):
    with open(recorded.path("run.nfr"), "rb") as f:
        data = f.read()
    (tmp_path / "a.nfr").write_bytes(data[:len(data) * 2 // 3])
    done = program.run("--source", str(tmp_path / "a.nfr"), "--output", "jsonl:a.jsonl", "--quiet")
    assert 60 < len(done.records("a.jsonl")) < 100 and any("it was cut off behind frame" in note for note in done.notes())
    strict = program.call("run", "--source", str(tmp_path / "a.nfr"), "--strict", "--status", "none", "--quiet")
    assert strict.code == 3
    (tmp_path / "a.nfr").write_bytes(data[:5000] + b"?" + data[5001:])
    damaged = program.call("run", "--source", str(tmp_path / "a.nfr"), "--status", "none", "--quiet")
    assert damaged.code == 3 and "a.nfr is damaged behind frame" in one_line(damaged.err)


def test_a_run_that_is_killed_leaves_a_recording_that_plays(program):
    folder, process = program.start("run", "portrait", "--loop", "--realtime", "--output", "record:a.nfr", "--status", "none",
                                    "--quiet")
    path = os.path.join(folder, "a.nfr")
    try:
        wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > 30000, "the recording")
    finally:
        process.kill()
        process.communicate()
    done = program.run("--source", path, "--output", "jsonl:a.jsonl")
    assert len(done.records("a.jsonl")) >= 8 and any("it was cut off behind frame" in note for note in done.notes())
