"""The whole program with the boxes of a file in a detector's place, and SSI streams of a run."""
import os
import signal

import numpy as np
import pytest
from in_process import InProcess
from patience import wait_until
from whole_runs import DEFAULT_NETWORKS, copy_home, one_line, whole_program

from edge import sources
from edge.ssi.boxes import Boxes
from edge.ssi.header import DATA, Chunk, Header, header_text
from edge.ssi.stream import read_stream

COUNT = 20
PICTURE = os.path.join(os.path.dirname(sources.__file__), "portrait.jpg")


@pytest.fixture(scope="module")
def program(models_home, tmp_path_factory):
    return whole_program(models_home, tmp_path_factory)


@pytest.fixture(scope="module")
def detected(program):
    """A run of the demo that detects: its records, its points and its boxes."""
    return program.run("--source", "portrait", "--max-frames", str(COUNT), "--landmarks", "--output", "jsonl:a.jsonl",
                       "--output", "ssi:p.stream", "--output", "ssi-box:b.stream")


def stream(path, rows, rate=30.0):
    values = np.array(rows, "<f4")
    with open(path, "wb") as f:
        f.write(header_text(Header(rate, values.shape[1], (Chunk(0.0, len(values)),), media="feature;face;boundingbox")))
    with open(path + DATA, "wb") as f:
        f.write(values.tobytes())
    return path


def test_the_streams_hold_what_the_records_do(detected):
    records, points, boxes = detected.records("a.jsonl"), read_stream(detected.path("p.stream"), 937), read_stream(
        detected.path("b.stream"), 5)
    assert len(records) == len(points.values) == len(boxes.values) == COUNT
    assert points.header.rate == boxes.header.rate == 30.0
    for record, row, box in zip(records, points.values, boxes.values):
        face, (width, height) = record["faces"][0], record["size"]
        assert np.allclose(row[:-1].reshape(468, 2) * (height, width), np.array(face["landmarks"])[:, 1::-1], atol=1e-3)
        assert row[-1] == box[-1] == np.float32(face["score"])
        assert (box[3] - box[1]) * width == pytest.approx((box[2] - box[0]) * height, abs=1e-3)


def test_with_boxes_of_a_run_the_same_points_are_found_without_a_detector(detected, program, tmp_path):
    copy_home(program.home, str(tmp_path / "home"), [name for name in DEFAULT_NETWORKS if not name.startswith("yunet")])
    done = program.with_home(tmp_path / "home").run(
        "--source", "portrait", "--max-frames", str(COUNT), "--landmarks", "--boxes", detected.path("b.stream"),
        "--output", "jsonl:a.jsonl", "--status", "s.jsonl")
    rows = done.records("s.jsonl")[-1]["stages"]["detect"]
    assert (rows["backend"], rows["model"], rows["skipped"]) == ("boxes", "b.stream", 0) and done.notes() == []
    for ours, theirs in zip(done.records("a.jsonl"), detected.records("a.jsonl")):
        assert ours["faces"][0]["id"] == 1
        off = np.array(ours["faces"][0]["landmarks"])[:, :2] - np.array(theirs["faces"][0]["landmarks"])[:, :2]
        assert np.sqrt((off ** 2).sum(axis=1)).mean() < 0.02 * ours["size"][0]


def test_a_box_says_where_a_face_is_and_whether(detected, program, tmp_path):
    rows = Boxes(detected.path("b.stream")).stream.values[:8].copy()
    rows[2:4, 4] = 0.0  # no face there
    rows[5, 0] = np.nan
    done = program.run("--source", "portrait", "--max-frames", "10", "--boxes", stream(str(tmp_path / "b.stream"), rows),
                       "--output", "jsonl:a.jsonl")
    assert [[face["id"] for face in record["faces"]] for record in done.records("a.jsonl")] == [
        [1], [1], [], [], [1], [], [1], [1], [], []]
    assert "1 of 8 boxes" in done.err and "end at 0.267 s; behind that there is no face" in done.err


def test_boxes_begin_where_the_film_does(detected, program, tmp_path):
    rows = Boxes(detected.path("b.stream")).stream.values[:12].copy()
    rows[:6, 4] = 0.0
    done = program.run("--source", "portrait", "--start", "0.1", "--max-frames", "6", "--boxes",
                       stream(str(tmp_path / "b.stream"), rows), "--output", "jsonl:a.jsonl")
    assert [len(record["faces"]) for record in done.records("a.jsonl")] == [0, 0, 0, 1, 1, 1]


def test_pictures_have_boxes_by_their_number_tight_or_with_a_margin(program, tmp_path):
    alone = program.run("--source", PICTURE, "--output", "ssi-box:b.stream", "--landmarks", "--output", "jsonl:a.jsonl")
    y0, x0, y1, x1, _ = read_stream(alone.path("b.stream"), 5).values[0].tolist()
    y, x, h, w = (y0 + y1) / 2, (x0 + x1) / 2, (y1 - y0) / 2, (x1 - x0) / 2
    rows = [[y - k * h, x - k * w, y + k * h, x + k * w, 1.0] for k in (0.6, 1.0, 1.5, 2.0)]
    path = stream(str(tmp_path / "b.stream"), [rows[0][:4] + [0.0]] + rows, 2.0)
    done = program.run("--source", *[PICTURE] * 6, "--boxes", path, "--landmarks", "--output", "jsonl:a.jsonl")
    records = done.records("a.jsonl")
    assert [len(record["faces"]) for record in records] == [0, 1, 1, 1, 1, 0] and "end at picture 5" in done.err
    usual = np.array(alone.records("a.jsonl")[0]["faces"][0]["landmarks"])[:, :2]
    for record in records[1:5]:
        off = np.array(record["faces"][0]["landmarks"])[:, :2] - usual
        assert np.sqrt((off ** 2).sum(axis=1)).mean() < 0.02 * w * 2 * record["size"][0]


@pytest.mark.parametrize("words, line, code", [
    (("--source", "portrait", "--boxes", "none.stream"), "boxes none.stream: No such file or directory", 3),
    (("--source", "portrait", "--boxes", "p.stream"), "boxes p.stream: it has 937 values a sample, not 5", 3),
    (("--source", "portrait", "--boxes", "."), "boxes .: it is no regular file", 3),
    (("--source", "0", "--boxes", "b.stream"), "--boxes is for films and pictures: 0 has none", 2),
    (("--source", "portrait", "--loop", "--boxes", "b.stream"), "leave --loop out", 2),
    (("--source", "portrait", "--rotate", "90", "--boxes", "b.stream"), "leave --rotate out", 2),
    (("--source", "portrait", "--fps", "25", "--boxes", "b.stream"), "leave --fps out", 2),
    (("--source", "portrait", "--boxes", "b.stream", "--output", "ssi-box:b.stream"), "over the source b.stream", 2),
    (("--source", "portrait", "--boxes", "b.stream", "--output", "csv:b.stream~"), "would write over the source b.stream~", 2),
])
def test_what_cannot_have_boxes_is_a_line(words, line, code, detected, program, capfd):
    done = InProcess(detected.folder, capfd, program.home)("run", *words)
    assert done.code == code and line in one_line(done.err)


@pytest.mark.parametrize("words", [("portrait",), ("stages", "portrait")])
def test_boxes_are_no_network_that_could_be_measured(words, detected, program, capfd):
    done = InProcess(detected.folder, capfd, program.home)("bench", *words, "--set", "source.boxes=b.stream")
    assert done.code == 2 and "leave --boxes out" in one_line(done.err)


def test_a_killed_run_leaves_streams_that_are_read(program):
    folder, process = program.start("run", "--source", "portrait", "--loop", "--output", "ssi:p.stream", "--output",
                                    "ssi-box:b.stream", "--status", "none")
    path = os.path.join(folder, "p.stream")
    wait_until(lambda: process.poll() is not None or os.path.exists(path + DATA) and os.path.getsize(path + DATA) > 40000,
               "samples of the run")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    for name, dim in (("p.stream", 937), ("b.stream", 5)):
        found = read_stream(os.path.join(folder, name), dim)
        assert len(found.values) > 5 and not found.half


def test_what_a_detector_would_have_looked_at_is_told_to_be_in_vain(detected, program):
    path = detected.path("b.stream")
    done = program.run("--source", "portrait", "--max-frames", "2", "--boxes", path, "--detector-scale", "0.4", "--max-faces",
                       "16", "--set", "tracking.detect_overlap=0.3", "--output", "jsonl:a.jsonl")
    assert done.notes() == ["models.detector_scale, tracking.max_faces, tracking.detect_overlap have no effect: the boxes of "
                            "{} are taken".format(path)]


def test_boxes_of_a_recording_are_told_to_be_in_vain(detected, program):
    kept = program.run("--source", "portrait", "--max-frames", "2", "--output", "record:a.nfr")
    done = program.run("--source", "record:" + kept.path("a.nfr"), "--boxes", detected.path("b.stream"), "--output",
                       "jsonl:a.jsonl")
    assert done.notes() == ["a recording is replayed as it is: source.boxes has no effect"]
