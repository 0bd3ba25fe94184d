"""The whole program on clips and stills of known content: what is there is found, and nothing else."""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

pytest.importorskip("cv2")

from labelled import matlab_numbers
from whole_runs import quick, whole_program

FLAME, SYNTH = "media/video/flame.mp4", "media/synth/head_seed1"
GRASS, BOTTLES = "media/noface/noface_grass.jpg", "media/noface/noface_bottle-detection.mp4"
DLIB, AFLW = "media/stills/dlib", "media/stills/aflw"
SAME_FACE_IOU = 0.35


@pytest.fixture(scope="module")
def nanoface(models_home, tmp_path_factory):
    return whole_program(models_home, tmp_path_factory)


@pytest.fixture(scope="module")
def track(nanoface, shared):
    """track("media/...", option ...) -> the run, its records in a.jsonl."""
    return lambda path, *words: nanoface.run("--source", os.path.join(shared, path), "--output", "jsonl:a.jsonl", *words)


@pytest.mark.shared(FLAME)
def test_a_close_face_is_found_in_every_frame_of_a_film_and_no_frame_is_left_out(track):
    found = track(FLAME, "--every-frame", "--max-frames", "150").records("a.jsonl")
    assert [record["frame"] for record in found] == list(range(150))
    assert [[face["id"] for face in record["faces"]] for record in found] == [[1]] * 150


@pytest.mark.shared(GRASS, BOTTLES)
@pytest.mark.parametrize("path, words, least", [(GRASS, (), 1), (BOTTLES, ("--start", "5", "--end", "10"), 140)],
                         ids=["grass", "bottles"])
def test_no_face_is_seen_where_there_is_none(track, path, words, least):
    found = track(path, *(quick() + words)).records("a.jsonl")
    assert len(found) >= least and sum(len(record["faces"]) for record in found) == 0


@pytest.fixture(scope="module")
def synth_score(track, shared):
    """What the independent scorer says of the rendered head, whose truth is exact."""
    truth, camera = (os.path.join(shared, SYNTH + end) for end in (".csv", "_camera.json"))
    done = track(SYNTH + ".mp4", "--intrinsics", camera, "--landmarks")
    return score(shared, "score_clip.py", done.path("a.jsonl"), truth, camera)


def score(shared, scorer, *words):
    """The scorer's result; -B: the folder is not ours to write to."""
    text = subprocess.check_output([sys.executable, "-B", os.path.join(shared, "score", scorer)] + list(words))
    return json.loads(text.decode("utf-8"))


needs_synth = pytest.mark.shared(SYNTH + ".mp4", SYNTH + ".csv", SYNTH + "_camera.json", "score/score_clip.py")


@needs_synth
def test_a_rendered_head_is_found_in_every_frame_as_one_face(synth_score):
    assert (synth_score["records"], synth_score["frames"], synth_score["face_share"]) == (600, 600, 1.0)
    assert (synth_score["extra_faces"], synth_score["ids"]) == (0, 1)


@needs_synth
def test_the_pose_of_a_rendered_head_is_right_but_for_the_zero_of_its_model(synth_score):
    pose = synth_score["pose"]
    assert pose["share"] == 1.0
    assert pose["geodesic_offset_removed"]["median"] <= 2.5 and pose["geodesic_offset_removed"]["p90"] <= 4.5
    assert max(abs(pose["offset"][axis]) for axis in ("yaw", "pitch", "roll")) < 6.0
    assert synth_score["translation"]["share"] == 1.0 and synth_score["translation"]["percent"]["median"] < 8.0


@needs_synth
@pytest.mark.parametrize("side", ["right", "left"])
def test_the_irises_of_a_rendered_head_are_where_they_are(synth_score, side):
    iris = synth_score["iris"][side]
    assert iris["share"] > 0.95 and iris["percent_of_eye_width"]["median"] <= 5.0


@needs_synth
def test_the_gaze_of_a_rendered_head_is_half_as_wrong_as_one_that_follows_the_nose(synth_score):
    gaze = synth_score["gaze"]
    assert gaze["share"] > 0.95 and gaze["error"]["median"] < 0.5 * gaze["error_straight_ahead"]["median"]
    assert gaze["error_offset_removed"]["median"] <= 4.6
    assert gaze["yaw"]["correlation"] > 0.88 and gaze["pitch"]["correlation"] > 0.55


@needs_synth
def test_every_blink_of_a_rendered_head_is_seen_and_none_that_was_not(synth_score):
    blink = synth_score["blink"]
    assert blink["true"] == 7 and blink["recall"] == 1.0 and blink["f1"] >= 0.9


@pytest.mark.shared(DLIB)
def test_the_faces_of_group_pictures_are_found_and_little_else(track, shared):
    known = truth_boxes(os.path.join(shared, DLIB))
    found = track(DLIB, *quick()).records("a.jsonl")
    assert len(found) == len(known) == 4 and sum(len(boxes) for boxes in known) == 18
    hits = surplus = 0
    for record, boxes in zip(found, known):
        ours = [face["box"] for face in record["faces"]]
        matched = [max(range(len(ours)), key=lambda i, box=box: iou(ours[i], box)) for box in boxes if ours]
        good = {i for i, box in zip(matched, boxes) if iou(ours[i], box) >= SAME_FACE_IOU}
        hits, surplus = hits + len(good), surplus + len(ours) - len(good)
    assert hits >= 0.8 * 18 and surplus <= 2


def truth_boxes(folder):
    """The boxes of each picture that is there, in the order of the names."""
    document = ElementTree.parse(os.path.join(folder, "training_with_face_landmarks.xml"))
    images = {image.get("file"): image for image in document.iter("image")}
    boxes = [images[name].findall("box") for name in sorted(os.listdir(folder)) if name in images]
    return [[corners([float(box.get(k)) for k in ("left", "top", "width", "height")]) for box in each] for each in boxes]


def corners(box):
    return np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]])


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


@pytest.mark.shared(AFLW)
def test_the_pose_in_photographs_is_right(track, shared):
    folder = os.path.join(shared, AFLW)
    names = sorted(name for name in os.listdir(folder) if name.endswith(".jpg"))
    found = track(AFLW, *quick()).records("a.jsonl")
    assert [len(record["faces"]) for record in found] == [1] * len(names) == [1] * 8
    true = [true_rotation(os.path.join(folder, name[:-4] + ".mat")) for name in names]
    ours = [np.array(record["faces"][0]["pose"]["rotation"]) for record in found]
    off_deg = [np.degrees(np.arccos(min(1.0, (np.trace(a.T.dot(b)) - 1.0) / 2.0))) for a, b in zip(true, ours)]
    assert np.median(off_deg) <= 6.0 and max(off_deg) <= 20.0


def true_rotation(path):
    """The pose beside a photograph of AFLW2000-3D, as the rotation of the frame record."""
    pitch, yaw, roll = matlab_numbers(path, "Pose_Para")[:3]
    (cp, cy, cr), (sp, sy, sr) = np.cos([pitch, yaw, roll]), np.sin([pitch, yaw, roll])
    about_x, about_y = [[1, 0, 0], [0, cp, sp], [0, -sp, cp]], [[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]]
    return np.array(about_x).dot(about_y).dot([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
