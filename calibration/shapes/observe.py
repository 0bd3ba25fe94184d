"""What the networks see of rendered heads: `python -m calibration.shapes.observe ict_head.npz OUT --identities 0:24`.

One `train_ID.npz` a person: each shape alone at a few values, then loose mixtures, with mild and wider turns of the head, and
at last a face at rest whose head alone turns.
"""
import argparse
import os
import sys
from typing import Any, Dict, List, Optional

import cv2
import numpy as np

from calibration.shapes.head import IctHead, Person
from calibration.shapes.motion import Motion, head_motion, mixture, sweep
from calibration.shapes.paint import Look
from calibration.shapes.persons import person_of
from calibration.shapes.render import Renderer, noise_background
from edge.app.chain import make_stages
from edge.config.load import load_config
from edge.core.contracts import Stage
from edge.core.errors import EdgeError
from edge.core.packet import Face, Frame, Packet
from edge.face.eyes import lids_of

WAYS = {"attention": ("face_attention", "none"), "landmark": ("face_landmark", "iris_landmark")}  # align, iris
STILL, EACH, MIXED, TURNED_SHARE, RESTING = 30, 5, 200, 0.25, 90
WIDE_DEG = (30.0, 14.0, 10.0)
FIELDS = {"landmarks": (468, 3), "contours": (2, 71, 2), "irises": (2, 3), "rotation": (3, 3), "translation": (3,),
          "gaze": (2, 2), "lids": (2,), "score": ()}  # per frame; the right eye first


def training_motion(names: List[str], random: np.random.RandomState) -> Motion:
    alone = sweep(names, random, STILL, EACH).coefficients
    mixed = mixture(names, 2 * MIXED, random, loose=True).coefficients[::2]
    turned = int(TURNED_SHARE * MIXED)
    poses = head_motion(len(alone) + MIXED - turned, random, still=STILL, fps=12.0) + head_motion(
        turned, random, WIDE_DEG, fps=12.0) + head_motion(RESTING, random, WIDE_DEG, fps=6.0)
    coefficients = np.concatenate((alone, mixed, np.zeros((RESTING, len(names)))))
    coefficients[STILL:len(alone)] *= random.uniform(0.6, 1.0, (len(alone) - STILL, 1))
    return Motion(coefficients, poses)


def as_filmed(picture: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """With a sensor's noise and a compression's loss, so that points tremble as in films."""
    noisy = picture + random.normal(0.0, 2.0, picture.shape)
    _, packed = cv2.imencode(".jpg", noisy.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)


class Watcher:
    """The stages of one way, without smoothing."""

    def __init__(self, align: str, iris: str) -> None:
        settings = {"models.align": align, "smoothing.enabled": False}
        if iris != "none":
            settings["models.iris"] = iris
        config = load_config(None, settings, None, {key: "this tool" for key in settings})
        stages = make_stages(config, False, lambda event, text: None)
        self._stages: List[Stage] = [stage for group in stages.groups(config.pipeline.groups()) for stage in group]
        for stage in self._stages:
            stage.open()

    def __call__(self, picture: np.ndarray, number: int) -> Dict[str, np.ndarray]:
        """FIELDS of the face, NaN for what is not known."""
        packet: Optional[Packet] = Packet(Frame(number, number / 30.0, number / 30.0, picture))
        for stage in self._stages:
            packet = None if packet is None else stage.process(packet)
        found = {name: np.full(shape, np.nan, np.float32) for name, shape in FIELDS.items()}
        if packet is not None and packet.faces:
            _fill(found, packet.faces[0])
        return found

    def close(self) -> None:
        for stage in self._stages:
            stage.close()


def _fill(found: Dict[str, np.ndarray], face: Face) -> None:
    found["score"][...] = face.score
    if face.landmarks is not None:
        found["landmarks"][...] = face.landmarks
    if face.pose is not None:
        found["rotation"][...] = face.pose.rotation
        if face.pose.translation_mm is not None:
            found["translation"][...] = face.pose.translation_mm
    for i in (0, 1):
        contour = None if face.eye_contours is None else face.eye_contours[i]
        if contour is not None and face.landmarks is not None:
            found["contours"][i] = contour
            lids = lids_of(face, i)
            found["lids"][i] = np.nan if lids is None else lids
        iris = None if face.irises is None else face.irises[i]
        if iris is not None:
            found["irises"][i] = tuple(iris.center) + (iris.radius,)
        look = None if face.gaze is None else (face.gaze.right, face.gaze.left)[i]
        if look is not None:
            found["gaze"][i] = look


def observe(person: Person, motion: Motion, look: Look, random: np.random.RandomState, renderer: Renderer,
            watchers: Dict[str, Watcher]) -> Dict[str, Any]:
    """The truth and what each way saw, one row a frame."""
    background = noise_background(random)
    seen: Dict[str, List[np.ndarray]] = {}
    for number, (coefficients, pose) in enumerate(zip(motion.coefficients, motion.poses)):
        picture = as_filmed(renderer.picture(person.with_expression(coefficients), pose, look, background), random)
        for way, watcher in watchers.items():
            for field, value in watcher(picture, number).items():
                seen.setdefault(way + "_" + field, []).append(value)
    found = {name: np.stack(values) for name, values in seen.items()}
    found.update(names=np.array(person.names), coefficients=motion.coefficients.astype(np.float32),
                 true_rotation=np.array([pose.rotation for pose in motion.poses], np.float32),
                 true_angles=np.array([pose[:3] for pose in motion.poses], np.float32),
                 true_translation=np.array([pose.translation_mm for pose in motion.poses], np.float32))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("head", help="ict_head.npz")
    parser.add_argument("folder")
    parser.add_argument("--identities", default="0:24", metavar="FROM:TO")
    parser.add_argument("--frames", type=int, metavar="N", help="the first N of each, to try")
    args = parser.parse_args()
    try:
        observe_all(args)
    except (EdgeError, OSError, ValueError) as e:
        print(e, file=sys.stderr)
        return 1
    return 0


def observe_all(args: argparse.Namespace) -> None:
    head = IctHead(args.head)
    renderer = Renderer(head)
    first, last = map(int, args.identities.split(":"))
    for number in range(first, last):
        person, look, random = person_of(head, number)
        motion = training_motion(head.names, random)
        motion = Motion(motion.coefficients[:args.frames], motion.poses[:args.frames])
        watchers = {way: Watcher(*networks) for way, networks in WAYS.items()}
        found = observe(person, motion, look, random, renderer, watchers)
        for watcher in watchers.values():
            watcher.close()
        path = os.path.join(args.folder, "train_{:02d}.npz".format(number))
        np.savez_compressed(path + ".part.npz", identity=number, **found)
        os.replace(path + ".part.npz", path)
        print("{}: {} frames, face in {:.0%}".format(path, len(motion.poses), np.isfinite(found["attention_score"]).mean()))


if __name__ == "__main__":
    sys.exit(main())
