"""Blinks and winks of clips with known ones, from the picture to the event; and the gaze beside them."""
import csv
import os

import numpy as np
import pytest
from whole_runs import need_networks, need_runtime

cv2 = pytest.importorskip("cv2")

from edge.app.chain import make_stages
from edge.config.load import load_config
from edge.core.packet import Frame, Packet
from edge.geometry.camera import CameraGuess
from edge.geometry.filters import OneEuroSettings
from edge.stages.express import Express, ExpressSettings

MIXTURE, HEAD = "media/shapes/mixture", "media/synth/head_seed1"
FLAME, GLASSES = "media/video/flame", "media/video/lp_d9"
NEAR_S = 0.15
FADES_S = {FLAME: 15.0}  # there one picture fades into the next
# the middle of each blink, found by looking at the frames
SEEN = {
    FLAME: (0.4, 1.73, 2.7, 4.8, 7.07, 8.4, 11.25, 12.8, 14.47),
    GLASSES: (0.45, 1.35, 4.75, 6.47, 9.85, 10.28, 12.2, 12.83, 14.17, 15.0, 16.25, 16.63, 17.55, 18.67),
}


@pytest.fixture(scope="module")
def tracked(models_home, shared):
    """tracked(clip, network) -> the packets' faces by frame, and all events; each clip is tracked once."""
    need_runtime("onnxruntime", "openvino")
    need_networks(models_home, "yunet_s", "face_attention", "face_landmark", "mb05", "iris_landmark")
    done = {}

    def run(clip, network):
        if (clip, network) not in done:
            done[clip, network] = track(os.path.join(shared, clip + ".mp4"), network, FADES_S.get(clip, 60.0))
        return done[clip, network]

    before = os.environ.get("NANOFACE_HOME")
    os.environ["NANOFACE_HOME"] = models_home
    yield run
    os.environ.pop("NANOFACE_HOME")
    if before is not None:
        os.environ["NANOFACE_HOME"] = before


def track(path, network, end_s):
    config = load_config(None, {"models.align": network}, None)
    express = Express(ExpressSettings(CameraGuess(None, 60.0), OneEuroSettings(1.0, 100.0, 1.0), events=True))
    stages = make_stages(config, False, lambda event, text: None)._replace(express=express)
    chain = [stage for group in stages.groups(config.pipeline.groups()) for stage in group]
    for stage in chain:
        stage.open()
    faces, events, film = [], [], cv2.VideoCapture(path)
    fps = film.get(cv2.CAP_PROP_FPS)
    read, image = film.read()
    while read and len(faces) < end_s * fps:
        packet = Packet(Frame(len(faces), 0.0, len(faces) / fps, image))
        for stage in chain:
            packet = stage.process(packet)
        faces.append(packet.faces[0] if packet.faces else None)
        events.extend(packet.events)
        read, image = film.read()
    for stage in reversed(chain):
        stage.close()
    return faces, events + list(express.last_events())


def truth(shared, clip):
    with open(os.path.join(shared, clip + ".csv"), newline="") as f:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(f)]


def spans(rows, shut):
    """Middles of the times in which it is so, but for one at the end."""
    flags = [shut(row) for row in rows] + [True]
    edges = [i for i in range(1, len(flags)) if flags[i] != flags[i - 1]]
    return [(rows[a]["time_s"] + rows[b]["time_s"]) / 2 for a, b in zip(edges[::2], edges[1::2]) if b < len(rows)]


def rendered_blinks(shared, clip):
    """(side, time); half blinks are blinks, too."""
    rows = truth(shared, clip)
    if "eye_open" in rows[0]:
        return [("both", t) for t in spans(rows, lambda row: row["eye_open"] < 0.2)]
    right, left = (spans(rows, lambda row, key=key: row[key] >= 0.5) for key in ("eyeBlinkRight", "eyeBlinkLeft"))
    both = [t for t in right if any(abs(t - u) < NEAR_S for u in left)]
    return [("both", t) for t in both] + [
        (side, t) for side, times in (("right", right), ("left", left)) for t in times
        if not any(abs(t - u) < NEAR_S for u in both)]


@pytest.mark.shared(MIXTURE + ".mp4", HEAD + ".mp4", FLAME + ".mp4", GLASSES + ".mp4")
@pytest.mark.parametrize("clip, network, count", [
    (MIXTURE, "face_attention", 14), (MIXTURE, "face_landmark", 14), (HEAD, "face_attention", 7),
    (FLAME, "face_landmark", 9), (GLASSES, "face_attention", 14),
])
def test_blinks_are_found_with_their_side_and_nothing_else_is_one(tracked, shared, clip, network, count):
    known = [("both", t) for t in SEEN[clip]] if clip in SEEN else rendered_blinks(shared, clip)
    found = [(e.values["side"], (e.start_s + e.end_s) / 2) for e in tracked(clip, network)[1] if e.name == "blink"]
    assert len(known) == count
    right = [one for one in found if any(one[0] == side and abs(one[1] - t) <= NEAR_S for side, t in known)]
    assert len(right) >= 0.9 * len(found) and len(right) >= 0.9 * len(known), sorted(found, key=lambda one: one[1])


@pytest.mark.shared(MIXTURE + ".mp4")
@pytest.mark.parametrize("network", ["face_attention", "face_landmark"])
def test_the_gaze_beside_a_blink_is_hardly_worse_than_elsewhere(tracked, shared, network):
    """But for scale and offset, which this head's large eyeballs change."""
    rows, faces = truth(shared, MIXTURE), tracked(MIXTURE, network)[0]
    moving = [row["time_s"] for row in rows if max(row["eyeBlinkRight"], row["eyeBlinkLeft"]) > 0.05]
    for axis, name in enumerate(("yaw", "pitch")):
        true = np.array([(row["gazeR_{}_head".format(name)] + row["gazeL_{}_head".format(name)]) / 2 for row in rows])
        found = np.array([np.nan if face is None or face.gaze is None else face.gaze.both[axis] for face in faces])
        near = np.array([min(abs(row["time_s"] - t) for t in moving) < 0.17 for row in rows])
        known = np.isfinite(found)
        slope, offset = np.polyfit(true[known & ~near], found[known & ~near], 1)
        errors = abs(found - slope * true - offset)
        assert known.mean() > 0.85 and known[~near].mean() > 0.98
        assert errors[known & near].mean() < 1.4 * errors[known & ~near].mean()
        assert np.percentile(errors[known & near], 95) < 8.0
