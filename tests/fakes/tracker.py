"""The real stages on made-up answers of the default networks: a face that stays where it is, and whatever spoils it."""
import numpy as np

from edge.core.contracts import Tensor
from edge.core.errors import FrameError
from edge.core.packet import Frame, Packet
from edge.face import head as heads
from edge.geometry.camera import CameraGuess
from edge.geometry.filters import OneEuroSettings
from edge.models.detectors.table import make_detector
from edge.models.face_landmark import FaceLandmark
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.stages.align import Align, AlignSettings
from edge.stages.detect import Detect, DetectSettings
from edge.stages.express import Express, ExpressSettings
from edge.stages.iris import IrisStage
from edge.stages.pose import PoseNetwork, PoseStage
from edge.stages.tracks import Tracks
from fakes.recorded import RecordedRunner

IMAGE = np.zeros((480, 640, 3), np.uint8)
IMAGE.flags.writeable = False
FACE = (250.0, 150.0, 350.0, 270.0)
STRIDES = (8, 16, 32)
CELLS = {s: (320 // s) * (256 // s) for s in STRIDES}
DECODE = {"mean": [0.0] * 62, "std": [1.0] * 62}
INPUTS = {"detect": (1, 3, 256, 320), "align": (1, 3, 192, 192), "pose": (1, 3, 120, 120), "iris": (2, 3, 64, 64)}


def yunet(box=FACE, score=0.9):
    """The detector sees `box` of a 640x480 frame; None: nobody."""
    found = {}
    for stride, cells in CELLS.items():
        found["cls_{}".format(stride)] = np.zeros((1, cells, 1), np.float32)
        found["obj_{}".format(stride)] = np.zeros((1, cells, 1), np.float32)
        found["bbox_{}".format(stride)] = np.zeros((1, cells, 4), np.float32)
        found["kps_{}".format(stride)] = np.zeros((1, cells, 10), np.float32)
    if box is not None:
        x0, y0, x1, y1 = (v / 2.0 for v in box)  # the frame is shown at half its size
        cell = 3 * 10 + 4
        corner = np.array([4 * 32.0, 3 * 32.0])
        found["cls_32"][0, cell] = found["obj_32"][0, cell] = score
        centre = (np.array([x0 + x1, y0 + y1]) / 2.0 - corner) / 32.0
        found["bbox_32"][0, cell] = list(centre) + [np.log((x1 - x0) / 32.0), np.log((y1 - y0) / 32.0)]
        eyes = (np.array([[x0 + 15, y0 + 20], [x1 - 15, y0 + 20]]) - corner) / 32.0
        found["kps_32"][0, cell, :4] = eyes.ravel()
    return found


def mesh(presence=9.0):
    """The measured head seen from the front, so placed in the crop that its region stays where it is."""
    table = np.array(heads.measured_head.TABLE)
    face = table[:, 1:] * (1.0, -1.0, -1.0)
    low, high = face[:, :2].min(axis=0), face[:, :2].max(axis=0)
    scale = 128.0 / (high - low).max()
    face = face * scale
    face[:, :2] += 96.0 - (low + high) / 2 * scale
    points = np.zeros((468, 3))
    points[:, :2] = 96.0
    points[table[:, 0].astype(int)] = face
    points[263, 1] = points[33, 1]  # an eye line that is level: else the region would turn a little with each frame
    return {"landmarks": points.reshape(1, -1).astype(np.float32), "presence": np.array([[presence]], np.float32)}


def params():
    """A head that looks into the camera."""
    found = np.zeros((1, 62), np.float32)
    found[0, [0, 5, 10]] = 1.0
    return {"params": found, "landmarks": np.zeros((1, 136), np.float32)}


def eyes(opening=0.25):
    """Both eyes in the middle of their crops, open."""
    width, contour = 64.0 / 2.3, np.zeros((71, 3))
    contour[:, :2] = 32.0
    contour[0:9, 0] = contour[9:16, 0] = 0.0
    contour[0:9, 0], contour[9:16, 0] = np.linspace(-0.5, 0.5, 9), np.linspace(-0.5, 0.5, 9)[1:8]
    contour[:16, 0] = 32.0 + width * contour[:16, 0]
    contour[1:8, 1], contour[9:16, 1] = 32.0 + opening * width / 2, 32.0 - opening * width / 2
    iris = np.array([[32, 32, 0], [38, 32, 0], [32, 26, 0], [26, 32, 0], [32, 38, 0]], np.float32)
    return {"iris": np.stack([iris.ravel()] * 2), "contour": np.stack([contour.ravel()] * 2).astype(np.float32)}


def good():
    """Role -> outputs."""
    return {"detect": yunet(), "align": mesh(), "pose": params(), "iris": eyes()}


class Answering(RecordedRunner):
    """Gives what `answer()` returns as it is, of whatever shape, and keeps no record of being asked."""

    def __init__(self, role, answer):
        super().__init__(role, (Tensor("input", INPUTS[role]),), (), lambda crops, image: answer())
        self.calls = 0

    def _answer(self, crops, image):
        self.calls += 1
        return self._answers(crops, image)


class Tracker:
    """The chain of the default configuration. `answers[role]` is a dict of outputs, or a function that returns one."""

    def __init__(self, smoothing=True, max_faces=1, pose_every=5, idle_after_s=None, points68=False, **answers):
        self.answers = dict(good(), **answers)
        self.runners = {role: Answering(role, lambda role=role: self._of(role)) for role in INPUTS}
        tracks, aligner, camera = Tracks(1.0), FaceLandmark(), CameraGuess(None, 60.0)
        filters = OneEuroSettings(1.0, 100.0, 1.0) if smoothing else None
        self.detect = Detect(self.runners["detect"], make_detector("yunet_s"), aligner, tracks,
                             DetectSettings(max_faces, None, 1.0, idle_after_s))
        self.align = Align(self.runners["align"], aligner, tracks, AlignSettings(0.5))
        self.pose = PoseStage(PoseNetwork(self.runners["pose"], Mb05(DECODE)), heads.measured(), camera, pose_every,
                              points68)
        self.iris = IrisStage(self.runners["iris"], IrisLandmark())
        self.express = Express(ExpressSettings(camera, filters))
        self.stages = [self.detect, self.align, self.pose, self.iris, self.express]

    def _of(self, role):
        answer = self.answers[role]
        return answer() if callable(answer) else answer

    def open(self):
        for stage in self.stages:
            stage.open()
        return self

    def track(self, seq, time_s=None):
        """The packet of one frame after all stages; None where one of them dropped it with a FrameError."""
        packet = Packet(Frame(seq, 0.0, seq / 30.0 if time_s is None else time_s, IMAGE))
        try:
            for stage in self.stages:
                packet = stage.process(packet)
        except FrameError:
            return None
        return packet
