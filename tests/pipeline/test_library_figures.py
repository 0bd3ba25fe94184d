"""The library with the real networks: what the command line gives, to the last digit, and a process that stays as it was."""
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from patience import PATIENCE_S
from whole_runs import ROOT, RUNTIMES, environment, need_runtime, quick, whole_program

from edge.core.errors import ConfigError
from edge.core.records import read_record
from edge.library.tracker import Tracker

FRAMES = 45
RUNTIME = {"runtime": quick()[1]} if quick() else {}

STATE = """
import gc, json, logging, os, signal, sys, threading, warnings
import numpy, cv2
sys.path.insert(0, sys.argv[1])
import nanoface

def state():
    return {"environment": dict(os.environ), "folder": os.getcwd(), "path": list(sys.path), "filters": repr(warnings.filters),
            "opencv": cv2.getNumThreads(), "switch": sys.getswitchinterval(), "numpy": numpy.geterr(),
            "signals": [repr(signal.getsignal(n)) for n in range(1, 32)], "log": repr(logging.root.handlers),
            "level": logging.root.level, "gc": gc.get_threshold(), "threads": len(threading.enumerate()),
            "hooks": repr((sys.excepthook, sys.stdout)),
            "frozen": gc.get_freeze_count() if hasattr(gc, "get_freeze_count") else 0, "limit": sys.getrecursionlimit()}

warnings.filterwarnings("ignore", message="none such")
before = state()
options = json.loads(sys.argv[2])
with nanoface.Tracker(**options) as tracker:
    tracker(numpy.zeros((240, 320, 3), numpy.uint8))
    for frame, faces in nanoface.Tracker.stream("portrait", max_frames=2, **options):
        tracker(frame.image, still=True)
    inside = state()
after = state()
print(json.dumps([before, inside, after]))
"""


@pytest.fixture(scope="module")
def program(models_home, tmp_path_factory):
    return whole_program(models_home, tmp_path_factory)


@pytest.fixture
def home(models_home, monkeypatch):
    need_runtime(*RUNTIMES)
    monkeypatch.setenv("NANOFACE_HOME", models_home)


@pytest.fixture(scope="module", params=["portrait", "film"])
def run(request, program):
    """(source, the records of `nanoface run` on it)."""
    source = "portrait"
    if request.param == "film":
        made = program.run("--source", "portrait", "--max-frames", str(FRAMES), "--output", "video:film.mp4", *quick())
        source = made.path("film.mp4")
    done = program.run("--source", source, "--max-frames", str(FRAMES), "--landmarks", "--output", "jsonl:x.jsonl", *quick())
    return source, [read_record(line) for line in done.lines("x.jsonl")]


def test_a_stream_gives_what_the_command_line_gives(home, run):
    source, records = run
    steps = list(Tracker.stream(source, max_frames=FRAMES, **RUNTIME))
    assert len(steps) == len(records) == FRAMES
    for (frame, faces), record in zip(steps, records):
        assert (frame.index, round(frame.time_s, 6), frame.image.shape[1::-1]) == (record.frame, record.time_s, record.size)
        assert tuple(faces) == record.faces, frame.index
    assert sum(len(faces) for _, faces in steps) == FRAMES  # there was something to compare


def test_pictures_one_by_one_give_what_the_command_line_gives_in_each_of_several_trackers(home, run):
    source, records = run
    frames = [frame for frame, _ in Tracker.stream(source, max_frames=FRAMES, iris="none", pose="none", **RUNTIME)]
    reported = {}

    def track(name):
        with Tracker(**RUNTIME) as tracker:
            reported[name] = [tuple(tracker(frame.image, time_s=frame.time_s)) for frame in frames]

    threads = [threading.Thread(target=track, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    with Tracker(**RUNTIME) as near, Tracker(smoothing=False, **RUNTIME) as plain:
        reported["near"] = [tuple(near(frame.image, time_s=frame.time_s)) for frame in frames]
        raw = [tuple(plain(frame.image, time_s=frame.time_s)) for frame in frames]
    for thread in threads:
        thread.join()
    expected = [record.faces for record in records]
    assert sorted(reported) == ["near", "one", "other"] and all(faces == expected for faces in reported.values())
    assert raw[0] == expected[0] and raw[-1] != expected[-1]  # an option is applied


def test_unrelated_pictures_give_what_a_folder_gives(home, program, tmp_path):
    cv2 = pytest.importorskip("cv2")
    frames = [frame.image for frame, _ in Tracker.stream("portrait", max_frames=40, detect="yunet_s", **RUNTIME)]
    pictures = [frames[0], np.zeros((200, 300, 3), np.uint8), np.hstack([frames[0], frames[-1]])]
    for i, picture in enumerate(pictures):
        assert cv2.imwrite(str(tmp_path / "{}.png".format(i)), picture)
    done = program.run("--source", str(tmp_path), "--landmarks", "--output", "jsonl:x.jsonl", *quick())
    records = [read_record(line) for line in done.lines("x.jsonl")]
    with Tracker(**RUNTIME) as tracker:
        assert [tuple(tracker(picture, still=True)) for picture in pictures] == [record.faces for record in records]
    steps = list(Tracker.stream(tmp_path, **RUNTIME))
    assert [tuple(faces) for _, faces in steps] == [record.faces for record in records]
    assert [os.path.basename(frame.file) for frame, _ in steps] == ["0.png", "1.png", "2.png"]
    assert [len(record.faces) for record in records] == [1, 0, 2]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_nothing_else_of_the_process_is_changed(home, tmp_path, models_home, runtime):
    need_runtime(runtime)
    env = {k: v for k, v in environment(tmp_path, models_home).items() if k not in (
        "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "ORT_DISABLE_TELEMETRY", "PYTHONPATH")}
    more = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and os.path.abspath(path) != ROOT]
    env["PYTHONPATH"] = os.pathsep.join(more)
    done = subprocess.run([sys.executable, "-c", STATE, ROOT, json.dumps({"runtime": runtime})], cwd=str(tmp_path), env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=PATIENCE_S)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1
    before, inside, after = json.loads(done.stdout)
    before["environment"]["ORT_DISABLE_TELEMETRY"] = "1"  # which docs/library.md tells
    assert before == inside == after


def test_the_networks_are_named_with_what_runs_them(home):
    with Tracker(**RUNTIME) as tracker:
        assert tracker.backends["align"] == "face_attention"
        tracker.open()
        assert tracker.backends["align"].startswith("face_attention o")


@pytest.mark.parametrize("limit", [None, 7])
def test_a_stream_with_a_mean_gives_every_frame_later_and_numpys_mean_of_their_points(home, limit):
    """Also the frames that are held when the source, or what was wanted of it, ends."""
    def taken(**options):
        return list(Tracker.stream("portrait", max_frames=limit or 9, **dict(options, **RUNTIME)))

    as_seen, told = taken(smoothing=False), []
    smooth = taken(smoothing={"kind": "mean", "n_pre": 2, "n_next": 1}, report=lambda event, text: told.append(text))
    assert [frame.index for frame, _ in smooth] == [frame.index for frame, _ in as_seen] == list(range(limit or 9))
    assert all(np.array_equal(one.image, other.image) for (one, _), (other, _) in zip(smooth, as_seen))
    points = np.array([faces[0].landmarks for _, faces in as_seen])
    for i, (_, faces) in enumerate(smooth):
        window = np.clip(np.arange(i - 2, i + 2), 0, len(points) - 1)
        assert np.abs(faces[0].landmarks - points[window].mean(axis=0)).max() < 0.011, "records have two decimals"
    assert "smoothing: mean of 4 frames; outputs come 1 frame later (33 ms at 30 FPS)" in told


def test_an_interrupted_stream_with_a_mean_tells_the_events_of_the_frames_that_it_held(home):
    told = []
    for steps, smoothing in ((33, False), (30, {"kind": "mean", "n_next": 3})):
        stream = Tracker.stream("portrait", smoothing=smoothing, events=True, **RUNTIME)
        assert [next(stream)[0].index for _ in range(steps)] == list(range(steps))
        stream.close()
        told.append([(event.name, event.phase, event.start_s) for event in stream.take_events()])
    assert told[0] == told[1] and len(told[0]) > 1, "both have looked at as many frames"


def test_a_tracker_answers_at_once(home):
    with pytest.raises(ConfigError, match="waits for 2 later pictures.* set n_next=0, or use Tracker.stream"):
        Tracker(smoothing={"kind": "mean", "n_next": 2}, **RUNTIME)
    with Tracker(smoothing={"kind": "mean", "n_pre": 3, "n_next": 0}, **RUNTIME) as tracker:
        frame = next(Tracker.stream("portrait", max_frames=1, **RUNTIME))[0]
        assert len(tracker(frame.image)) == len(tracker(frame.image)) == 1
