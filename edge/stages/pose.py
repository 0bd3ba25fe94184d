"""How the head is turned and where it is.

Three witnesses that err differently: PnP of the mesh's points (perspective, but no depth), the mesh's own depth fitted to the
head model, and a network that sees the picture. Their mean rotation was nearer to the truth than each of them and than every
pair, on rendered heads and on photographs alike. The translation is that of PnP.
"""
from typing import Dict, NamedTuple, Optional

import numpy as np

from edge.core.contracts import Runner, Stage
from edge.core.packet import Face, Packet, Pose
from edge.face.head import HeadModel, rotation_of_mesh
from edge.geometry import roi as regions
from edge.geometry import rotation as rot
from edge.geometry.camera import Camera, CameraGuess, solve_pnp
from edge.models.face_landmark import EYE_OUTER_LEFT, EYE_OUTER_RIGHT
from edge.models.mb05 import Mb05


class PoseNetwork(NamedTuple):
    """The network that sees the picture, what runs it, and on which frames of a track."""

    runner: Runner
    model: Mb05
    every: int  # 1: on each frame; 2: on every other one, and so on


class _Correction(NamedTuple):
    """What the network last said of a track, against the other two witnesses."""

    turn: np.ndarray  # (3, 3)
    frame: int  # number of the track's frame


class PoseStage(Stage):
    """Fills `pose`. Without a network the pose is that of the mesh's points.

    The network's difference from the points changes slowly: between its runs, it is carried on with them.
    """

    name = "pose"

    def __init__(self, network: Optional[PoseNetwork], head: HeadModel, camera: CameraGuess) -> None:
        self.runners = () if network is None else (network.runner,)
        self._network, self._head, self._camera = network, head, camera
        self._corrections = {}  # type: Dict[int, _Correction]
        self._frame = self._skipped = 0

    def open(self) -> None:
        for runner in self.runners:
            runner.open()

    def process(self, packet: Packet) -> Packet:
        self._frame += 1
        camera = self._camera.of_size(packet.frame.image.shape[1], packet.frame.image.shape[0])
        faces = tuple(self._with_pose(packet, face, camera) for face in packet.faces)
        self._corrections = {f.track_id: self._corrections[f.track_id] for f in faces if f.track_id in self._corrections}
        return packet.with_faces(faces)

    def _with_pose(self, packet: Packet, face: Face, camera: Camera) -> Face:
        if face.landmarks is None:
            return face.without("pose", "no landmarks")
        fit = solve_pnp(self._head.spread_points, face.landmarks[self._head.spread, :2], camera)
        if fit is None:
            return face.without("pose", "the points fit no head before the camera")
        # the other two see the head as if it were on the optical axis: turn the view toward it
        view = rot.FLIP.dot(rot.toward(fit.translation)).dot(rot.FLIP)
        of_points = fit.rotation + view.dot(rotation_of_mesh(self._head, face.landmarks))
        return face._replace(pose=Pose(self._mean(packet, face, view, of_points), fit.translation, fit.residual_px))

    def _mean(self, packet: Packet, face: Face, view: np.ndarray, of_points: np.ndarray) -> np.ndarray:
        """Rotation between the sum of the points' two and, where there is one, the network's."""
        if self._network is None:
            return rot.nearest(of_points)
        last = self._corrections.get(face.track_id)
        if last is not None and self._frame - last.frame < self._network.every:
            self._skipped += 1
            return rot.nearest(of_points).dot(last.turn)
        seen = self._by_network(packet, face)
        if seen is None:
            return rot.nearest(of_points)
        rotation = rot.nearest(of_points + view.dot(seen))
        if self._network.every > 1:
            turn = rot.nearest(of_points).T.dot(rotation)
            self._corrections[face.track_id] = _Correction(turn, self._frame)
        return rotation

    def _by_network(self, packet: Packet, face: Face) -> Optional[np.ndarray]:
        """The head as seen along its own line of sight; the turn of the upright crop is put back."""
        assert self._network is not None and face.landmarks is not None
        runner, model, _ = self._network
        angle = regions.eye_angle(face.landmarks[EYE_OUTER_RIGHT], face.landmarks[EYE_OUTER_LEFT])
        crop = model.crop(model.roi(face.landmarks, angle))
        in_crop = model.decode(runner.submit(packet.frame.image, (crop,)).result())
        return None if in_crop is None else rot.in_plane(angle).dot(in_crop)

    def counters(self) -> Dict[str, int]:
        return {"skipped": self._skipped}

    def close(self) -> None:
        for runner in self.runners:
            runner.close()
