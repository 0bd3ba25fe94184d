"""Up to sixteen faces are tracked in a film, each under its own number."""
import json
import os

import cv2
import numpy as np
import pytest
from whole_runs import RUNTIMES, need_runtime, quick, whole_program

from edge.library.tracker import Tracker

GROUP = "media/stills/groups/insightface_t1.jpg"
FRAMES = 8
RUNTIME = {"runtime": quick()[1]} if quick() else {}


def moved(picture, i):
    shift = np.array([[1.0, 0.0, 3.0 * np.sin(i / 2.0)], [0.0, 1.0, 2.0 * np.cos(i / 2.0)]])
    return cv2.warpAffine(picture, shift, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture
def sixteen(models_home, monkeypatch):
    """A picture of sixteen faces."""
    need_runtime(*RUNTIMES)
    monkeypatch.setenv("NANOFACE_HOME", models_home)
    frame = next(Tracker.stream("portrait", max_frames=1, **RUNTIME))[0]
    one = cv2.resize(frame.image[:, 80:560], (240, 240), interpolation=cv2.INTER_AREA)
    return np.tile(one, (4, 4, 1))


@pytest.mark.parametrize("most", [16, 5])
def test_as_many_as_are_wanted_keep_their_numbers(sixteen, most):
    with Tracker(max_faces=most, refresh_s=0.0, **RUNTIME) as tracker:
        found = [tracker(moved(sixteen, i), time_s=i / 30.0) for i in range(3)]
    assert [sorted(face.id for face in faces) for faces in found] == [list(range(1, most + 1))] * 3
    assert all(face.pose is not None and face.landmarks is not None for faces in found for face in faces)
    cells = {(int(face.box[0]) // 240, int(face.box[1]) // 240) for face in found[-1]}
    assert len(cells) == most, "each of another face"


@pytest.mark.shared(GROUP)
def test_a_film_of_six_people(models_home, tmp_path_factory, shared):
    program = whole_program(models_home, tmp_path_factory)
    picture = cv2.imread(os.path.join(shared, GROUP))
    path = str(tmp_path_factory.mktemp("group") / "group.avi")
    film = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 30.0, picture.shape[1::-1])
    for i in range(FRAMES):
        film.write(moved(picture, i))
    film.release()
    done = program.run("--source", path, "--max-faces", "16", "--set", "tracking.refresh_s=0.1", "--smoothing", "mean",
                       "--output", "jsonl:a.jsonl", "--output", "pose:a.mp4", "--quiet", *quick())
    records = [json.loads(line) for line in done.lines("a.jsonl")]
    assert [record["frame"] for record in records] == list(range(FRAMES))
    assert all([face["id"] for face in record["faces"]] == [1, 2, 3, 4, 5, 6] for record in records)
    drawn = cv2.VideoCapture(done.path("a.mp4"))
    assert sum(drawn.read()[0] for _ in range(FRAMES + 1)) == FRAMES
