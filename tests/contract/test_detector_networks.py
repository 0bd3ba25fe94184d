"""The detectors on their networks: the faces known to be in the given pictures, and none where there is none."""
import glob
import os
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from edge.geometry import boxes as upright
from edge.models.detectors.table import DETECTORS, make_detector
from edge.models.detectors.tiles import merge, tile_crops
from edge.runtimes.choose import open_runner

cv2 = pytest.importorskip("cv2")
yaml = pytest.importorskip("yaml")

NETWORKS = sorted(DETECTORS)
DLIB, AFLW = "media/stills/dlib", "media/stills/aflw"
EYES = slice(36, 42), slice(42, 48)  # the subject's right and left among the 68 points


@pytest.fixture(scope="module")
def look(stored_network):
    """look(network, image, closely=False) -> Detections at the network's own threshold."""
    pytest.importorskip("onnxruntime")
    opened = {}

    def ask(network, image, closely=False):
        if network not in opened:
            runner = open_runner(stored_network(network), "onnxruntime")
            runner.open()
            opened[network] = make_detector(network), runner
        detector, runner = opened[network]
        height, width = image.shape[:2]
        crops = (detector.crop(width, height),) + (tile_crops(width, height, detector.input) if closely else ())
        found = [detector.decode(runner.submit(image, (c,)).result(), c, detector.threshold, 64) for c in crops]
        return merge(found, crops, (width, height), 64) if closely else found[0]
    yield ask
    for _, runner in opened.values():
        runner.close()


def known_faces(shared):
    """Picture -> (faces, 68, 2) points."""
    truth = {}
    for image in ElementTree.parse(os.path.join(shared, DLIB, "training_with_face_landmarks.xml")).iter("image"):
        path = os.path.join(shared, DLIB, image.get("file"))
        faces = [[(float(p.get("x")), float(p.get("y"))) for p in box.iter("part")] for box in image.iter("box")]
        if os.path.exists(path) and faces:
            truth[path] = np.array(faces, np.float32)
    return truth


def pairs(found, faces):
    """(row of `found`, row of `faces`) that lie on each other. The points end at the brows, so boxes are larger."""
    table = upright.iou(found.boxes, np.concatenate([faces.min(axis=1), faces.max(axis=1)], axis=1))
    return [(int(row), k) for k, row in enumerate(table.argmax(axis=0)) if table[row, k] >= 0.3] if len(table) else []


@pytest.mark.parametrize("network", NETWORKS)
def test_the_manifest_and_the_detector_agree_on_the_pixels(network):
    from engines.manifest.read import read_manifest
    output, detector = read_manifest().network(network).input, make_detector(network)
    assert output.shape == (1, 3) + detector.size[::-1] and output.colour == detector.input.colour
    assert output.scale == pytest.approx(detector.input.scale) and output.offset == pytest.approx(detector.input.offset)


@pytest.mark.shared(DLIB)
@pytest.mark.parametrize("network, least", [
    ("yunet_s", 18), ("yunet_n", 18), ("rfb320", 18), ("fmr_8and16", 17), ("blazeface_full", 16), ("faceboxes", 13),
    ("blazeface_short", 5), ("fmr_16and32", 3),  # these two are not made for small faces
])
def test_the_faces_of_group_pictures_are_found(look, shared, network, least):
    total = hits = surplus = 0
    for path, faces in known_faces(shared).items():
        found = look(network, cv2.imread(path))
        matched = pairs(found, faces)
        total, hits = total + len(faces), hits + len(matched)
        surplus += len(found.boxes) - len({row for row, _ in matched})
    assert total == 18
    assert hits >= least and surplus <= 2


@pytest.mark.shared(DLIB)
@pytest.mark.parametrize("network", ["yunet_s", "yunet_n", "blazeface_full", "blazeface_short"])
def test_the_first_two_keypoints_are_the_right_and_the_left_eye(look, shared, network):
    errors = []
    for path, faces in known_faces(shared).items():
        found = look(network, cv2.imread(path))
        for row, k in pairs(found, faces):
            eyes = np.stack([faces[k, part].mean(axis=0) for part in EYES])
            width = faces[k, :, 0].max() - faces[k, :, 0].min()  # the eyes of a profile are too close to measure by
            errors += list(np.hypot(*(found.keypoints[row, :2] - eyes).T) / width)
    assert len(errors) >= 10 and np.median(errors) < 0.15 and max(errors) < 0.5


@pytest.mark.shared(AFLW)
@pytest.mark.parametrize("network, least", [
    ("yunet_s", 8), ("yunet_n", 8), ("rfb320", 8), ("fmr_8and16", 8), ("fmr_16and32", 8), ("faceboxes", 8),
    ("blazeface_short", 8), ("blazeface_full", 6),
])
def test_one_large_face_is_one_face(look, shared, network, least):
    paths = sorted(glob.glob(os.path.join(shared, AFLW, "*.jpg")))
    counts = [len(look(network, cv2.imread(path)).boxes) for path in paths]
    assert len(counts) == 8 and max(counts) == 1 and sum(counts) >= least


@pytest.mark.shared("media/noface")
@pytest.mark.parametrize("network, closely", [(n, False) for n in NETWORKS] + [("yunet_s", True), ("yunet_n", True)])
def test_no_face_is_found_where_there_is_none(look, shared, network, closely):
    clip = cv2.VideoCapture(os.path.join(shared, "media/noface/noface_bottle-detection.mp4"))
    images = [cv2.imread(os.path.join(shared, "media/noface/noface_grass.jpg"))]
    for at in range(0, 1180, 118):
        clip.set(cv2.CAP_PROP_POS_FRAMES, at)
        images.append(clip.read()[1])
    clip.release()
    assert [len(look(network, image, closely).boxes) for image in images] == [0] * 11


@pytest.mark.shared(DLIB)
@pytest.mark.parametrize("network", ["yunet_s", "yunet_n", "rfb320", "blazeface_full"])
def test_tiles_find_the_faces_that_are_too_small_in_a_still(look, shared, network):
    """Sixteen pictures in one, 2000 x 1920 pixels: most faces are 26 to 50 pixels wide."""
    sheet, faces = np.zeros((1920, 2000, 3), np.uint8), []
    known = sorted(known_faces(shared).items())
    for k in range(16):
        path, points = known[(k + k // 4) % len(known)]
        image, at = cv2.imread(path), np.array([k % 4 * 500, k // 4 * 480])
        sheet[at[1]:at[1] + image.shape[0], at[0]:at[0] + image.shape[1]] = image
        faces.append(points + at.astype(np.float32))
    faces = np.concatenate(faces)
    seen, closely = look(network, sheet), look(network, sheet, closely=True)
    assert len(pairs(closely, faces)) >= max(0.7 * len(faces), 1.5 * len(pairs(seen, faces)))
    assert len(closely.boxes) - len({row for row, _ in pairs(closely, faces)}) <= 0.1 * len(faces)
