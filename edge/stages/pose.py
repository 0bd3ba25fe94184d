"""How the head is turned and where it is.

Three estimators that err differently: PnP of the mesh's points (perspective, but no depth), the mesh's own depth fitted to the
head model, and a network that sees the picture. Their mean rotation was nearer to the truth than each of them and than every
pair, on rendered heads and on photographs alike. With that rotation the translation is a linear fit.
"""
from typing import Dict, Iterable, NamedTuple, Optional

import numpy as np

from edge.core.contracts import Runner, Stage
from edge.core.packet import LEFT_OUT, Face, Packet, Pose
from edge.core.roles import POSE
from edge.face.head import HeadModel, rotation_of_mesh
from edge.face.mesh import EYE_OUTER_LEFT, EYE_OUTER_RIGHT
from edge.geometry import roi as regions
from edge.geometry import rotation as rot
from edge.geometry.camera import Camera, CameraGuess, Fit, Sight
from edge.models.mb05 import Mb05

HEAD_AXES = np.array([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])  # FLIP A FLIP, number by number


class PoseNetwork(NamedTuple):
    """The network that sees the picture, and what runs it."""

    runner: Runner
    model: Mb05


class _Correction(NamedTuple):
    """What all estimators together made of a track's rotation, against the mesh's own depth alone."""

    turn: np.ndarray  # (3, 3)
    frame: int  # number of the frame


class _Seen(NamedTuple):
    """What the network says of a face; the turn of the upright crop is put back."""

    rotation: Optional[np.ndarray]  # (3, 3) as seen along the line of sight
    points: Optional[np.ndarray]  # (68, 2) frame pixels; None where nobody wants them


class PoseStage(Stage):
    """Fills `pose`, and `landmarks68` where that is wanted. All estimators are fused on every `interval`-th frame of a track,
    which another thread may change.

    Between, the mesh's own depth alone gives the rotation, corrected by what the others last made of it: that changes
    slowly, and running them is most of the work. The 68 points need the network in every frame, or as thin() says.
    """

    name = POSE
    fills = ("pose",)

    def __init__(self, network: Optional[PoseNetwork], head: HeadModel, camera: CameraGuess, every: int,
                 points: bool = False) -> None:
        """Without a network the pose is that of the mesh's points. `points`: those of the network are wanted, too."""
        self.runners = () if network is None else (network.runner,)
        self._network, self._head, self._camera, self.interval = network, head, camera, every
        self.points, self._points_every = points and network is not None, 1
        self._corrections: Dict[int, _Correction] = {}
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
        mesh = face.landmarks
        if mesh is None or not np.isfinite(mesh).all():
            reason = "no landmarks" if mesh is None else "not finite"
            return (face.without("landmarks68", reason) if self.points else face).without("pose", reason)
        of_mesh = rotation_of_mesh(self._head, mesh)
        last = self._corrections.get(face.track_id)
        if last is not None and self._frame - last.frame >= self.interval:
            last = None
        seen = None
        if self._network is not None and (last is None or self.points and not self._frame % self._points_every):
            seen = self._look(self._network, packet, mesh)
        if self.points:
            face = face.without("landmarks68", LEFT_OUT) if seen is None else face._replace(landmarks68=seen.points)
        if last is not None:
            self._skipped += seen is None
            fit = self._carried(mesh, of_mesh.dot(last.turn), camera)
        else:
            fit = self._fused(face, of_mesh, None if seen is None else seen.rotation, camera)
        if fit is None:
            return face.without("pose", "the points fit no head before the camera")
        return face._replace(pose=Pose(*fit))

    def _fused(self, face: Face, of_mesh: np.ndarray, by_network: Optional[np.ndarray], camera: Camera) -> Optional[Fit]:
        """The mean of all estimators, and the head placed with it."""
        assert face.landmarks is not None
        sight = Sight(self._head.spread_points, face.landmarks[self._head.spread, :2], camera)
        start = _along_ray(sight, of_mesh)
        solved = None if start is None else sight.solve_pnp(start)
        if solved is None:
            return None
        by_points, translation = solved
        view = _view(translation)
        rotation = rot.nearest(by_points + view.dot(of_mesh if by_network is None else of_mesh + by_network))
        self._corrections[face.track_id] = _Correction(view.dot(of_mesh).T.dot(rotation), self._frame)
        return sight.fit(rotation)

    def _carried(self, landmarks: np.ndarray, seen: np.ndarray, camera: Camera) -> Optional[Fit]:
        sight = Sight(self._head.spread_points, landmarks[self._head.spread, :2], camera)
        rotation = _along_ray(sight, seen)
        return None if rotation is None else sight.fit(rotation)

    def _look(self, network: PoseNetwork, packet: Packet, landmarks: np.ndarray) -> _Seen:
        runner, model = network
        roi = model.roi(landmarks, regions.eye_angle(landmarks[EYE_OUTER_RIGHT], landmarks[EYE_OUTER_LEFT]))
        outputs = runner.submit(packet.frame.image, (model.crop(roi),)).result()
        in_crop = model.decode(outputs)
        return _Seen(None if in_crop is None else rot.in_plane(roi.angle).dot(in_crop),
                     model.decode_points(outputs, roi) if self.points else None)

    def thin(self, every: int) -> None:
        """Give the 68 points in every n-th frame only. For any thread."""
        self._points_every = every

    def counters(self) -> Dict[str, int]:
        return {"skipped": self._skipped}

    def close(self) -> None:
        for runner in self.runners:
            runner.close()


def _along_ray(sight: Sight, seen: np.ndarray) -> Optional[np.ndarray]:
    """The rotation of a head that is seen so along its line of sight, which is known once it is placed."""
    translation = sight.translation(seen)
    return None if translation is None else _view(translation).dot(seen)


def _view(translation: Iterable[float]) -> np.ndarray:
    """Head rotation by which a head there differs from one that is seen the same on the optical axis."""
    return rot.toward(translation) * HEAD_AXES
