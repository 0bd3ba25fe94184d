"""Real inputs of the networks: frames of a source, and of each the crops that the pipeline would make of it."""
from typing import Any, List, NamedTuple, Optional, Sequence

import numpy as np

from edge.core.contracts import Crop
from edge.core.errors import SourceError
from edge.core.packet import Face, Frame, Packet
from edge.core.roles import ALIGN, DETECT, ONNXRUNTIME, POSE
from edge.face.mesh import EYE_OUTER_LEFT, EYE_OUTER_RIGHT
from edge.geometry import roi as regions
from edge.models.aligners import make_aligner
from edge.models.detectors.table import make_detector
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.models.warp import Warper
from edge.runtimes.choose import open_runner
from edge.sources.choose import make_source
from edge.sources.spec import SourceOptions
from edge.stages.align import Align, AlignSettings
from edge.stages.detect import Detect, DetectSettings
from edge.stages.tracks import Tracks
from edge.store.models import StoredNetwork, first_available
from engines.manifest.entries import Input
from engines.manifest.read import read_manifest

PRESENCE = 0.5
READ_TIMEOUT_S = 10.0
APART_UNKNOWN = 10  # frames between two that are taken, where their number is not known


class Shot(NamedTuple):
    """A frame and the largest face in it, with its landmarks and the region in which the next frame would look for it."""

    image: np.ndarray  # (H, W, 3) uint8 BGR
    face: Optional[Face]


def take(spec: str, count: int) -> List[Frame]:
    """At most `count` frames, spread over the source. Raises SourceError or ConfigError."""
    source = make_source(SourceOptions(spec=spec))
    if source.facts is not None:
        raise SourceError("{} holds points and no pictures: give a film, a camera or a picture".format(spec))
    source.open()
    try:
        apart = max(1, source.frame_count // count) if source.frame_count else APART_UNKNOWN
        taken: List[Frame] = []
        seen = 0
        while len(taken) < count:
            try:
                frame = source.read(READ_TIMEOUT_S)
            except EOFError:
                break
            if frame is None:
                raise SourceError("{} gave no frame for {:.0f} s".format(source.name, READ_TIMEOUT_S))
            if seen % apart == 0:
                taken.append(frame)
            seen += 1
    finally:
        source.close()
    if not taken:
        raise SourceError("{} has no frame: take another --source".format(spec))
    return taken


def look(home: str, frames: Sequence[Frame]) -> List[Shot]:
    """Find and fit the faces of each frame with the networks that are preferred. Raises ModelError or EngineError."""
    candidates = {role.name: role.candidates for role in read_manifest().roles}
    found, _ = first_available(home, candidates[DETECT])
    mesh, _ = first_available(home, candidates[ALIGN])
    tracks, aligner = Tracks(0.0, memory=False), make_aligner(mesh.name)
    stages = (
        Detect(open_runner(found, ONNXRUNTIME), make_detector(found.name), aligner, tracks, DetectSettings(4, None, 0.0)),
        Align(open_runner(mesh, ONNXRUNTIME), aligner, tracks, AlignSettings(PRESENCE)))
    try:
        for stage in stages:
            stage.open()
        shots = []
        for frame in frames:
            packet = stages[1].process(stages[0].process(Packet(frame)))
            faces = sorted(packet.faces, key=lambda face: -face.roi.size)
            shots.append(Shot(frame.image, faces[0] if faces else None))
        return shots
    finally:
        for stage in stages:
            stage.close()


def inputs(stored: StoredNetwork, expected: Input, shots: Sequence[Shot]) -> List[np.ndarray]:
    """The network's input (N, 3, H, W) float32 for each frame that it would be shown; SourceError where there is none."""
    feeds, warper = [], Warper()
    for shot in shots:
        crops = _crops(stored, shot)
        if crops:
            feeds.append(np.zeros(expected.shape, np.float32))
            for crop, part in zip(crops, feeds[-1]):
                warper.fill(shot.image, crop, part)
    if not feeds:
        raise SourceError("there is no face in these frames to show to {}: take another --source".format(stored.name))
    return feeds


def black(expected: Input) -> np.ndarray:
    """What a covered camera gives: some networks are nowhere as sure as there."""
    return np.zeros(expected.shape, np.float32) + np.array(expected.offset, np.float32).reshape(3, 1, 1)


def _crops(stored: StoredNetwork, shot: Shot) -> Sequence[Crop]:
    """What the stage of the network's role asks of the frame; nothing where there is no face for it."""
    height, width = shot.image.shape[:2]
    if stored.role == DETECT:
        return (make_detector(stored.name).crop(width, height),)
    if shot.face is None or shot.face.landmarks is None:
        return ()
    landmarks: Any = shot.face.landmarks
    if stored.role == ALIGN:
        return (make_aligner(stored.name).crop(shot.face.roi),)
    if stored.role == POSE:
        model = Mb05(stored.decode)
        return (model.crop(model.roi(landmarks, regions.eye_angle(landmarks[EYE_OUTER_RIGHT], landmarks[EYE_OUTER_LEFT]))),)
    model_of_eyes = IrisLandmark()
    return model_of_eyes.crops(model_of_eyes.rois(landmarks))
