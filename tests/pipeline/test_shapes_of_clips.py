"""The shapes of the rendered clips, as the tracker sees them: a few frames of each, without smoothing."""
import os

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")

from calibration.shapes import clips, fit
from calibration.shapes.observe import Watcher
from edge.face.blendshapes import Blendshapes
from edge.stages.shapes import ShapesOfTrack

CLIPS = "media/shapes"
pytestmark = pytest.mark.shared(CLIPS)
STILL, ALONE, SEEN_BEFORE = 30, 30, 6  # first frames of the sweep, at rest; frames of each shape; seconds of rest before it
OF_EACH = (7, 11, 15)  # frames of a shape: about 0.45, 0.85, 1
AT_REST, FULL, NONE = 0.1, 0.9, 0.01


def told_of(path, frames):
    """(F, S) answers of a clip's frames, and truth as a dict of name -> (F,)."""
    rows = clips.read_truth(path + ".csv")
    film, watcher, track = cv2.VideoCapture(path + ".mp4"), Watcher("face_attention", "none"), ShapesOfTrack(
        Blendshapes("face_attention"), smooth=False, centre=True)
    faces = []
    try:
        for number in range(max(frames) + 1):
            assert film.grab()
            if number not in frames:
                continue
            seen = watcher(film.retrieve()[1], number)
            faces.append(fit.faces({part: seen[part][None] for part in fit.PARTS})[0])
    finally:
        watcher.close()
    for number, face in enumerate(faces[:STILL] * SEEN_BEFORE):
        track(face, number / 30.0)
    used = [rows[number] for number in sorted(frames)]
    answers = [track(face, SEEN_BEFORE + number / 30.0).expression for number, face in zip(sorted(frames), faces)]
    return answers, {name: np.array([float(row[name]) for row in used]) for name in clips.shape_names(rows)}


@pytest.fixture(scope="module")
def sweep(models_home, shared):
    path = os.path.join(shared, CLIPS, "sweep")
    starts = range(STILL, len(clips.read_truth(path + ".csv")) - ALONE + 1, ALONE)
    before = os.environ.get("NANOFACE_HOME")
    os.environ["NANOFACE_HOME"] = models_home
    yield told_of(path, set(range(STILL)) | {start + k for start in starts for k in OF_EACH})
    os.environ.pop("NANOFACE_HOME")
    if before is not None:
        os.environ["NANOFACE_HOME"] = before


def of(answers, name):
    return np.array([answer.get(name, np.nan) for answer in answers])


def test_each_shape_grows_with_what_the_face_does(sweep):
    answers, truth = sweep
    for name in Blendshapes("face_attention").names:
        told, own = of(answers, name), truth[name]
        none, some, full = (np.nanmedian(told[which]) for which in (own < NONE, (own > 0.3) & (own < 0.6), own > FULL))
        assert none <= some + 0.02 and some <= full and full > none + 0.15, (name, none, some, full)


def test_each_shape_follows_the_truth_and_not_the_other_shapes(sweep):
    answers, truth = sweep
    strong = {name: values > 0.7 for name, values in truth.items()}
    at_rest = np.max(list(truth.values()), axis=0) < NONE
    for name in Blendshapes("face_attention").names:
        told, own = of(answers, name), truth[name]
        known = np.isfinite(told) & ((own > NONE) | at_rest)
        assert np.corrcoef(told[known], own[known])[0, 1] >= 0.8, name
        others = np.any([at for other, at in strong.items() if other != name], axis=0) & (own < NONE) & np.isfinite(told)
        assert np.percentile(told[others], 95) <= 0.25, name


def test_a_resting_face_does_nothing(sweep):
    answers, _ = sweep
    names = Blendshapes("face_attention").names
    assert max(max(answer[name] for name in names) for answer in answers[:STILL]) < AT_REST


def test_winks_are_told_apart(sweep):
    answers, truth = sweep
    difference = of(answers, "eyeBlinkLeft") - of(answers, "eyeBlinkRight")
    asked = truth["eyeBlinkLeft"] - truth["eyeBlinkRight"]
    assert (np.abs(asked) > 0.8).sum() >= 4
    assert (difference * np.sign(asked))[np.abs(asked) > 0.8].min() >= 0.8
