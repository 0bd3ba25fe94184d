"""From `nanoface build` to frame records, on the SIMULATOR of TensorRT: the same faces as ONNX Runtime's, and no rule broken.

Real processes: one builds the plans, others only load them. The simulator computes in FP16 what a board would, and reports
what broke its contract or was left alive when a process ends.
"""
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the simulator needs the package onnx")
pytest.importorskip("onnxruntime", reason="the simulator needs the package onnxruntime")

from fakes import KERNELS, SIMULATOR
from fakes.plans import write_cubin
from patience import PATIENCE_S
from whole_runs import DEFAULT_NETWORKS, Program, copy_home, launch, need_networks, python_path, wait_for_lines, whole_program

FLAME = os.path.join("media", "video", "flame.mp4")
ATTENTION = "face_attention"
MOST_PX, MOST_DEG = 0.3, 0.3  # between FP16 and ONNX Runtime, in the median


class Board(Program):
    """The program where the simulator is on the path and the plans were built; each process reports at its end."""

    def start(self, *words, **more):
        folder = str(self._folders.mktemp("run"))
        self.report = os.path.join(folder, "simulator.json")
        env = dict(PYTHONPATH=python_path(SIMULATOR), NANOFACE_SIM_REPORT=self.report, NANOFACE_SIM_KERNELS=KERNELS)
        env.update(more)
        return folder, launch(folder, self.home, words, **env)

    def books(self):
        with open(self.report) as f:
            return json.load(f)


@pytest.fixture(scope="module")
def board(models_home, tmp_path_factory):
    networks = DEFAULT_NETWORKS + (ATTENTION,)
    need_networks(models_home, *networks)
    home = copy_home(models_home, str(tmp_path_factory.mktemp("board")), networks)
    made = Board(home, tmp_path_factory)
    done = made.call("build")
    assert done.code == 0 and "4 of 4 plans are ready" in done.out and ATTENTION not in done.out, done.out + done.err
    done = made.call("build", "--only", ATTENTION)
    assert done.code == 0 and "align     face_attention   built" in done.out and "verified" in done.out, done.out + done.err
    write_cubin(home)  # there is no nvcc for the board's GPU here
    return made


@pytest.fixture(scope="module")
def on_pc(models_home, tmp_path_factory):
    """call(word ...) -> the records of ONNX Runtime; each once, whatever crops the board makes itself."""
    program, made = whole_program(models_home, tmp_path_factory), {}

    def records(*words):
        if words not in made:
            made[words] = program.run("--runtime", "onnxruntime", *words).records("faces.jsonl")
        return made[words]
    return records


def points(face):
    return np.array(face["landmarks"])[:, :2]


def centres(face):
    return {eye: np.array(iris["center"]) for eye, iris in face.get("iris", {}).items()}


def differences(ours, theirs):
    """Landmarks (px), pose (degrees) and iris centres (px) of the faces that two lists of records hold alike."""
    pixels, degrees, irises = [], [], []
    assert [len(r["faces"]) for r in ours] == [len(r["faces"]) for r in theirs]
    for mine, other in ((a, b) for r, s in zip(ours, theirs) for a, b in zip(r["faces"], s["faces"])):
        assert mine["id"] == other["id"]
        pixels.extend(np.hypot(*(points(mine) - points(other)).T))
        degrees.extend(abs(mine["pose"][key] - other["pose"][key]) for key in ("yaw", "pitch", "roll"))
        both = set(centres(mine)) & set(centres(other))
        irises.extend(np.hypot(*(centres(mine)[eye] - centres(other)[eye])) for eye in both)
    return np.array(pixels), np.array(degrees), np.array(irises)


@pytest.mark.parametrize("source, frames", [
    ("portrait", 40), pytest.param(FLAME, 60, marks=pytest.mark.shared(FLAME))], ids=["portrait", "flame"])
@pytest.mark.parametrize("align, crops", [("face_landmark", "auto"), ("face_landmark", "cpu"), (ATTENTION, "auto")])
def test_the_faces_are_those_of_onnx_runtime(board, on_pc, shared, source, frames, align, crops):
    spec = source if source == "portrait" else os.path.join(shared, source)
    words = ("--source", spec, "--max-frames", str(frames), "--landmarks", "--output", "jsonl:faces.jsonl", "--quiet",
             "--aligner", align)
    ours = board.run("--runtime", "tensorrt", "--set", "models.crops=" + crops, *words).records("faces.jsonl")
    assert board.books()["clean"], board.books()
    theirs = on_pc(*words)

    assert len(ours) == frames and all(r["faces"] for r in ours)
    blind = [r["faces"][0]["missing"].get("iris") for r in ours if "iris" not in r["faces"][0]]
    assert set(blind) <= {"no eye is open toward the camera"} and len(blind) <= 0.2 * frames, blind  # flame blinks
    pixels, degrees, irises = differences(ours, theirs)
    assert 0.0 < np.median(pixels) <= MOST_PX and np.median(degrees) <= MOST_DEG and np.median(irises) <= MOST_PX


def test_the_68_points_are_those_of_onnx_runtime_in_every_frame(board, on_pc):
    words = ("--source", "portrait", "--max-frames", "20", "--landmarks", "68", "--output", "jsonl:faces.jsonl", "--quiet",
             "--aligner", "face_landmark")
    ours = board.run("--runtime", "tensorrt", *words).records("faces.jsonl")
    assert board.books()["clean"], board.books()
    both = [[np.array(record["faces"][0]["landmarks68"]) for record in records] for records in (ours, on_pc(*words))]
    assert [len(each) for each in both] == [20, 20] and not any("landmarks" in record["faces"][0] for record in ours)
    pixels = np.hypot(*np.moveaxis(np.subtract(*both), -1, 0))
    assert pixels.shape == (20, 68) and 0.0 < np.median(pixels) <= MOST_PX and pixels.max() <= 10 * MOST_PX


def test_without_a_word_a_board_takes_the_way_that_it_built_first(board):
    done = board.run("--runtime", "auto", "--source", "portrait", "--max-frames", "3", "--output", "jsonl:faces.jsonl")
    assert "face_landmark" in done.err + done.out and ATTENTION not in done.err + done.out, done.err + done.out


@pytest.mark.parametrize("workers", ["detect+align+pose+iris+express", "detect+align | pose+iris+express"])
def test_a_thousand_frames_break_no_rule_and_leave_nothing_behind(board, tmp_path, workers):
    answers = stored_answers(board, str(tmp_path))
    done = board.run("--runtime", "tensorrt", "--source", "portrait", "--loop", "--max-frames", "1000", "--workers", workers,
                     "--output", "jsonl:faces.jsonl", "--quiet", NANOFACE_SIM_ANSWERS=answers, NANOFACE_SIM_KERNELS=NO_KERNEL,
                     NANOFACE_SIM_DEVICE_MS=json.dumps({"*": 0.2}))
    books = board.books()
    assert [r["frame"] for r in done.records("faces.jsonl")] == list(range(1000))
    assert books["clean"] and books["violations"] == [] and not books["leaked"] and books["not_popped"] == 0
    assert books["counts"]["executions"] > 2000


REHEARSAL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rehearsal")
NO_KERNEL = os.path.join(REHEARSAL, "nokernel.py")


def stored_answers(board, folder):
    """What the engines answer of the demo's first picture, so that many frames cost no arithmetic."""
    code = "\n".join((
        "import sys", "sys.path.insert(0, {!r})".format(REHEARSAL), "import answers",
        "from edge.config.load import load_config", "from edge.sources import portrait",
        "config = load_config(None, {'models.runtime': 'onnxruntime'}, {'NANOFACE_CONFIG': '/dev/null'})",
        "answers.make(config, portrait.render(portrait.load(), 0), {!r})".format(folder)))
    env = dict(os.environ, NANOFACE_HOME=board.home, PYTHONPATH=python_path())
    subprocess.check_call([sys.executable, "-c", code], env=env)
    return folder


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_stop_or_a_kill_leaves_whole_records_and_the_next_run_starts(board, number, code):
    folder, process = board.start("run", "--runtime", "tensorrt", "--source", "portrait", "--loop", "--status", "none",
                                  "--output", "jsonl:faces.jsonl", "--quiet")
    wait_for_lines(os.path.join(folder, "faces.jsonl"), 5, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == code and "Traceback" not in err, err
    with open(os.path.join(folder, "faces.jsonl")) as f:
        lines = f.read().split("\n")
    assert [json.loads(line)["frame"] for line in lines[:-1]] == list(range(len(lines) - 1))
    assert lines[-1] == "" or code, "after a kill the last line may be short"
    if not code:
        assert board.books()["clean"], board.books()
    assert len(board.run("--runtime", "tensorrt", "--source", "portrait", "--max-frames", "3", "--output",
                         "jsonl:faces.jsonl").records("faces.jsonl")) == 3


@pytest.mark.parametrize("fault, says", [
    ({"execute_false_from": 60}, "nanoface: TensorRT cannot run network"),
    ({"launch_error_from": 150}, "nanoface: running network")], ids=["False", "LaunchError"])
def test_an_engine_that_fails_in_the_middle_of_a_run_ends_it_in_one_line(board, fault, says):
    done = board.call("run", "--runtime", "auto", "--source", "portrait", "--status", "none", "--output", "jsonl:faces.jsonl",
                      "--quiet", NANOFACE_SIM_FAULTS=json.dumps(fault))
    assert done.code == 4 and "Traceback" not in done.err, done.err
    assert says in done.err and "`" in done.err, done.err
    assert done.lines("faces.jsonl"), "what was tracked before is written"
