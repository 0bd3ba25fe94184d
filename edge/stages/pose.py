"""How the head is turned and where it is.

Three witnesses that err differently: PnP of the mesh's points (perspective, but no depth), the mesh's own depth fitted to the
head model, and a network that sees the picture. Their mean rotation was nearer to the truth than each of them and than every
pair, on rendered heads and on photographs alike. The translation is that of PnP.
"""
from typing import List, NamedTuple, Optional

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
    """The network that sees the picture, and what runs it."""

    runner: Runner
    model: Mb05


class PoseStage(Stage):
    """Fills `pose`. Without a network the pose is that of the mesh's points."""

    name = "pose"

    def __init__(self, network: Optional[PoseNetwork], head: HeadModel, camera: CameraGuess) -> None:
        self.runners = () if network is None else (network.runner,)
        self._network, self._head, self._camera = network, head, camera

    def open(self) -> None:
        for runner in self.runners:
            runner.open()

    def process(self, packet: Packet) -> Packet:
        camera = self._camera.of_size(packet.frame.image.shape[1], packet.frame.image.shape[0])
        return packet.with_faces(tuple(self._with_pose(packet, face, camera) for face in packet.faces))

    def _with_pose(self, packet: Packet, face: Face, camera: Camera) -> Face:
        if face.landmarks is None:
            return face.without("pose", "no landmarks")
        fit = solve_pnp(self._head.spread_points, face.landmarks[self._head.spread, :2], camera)
        if fit is None:
            return face.without("pose", "the points fit no head before the camera")
        # the other two see the head as if it were on the optical axis: turn the view toward it
        view = rot.FLIP.dot(rot.toward(fit.translation)).dot(rot.FLIP)
        seen = [rotation_of_mesh(self._head, face.landmarks)] + self._by_network(packet, face.landmarks)
        rotation = rot.nearest(fit.rotation + view.dot(np.sum(seen, axis=0)))
        return face._replace(pose=Pose(rotation, fit.translation, fit.residual_px))

    def _by_network(self, packet: Packet, landmarks: np.ndarray) -> List[np.ndarray]:
        """At most one rotation; the turn of the upright crop is put back."""
        if self._network is None:
            return []
        runner, model = self._network
        angle = regions.eye_angle(landmarks[EYE_OUTER_RIGHT], landmarks[EYE_OUTER_LEFT])
        crop = model.crop(model.roi(landmarks, angle))
        in_crop = model.decode(runner.submit(packet.frame.image, (crop,)).result())
        return [] if in_crop is None else [rot.in_plane(angle).dot(in_crop)]

    def close(self) -> None:
        for runner in self.runners:
            runner.close()
