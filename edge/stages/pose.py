"""How the head is turned and where it is: a network that sees the picture and a fit of the mesh's points, combined."""
from typing import NamedTuple, Optional

import numpy as np

from edge.core.contracts import Runner, Stage
from edge.core.packet import Face, Packet, Pose
from edge.face.head import HeadModel
from edge.geometry import roi as regions
from edge.geometry import rotation as rot
from edge.geometry.camera import Camera, from_fov, solve_pnp
from edge.models.face_landmark import EYE_OUTER_LEFT, EYE_OUTER_RIGHT
from edge.models.mb05 import Mb05


class PoseSettings(NamedTuple):
    """`camera` None: the picture's own size and `fov_deg`, the assumed horizontal field of view."""

    camera: Optional[Camera]
    fov_deg: float
    network_weight: float  # 0: the fit of the points alone, 1: the network's rotation alone


class PoseStage(Stage):
    """Fills `pose`. `runner` and `network` may be None: then the pose is that of the mesh's points."""

    name = "pose"

    def __init__(self, runner: Optional[Runner], network: Optional[Mb05], head: HeadModel, settings: PoseSettings) -> None:
        self.runners = () if runner is None else (runner,)
        self._runner, self._network, self._head, self._settings = runner, network, head, settings
        self._camera = None  # type: Optional[Camera]

    def open(self) -> None:
        if self._runner is not None:
            self._runner.open()

    def process(self, packet: Packet) -> Packet:
        camera = self._camera_for(packet.frame.image.shape[1], packet.frame.image.shape[0])
        return packet.with_faces(tuple(self._with_pose(packet, face, camera) for face in packet.faces))

    def _camera_for(self, width: int, height: int) -> Camera:
        if self._camera is None or (self._camera.width, self._camera.height) != (width, height):
            known = self._settings.camera
            self._camera = from_fov(width, height, self._settings.fov_deg) if known is None else known.resized(width, height)
        return self._camera

    def _with_pose(self, packet: Packet, face: Face, camera: Camera) -> Face:
        if face.landmarks is None:
            return face.without("pose", "no landmarks")
        fit = solve_pnp(self._head.points, face.landmarks[self._head.indices, :2], camera)
        if fit is None:
            return face.without("pose", "the points fit no head before the camera")
        rotation = fit.rotation
        seen = self._network_rotation(packet, face.landmarks, fit.translation)
        if seen is not None:
            rotation = rot.blend(rotation, seen, self._settings.network_weight)
        return face._replace(pose=Pose(rotation, fit.translation, fit.residual_px))

    def _network_rotation(self, packet: Packet, landmarks: np.ndarray, origin: np.ndarray) -> Optional[np.ndarray]:
        """Rotation by the network, in the camera frame.

        It sees an upright crop as if the head were on the optical axis: the turn of the crop is put back, then the
        direction in which the head is seen.
        """
        if self._runner is None or self._network is None:
            return None
        angle = regions.eye_angle(landmarks[EYE_OUTER_RIGHT], landmarks[EYE_OUTER_LEFT])
        crop = self._network.crop(self._network.roi(landmarks, angle))
        in_crop = self._network.decode(self._runner.submit(packet.frame.image, (crop,)).result())
        if in_crop is None:
            return None
        view = rot.FLIP.dot(rot.toward(origin)).dot(rot.FLIP)
        return view.dot(rot.in_plane(angle)).dot(in_crop)

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()
