"""The whole program on its own demo, whose path is known: what it measures, writes and says, and how it ends."""
import csv
import json
import os
import re
import signal

import numpy as np
import pytest
from patience import PATIENCE_S, stretch

from edge.store.models import onnx_dir, read_index, sha256_of

cv2 = pytest.importorskip("cv2")

from whole_runs import (
    DEFAULT_NETWORKS,
    RUNTIMES,
    Done,
    copy_home,
    finish,
    need_networks,
    need_runtime,
    one_line,
    quick,
    wait_for_lines,
    whole_program,
    write_index,
)

from edge.models.detectors.table import DETECTORS
from edge.sources import portrait

FRAMES = portrait.FRAMES
OUTER_CORNERS = (33, 263)  # of the subject's right and left eye
DEMO_OUTPUTS = ("jsonl:a.jsonl", "csv:a.csv", "video:a.mp4", "images:pictures", "image:a.jpg")
STAGES = ("capture", "detect", "align", "pose", "express", "output")  # align gives the irises, too


@pytest.fixture(scope="module")
def nanoface(models_home, tmp_path_factory):
    return whole_program(models_home, tmp_path_factory)


@pytest.fixture(scope="module")
def demo(nanoface):
    """All of the demo, into every kind of file at once."""
    outputs = [word for text in DEMO_OUTPUTS for word in ("--output", text)]
    return nanoface.run("--source", "portrait", "--landmarks", "--status", "s.jsonl", "--status-interval", "0.2", *outputs)


@pytest.fixture(scope="module")
def records(demo):
    return demo.records("a.jsonl")


def portrait_run(nanoface, *words):
    """A few frames of the demo in motion; a second face is looked for all the time."""
    return nanoface.run("--source", "portrait", "--start", "1.5", "--max-frames", "45", "--max-faces", "2", "--set",
                        "tracking.refresh_s=0.1", "--landmarks", "--output", "jsonl:a.jsonl", *words)


def but_for_the_times(lines):
    return [re.sub(r'"(captured_at|age_ms)":[-+.e0-9]+,', "", line) for line in lines]


def points_of(records):
    """(frames, 468, 2) pixels of the only face."""
    return np.array([record["faces"][0]["landmarks"] for record in records])[:, :, :2]


# what it measures

def test_there_is_one_face_in_every_frame_and_it_keeps_its_id(records):
    assert [record["frame"] for record in records] == list(range(FRAMES))
    assert [[face["id"] for face in record["faces"]] for record in records] == [[1]] * FRAMES
    assert [record["time_s"] for record in records] == pytest.approx([i / portrait.FPS for i in range(FRAMES)], abs=1e-5)


def test_the_points_stay_where_they_are_on_the_portrait_while_it_moves(records):
    there = []
    for record, points in zip(records, points_of(records)):
        inverse = cv2.invertAffineTransform(portrait.truth(record["frame"]))
        there.append(points.dot(inverse[:, :2].T) + inverse[:, 2])
    middle = np.median(there, axis=0)
    eyes_px = np.hypot(*(middle[OUTER_CORNERS[0]] - middle[OUTER_CORNERS[1]]))
    off = np.hypot(*np.moveaxis(there - middle, 2, 0)) / eyes_px
    assert np.median(off) < 0.015 and np.percentile(off, 95) < 0.035 and off.mean(axis=1).max() < 0.05


def test_the_roll_is_that_of_the_path(records):
    true = np.array([truth_of(record)[0] for record in records])
    found = np.array([record["faces"][0]["pose"]["roll"] for record in records])
    offset = np.median(found - true)  # of her head in the portrait
    assert true.max() - true.min() > 45.0 and abs(offset) < 6.0
    assert np.percentile(abs(found - true - offset), 95) < 2.5 and abs(found - true - offset).max() < 5.0


def test_the_distance_grows_as_the_portrait_shrinks(records):
    scale = np.array([truth_of(record)[1] for record in records])
    product = scale * [record["faces"][0]["pose"]["translation_mm"][2] for record in records]
    off = abs(product / np.median(product) - 1.0)
    assert scale.max() > 2.0 * scale.min() and np.median(off) < 0.03 and np.percentile(off, 95) < 0.08


def truth_of(record):
    """Roll in degrees, clockwise, and the scale."""
    (cos, _, _), (sin, _, _) = portrait.truth(record["frame"])
    return np.degrees(np.arctan2(sin, cos)), np.hypot(sin, cos)


# what it writes

def test_every_key_of_the_frame_record_is_there_or_said_to_be_missing(records):
    whole = 0
    for record in records:
        assert set(record) == {"schema", "frame", "captured_at", "time_s", "age_ms", "size", "faces"}
        assert record["schema"] == 1 and record["size"] == [portrait.WIDTH, portrait.HEIGHT] and record["age_ms"] > 0
        face = record["faces"][0]
        quantities = {"score", "box", "landmarks", "pose", "iris", "gaze", "expression", "eye_contours"}
        assert set(face) | set(face["missing"]) >= quantities and not set(face) & set(face["missing"])
        whole += not face["missing"] and set(face) == quantities | {"id", "missing"}
    assert whole >= 0.95 * FRAMES
    face = records[0]["faces"][0]
    assert set(face["pose"]) == {"yaw", "pitch", "roll", "rotation", "translation_mm", "residual_px"}
    assert set(face["iris"]) == {"right", "left"} and set(face["iris"]["right"]) == {"center", "radius", "score"}
    assert set(face["gaze"]) == {"yaw", "pitch", "direction", "right", "left"}
    assert set(face["expression"]) >= {"eye_open_right", "eye_open_left", "mouth_open"}
    assert np.shape(face["landmarks"]) == (468, 3)
    assert [np.shape(face["eye_contours"][side]) for side in ("right", "left")] == [(71, 2), (71, 2)]


def test_the_table_has_a_row_for_every_frame_and_the_numbers_of_the_records(demo, records):
    with open(demo.path("a.csv"), newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES))
    for row, record in zip(rows, records):
        face = record["faces"][0]
        assert (float(row["yaw_deg"]), float(row["landmark_467_y_px"])) == (face["pose"]["yaw"], face["landmarks"][467][1])


def test_the_film_can_be_played_to_its_end(demo):
    film = cv2.VideoCapture(demo.path("a.mp4"))
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(portrait.FPS)
    frames = 0
    while film.grab():
        frames += 1
        assert frames % 100 or film.retrieve()[1].shape == (portrait.HEIGHT, portrait.WIDTH, 3)
    film.release()
    assert frames == FRAMES


def test_the_pictures_are_all_there_and_show_the_frame(demo):
    assert sorted(os.listdir(demo.path("pictures"))) == ["{:06d}.jpg".format(i) for i in range(FRAMES)]
    for path, seq in ((os.path.join("pictures", "000150.jpg"), 150), ("a.jpg", FRAMES - 1)):
        shown, frame = cv2.imread(demo.path(path)), portrait.render(portrait.load(), seq)
        assert shown.shape == frame.shape
        assert 0.3 < np.abs(shown.astype(float) - frame).mean() < 15.0  # drawn into, and still that frame


def test_the_run_ends_with_the_table_and_says_nothing_else(demo):
    assert demo.notes() == ["made the folder pictures"]
    assert "STOPPED: end of source" in demo.out and "portrait, 1 face" in demo.out
    for stage in STAGES:
        assert re.search(r"^{} .* {} ".format(stage, FRAMES), demo.out, re.MULTILINE), stage
    for text in DEMO_OUTPUTS:
        assert "{}: closed ({} sent, 0 dropped, 0 failed)".format(text, FRAMES) in demo.out


def test_the_status_log_reports_the_run_from_its_start_to_its_end(demo):
    log = demo.records("s.jsonl")
    states = [record["state"] for record in log]
    assert states == sorted(states, key=("STARTING", "RUNNING", "STOPPING", "STOPPED").index) and len(set(states)) == 4
    assert states.count("RUNNING") > 2
    for record in log:
        assert set(record) >= {"schema", "at", "uptime_s", "state", "reason", "source", "stages", "outputs"}
        assert record["schema"] == 1 and record["source"] == "portrait" and tuple(record["stages"]) == STAGES
        assert set(record["outputs"]) == set(DEMO_OUTPUTS)
    for stage in STAGES:
        counts = [record["stages"][stage]["count"] for record in log]
        assert sum(counts[:-1]) == counts[-1] == FRAMES, stage  # the last one is over the whole run
    busy = [record for record in log if all(row["count"] for row in record["stages"].values())]
    assert len(busy) > 2
    for record in busy:
        assert set(record) >= {"fps", "faces", "latency_ms"} and set(record["fps"]) == {"capture", "output"}
        assert record["faces"] == 1 and set(record["latency_ms"]) == {"p50", "p95", "max"}
        for row in record["stages"].values():
            assert set(row) >= {"count", "dropped", "wait_ms", "work_ms", "backend"} and row["dropped"] == 0
            assert set(row["wait_ms"]) == set(row["work_ms"]) == {"p50", "p95", "max"}
        networks = {name: row["model"] for name, row in record["stages"].items() if "model" in row}
        assert networks == {"detect": "yunet_s", "align": "face_attention", "pose": "mb05"}
        assert all(record["stages"][name]["backend"].startswith(RUNTIMES) for name in networks)
    assert log[-1]["stages"]["detect"]["skipped"] > 0.9 * FRAMES


# that it does so again

@pytest.fixture(scope="module")
def default_workers(nanoface):
    return portrait_run(nanoface, *quick())


@pytest.mark.parametrize("words", [
    (), ("--workers", "detect+align+pose+iris+express"), ("--workers", "detect+align | pose+iris+express"),
    ("--workers", "capture+detect+align | pose+iris+express+output"), ("--workers", "detect | align | pose | iris | express"),
], ids=["again", "as after a camera", "two threads", "two with the ends", "a thread each"])
def test_two_runs_differ_in_nothing_but_the_times_whatever_the_threads(nanoface, default_workers, words):
    lines = default_workers.lines("a.jsonl")
    assert len(lines) == 45 and '"faces":[{"id":1' in lines[0]
    assert but_for_the_times(portrait_run(nanoface, *(quick() + words)).lines("a.jsonl")) == but_for_the_times(lines)


@pytest.fixture(scope="module")
def with_openvino(nanoface):
    need_runtime("openvino")
    return portrait_run(nanoface, "--runtime", "openvino")


def test_two_runs_of_openvino_agree_too(nanoface, with_openvino):
    again = portrait_run(nanoface, "--runtime", "openvino")
    assert but_for_the_times(again.lines("a.jsonl")) == but_for_the_times(with_openvino.lines("a.jsonl"))


def test_the_runtimes_agree_within_a_pixel(nanoface, default_workers, with_openvino):
    need_runtime("onnxruntime")
    assert [run.out.count("onnxruntime") for run in (default_workers, with_openvino)] == [3, 0]  # networks
    assert [run.out.count("openvino") for run in (default_workers, with_openvino)] == [0, 3]
    ours, theirs = with_openvino.records("a.jsonl"), default_workers.records("a.jsonl")
    assert len(ours) == len(theirs) == 45
    assert np.abs(points_of(ours) - points_of(theirs)).max() < 1.0
    for key in ("yaw", "pitch", "roll"):
        assert [r["faces"][0]["pose"][key] for r in ours] == pytest.approx(
            [r["faces"][0]["pose"][key] for r in theirs], abs=0.5)


# how it ends

def test_killed_in_mid_run_it_leaves_whole_lines(nanoface):
    folder, process = nanoface.start("run", "--source", "portrait", "--loop", "--landmarks", "--output", "jsonl:a.jsonl",
                                     "--status", "s.jsonl", "--status-interval", "0.2", *quick())
    wait_for_lines(os.path.join(folder, "a.jsonl"), 40, process)
    wait_for_lines(os.path.join(folder, "s.jsonl"), 3, process)
    process.kill()
    assert finish(folder, process).code == -signal.SIGKILL
    for name, least in (("a.jsonl", 40), ("s.jsonl", 3)):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            lines = f.read().split("\n")
        whole = [json.loads(line) for line in lines[:-1]]  # what follows the last end of a line may be a line cut short
        assert len(whole) >= least, name
        if name == "a.jsonl":
            assert [record["frame"] for record in whole] == list(range(len(whole)))
    shown = nanoface.call("status", os.path.join(folder, "s.jsonl"))
    assert shown.code == 0 and "RUNNING" in shown.out


def test_a_signal_ends_a_run_at_once_with_whole_files_and_the_table(nanoface):
    folder, process = nanoface.start("run", "--source", "portrait", "--loop", "--output", "jsonl:a.jsonl", "--output",
                                     "video:a.mp4", "--status", "s.jsonl", *quick())
    wait_for_lines(os.path.join(folder, "a.jsonl"), 20, process)
    process.send_signal(signal.SIGTERM)
    done = finish(folder, process, timeout_s=2.5 * stretch())
    assert done.code == 0 and done.notes() == []
    assert "STOPPED: stop requested" in done.out and "not ended in time" not in done.out
    frames = [record["frame"] for record in done.records("a.jsonl")]
    assert frames == list(range(len(frames))) and "jsonl:a.jsonl: closed ({} sent".format(len(frames)) in done.out
    assert done.records("s.jsonl")[-1]["state"] == "STOPPED"
    film = cv2.VideoCapture(done.path("a.mp4"))
    assert film.isOpened() and film.read()[0]
    film.release()


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_reader_that_leaves_ends_the_run_as_a_stop_does(nanoface, kind):
    folder, process = nanoface.start("run", "--source", "portrait", "--loop", "--output", kind + ":-", "--status", "s.jsonl",
                                     *quick())
    first = [process.stdout.readline() for _ in range(3)]
    assert kind == "csv" or [json.loads(line)["frame"] for line in first] == [0, 1, 2]
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=PATIENCE_S) == 0 and "nanoface: " not in err
    last = Done(folder, 0, "", err).records("s.jsonl")[-1]
    assert (last["state"], last["reason"]) == ("STOPPED", "the reader of {}:- has left".format(kind))
    assert last["outputs"][kind + ":-"]["state"] == "its reader has left"


def test_other_outputs_go_on_when_the_reader_of_one_leaves(nanoface):
    folder, process = nanoface.start("run", "--source", "portrait", "--max-frames", "60", "--output", "jsonl:-", "--output",
                                     "jsonl:a.jsonl", "--status", "none", *quick())
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=PATIENCE_S) == 0 and "nanoface: " not in err
    assert len(Done(folder, 0, "", err).records("a.jsonl")) == 60


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_disk_that_fills_up_ends_the_run_with_one_line(nanoface):
    done = nanoface.call("run", "--source", "portrait", "--loop", "--output", "jsonl:/dev/full", "--status", "none",
                         *quick())
    assert (done.code, done.out) == (5, "")
    assert "jsonl:/dev/full: No space left on device" in one_line(done.err)


# what the options do

def few_frames(nanoface, *words, **more):
    return nanoface.run("--source", "portrait", "--max-frames", str(more.get("count", 2)), "--landmarks", "--output",
                        "jsonl:a.jsonl", *(quick() + words))


@pytest.fixture(scope="module")
def plain(nanoface):
    return few_frames(nanoface, "--output", "images:pictures", count=8)


def test_standard_output_holds_records_alone_when_they_go_there(nanoface, plain):
    done = few_frames(nanoface, "--output", "jsonl:-")
    assert but_for_the_times(done.out.split("\n")) == but_for_the_times(plain.lines("a.jsonl")[:2]) + [""]
    assert "STOPPED" in done.err


def test_a_mirror_changes_what_is_shown_and_no_record(nanoface, plain):
    done = few_frames(nanoface, "--mirror", "--output", "images:pictures")
    assert but_for_the_times(done.lines("a.jsonl")) == but_for_the_times(plain.lines("a.jsonl")[:2])
    name = os.path.join("pictures", "000001.jpg")
    mirrored, plain = (cv2.imread(run.path(name))[180:].astype(float) for run in (done, plain))  # below the texts
    assert np.abs(mirrored[:, ::-1] - plain).mean() < 2.0 < 10.0 < np.abs(mirrored - plain).mean()


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_detector_leads_to_the_same_face(nanoface, plain, name):
    need_networks(nanoface.home, name)
    done = few_frames(nanoface, "--detector", name, "--pose", "none", "--iris", "none", count=8)
    found = done.records("a.jsonl")
    assert [len(record["faces"]) for record in found] == [1] * 8 and name in done.out
    assert np.abs(points_of(found[-1:]) - points_of(plain.records("a.jsonl")[-1:])).max() < 2.0


@pytest.mark.parametrize("role, keys", [
    ("pose", ["gaze", "pose"]), ("iris", ["eye_contours", "eye_open_left", "eye_open_right", "gaze", "iris"]),
])
def test_what_a_role_that_is_off_would_tell_is_absent_and_missing_says_why(nanoface, role, keys):
    done = few_frames(nanoface, "--" + role, "none")
    assert done.notes() == [] and not re.search("^{} ".format(role), done.out, re.MULTILINE)
    for record in done.records("a.jsonl"):
        face = record["faces"][0]
        assert sorted(face["missing"]) == keys and all(face["missing"].values())
        assert not set(keys) & (set(face) | set(face["expression"]))
        assert {"box", "landmarks", "expression"} <= set(face)


def test_with_the_networks_of_the_package_index_alone_it_still_gives_everything(nanoface, tmp_path):
    names = ("blazeface_full", "face_attention")
    need_networks(nanoface.home, *names)
    program = nanoface.with_home(copy_home(nanoface.home, str(tmp_path / "home"), names))
    done = few_frames(program)
    notes = done.notes()
    assert [note.split(":")[0] for note in notes] == ["detect", "pose", "pose"]
    assert "yunet_s" in notes[0] and "blazeface_full" in notes[0] and "mb05" in notes[1] and "canonical_face" in notes[2]
    roll, _ = truth_of({"frame": 0})
    for record in done.records("a.jsonl"):
        face = record["faces"][0]
        assert face["missing"] == {} and set(face) >= {"landmarks", "pose", "iris", "gaze", "expression"}
        assert abs(face["pose"]["roll"] - roll) < 6.0 and abs(face["pose"]["yaw"]) < 15.0
        assert 300.0 < face["pose"]["translation_mm"][2] < 1200.0


@pytest.mark.parametrize("file, whole", [("file", False), ("cpu_file", False), ("cpu_file", True)],
                         ids=["cut off", "cut off, a processor's own", "whole, but no network"])
def test_a_corrupt_network_is_never_run(nanoface, tmp_path, file, whole):
    home = copy_home(nanoface.home, str(tmp_path / "home"), DEFAULT_NETWORKS)
    networks = read_index(home)
    path = os.path.join(onnx_dir(home), networks["yunet_s"][file])
    with open(path, "rb+") as f:
        f.truncate(5000)
    if whole:
        networks["yunet_s"][file.replace("file", "sha256")] = sha256_of(path)
        write_index(home, networks)
    done = nanoface.with_home(home).call("run", "--source", "portrait", "--status", "none", "--output", "jsonl:a.jsonl",
                                             *quick())
    assert (done.code, done.out) == (4, "")
    assert path in one_line(done.err) and "nanoface models fetch" in one_line(done.err)


def test_the_intrinsics_that_are_given_are_used(nanoface, tmp_path):
    places = []
    for fx in (500.0, 1000.0):
        path = str(tmp_path / "{}.json".format(fx))
        with open(path, "w") as f:
            json.dump({"fx": fx, "fy": fx, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480}, f)
        found = few_frames(nanoface, "--intrinsics", path).records("a.jsonl")
        places.append(found[-1]["faces"][0]["pose"]["translation_mm"])
    assert places[1][2] / places[0][2] == pytest.approx(2.0, rel=0.05)
    assert places[1][:2] == pytest.approx(places[0][:2], abs=3.0)


# pictures

@pytest.fixture(scope="module")
def upright(tmp_path_factory):
    """A picture 480 pixels wide and 400 high."""
    path = str(tmp_path_factory.mktemp("pictures") / "upright.png")
    cv2.imwrite(path, cv2.imread(portrait.PICTURE)[20:420])
    return path


@pytest.fixture(scope="module")
def upright_record(nanoface, upright):
    words = ("--source", upright, "--landmarks", "--output", "jsonl:a.jsonl") + quick()
    record, = nanoface.run(*words).lines("a.jsonl")
    return record


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_picture_that_was_stored_turned_is_turned_back(nanoface, upright, upright_record, tmp_path, degrees):
    stored = str(tmp_path / "turned.png")
    cv2.imwrite(stored, np.rot90(cv2.imread(upright), degrees // 90))  # counter-clockwise
    assert cv2.imread(stored).shape[:2] == ((400, 480) if degrees == 180 else (480, 400))
    words = ("--source", stored, "--landmarks", "--output", "jsonl:a.jsonl") + quick()
    turned, = nanoface.run("--rotate", str(degrees), *words).lines("a.jsonl")
    assert but_for_the_times([turned.replace(stored, upright)]) == but_for_the_times([upright_record])
    assert json.loads(turned)["size"] == [480, 400] and len(json.loads(turned)["faces"]) == 1


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, upright):
    """Two that follow each other and one of its own."""
    folder = tmp_path_factory.mktemp("folder")
    for seq in (60, 61):
        cv2.imwrite(str(folder / "{}.png".format(seq)), portrait.render(portrait.load(), seq))
    cv2.imwrite(str(folder / "other.png"), cv2.imread(upright)[:, ::-1])
    return str(folder)


def test_pictures_of_a_folder_are_unrelated_and_no_id_comes_twice(nanoface, pictures):
    found = nanoface.run("--source", pictures, "--output", "jsonl:a.jsonl", *quick()).records("a.jsonl")
    assert [record["frame"] for record in found] == [0, 1, 2]
    assert [record["size"] for record in found] == [[640, 480], [640, 480], [480, 400]]
    assert [[face["id"] for face in record["faces"]] for record in found] == [[1], [2], [3]]


def test_a_sequence_of_pictures_is_tracked(nanoface, pictures):
    paths = [os.path.join(pictures, name) for name in ("60.png", "61.png")]
    words = tuple(paths) + ("--sequence", "--output", "jsonl:a.jsonl") + quick()
    found = nanoface.run("--source", *words).records("a.jsonl")
    assert [[face["id"] for face in record["faces"]] for record in found] == [[1], [1]]
