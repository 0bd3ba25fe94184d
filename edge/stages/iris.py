"""Where the irises are and what the lids do: both eyes of a face in one batch."""
from typing import Dict

from edge.core.contracts import Runner, Stage
from edge.core.packet import LEFT_OUT, Eyes, Face, Packet
from edge.core.roles import IRIS
from edge.models.iris_landmark import NONSENSE, IrisLandmark, circle

MIN_EYE_PX = 6.0  # distance of the eye's corners below which an iris is a pixel or two


class IrisStage(Stage):
    """Fills `irises` and `eye_contours`, on every `interval`-th frame, which another thread may change."""

    name = IRIS
    fills = ("irises", "eye_contours")

    def __init__(self, runner: Runner, network: IrisLandmark) -> None:
        self.runners = (runner,)
        self._runner, self._network = runner, network
        self.interval = 1
        self._frame = self._skipped = 0

    def open(self) -> None:
        self._runner.open()

    def process(self, packet: Packet) -> Packet:
        self._frame += 1
        if packet.faces and self._frame % self.interval:
            self._skipped += 1
            return packet.with_faces(tuple(_without(face, LEFT_OUT, "iris", "eye_contours") for face in packet.faces))
        return packet.with_faces(tuple(self._with_irises(packet, face) for face in packet.faces))

    def _with_irises(self, packet: Packet, face: Face) -> Face:
        if face.landmarks is None:
            return _without(face, "no landmarks", "iris")
        rois = self._network.rois(face.landmarks)
        if min(roi.size for roi in rois) < MIN_EYE_PX * 2.3:
            return _without(face, "the eyes are too small in the picture", "iris")
        crops = self._network.crops(rois)
        seen = self._network.decode(self._runner.submit(packet.frame.image, crops).result(), crops)
        if seen is None:
            return _without(face, NONSENSE, "iris", "eye_contours")
        irises = Eyes(circle(seen.right.iris), circle(seen.left.iris))
        missing = face.missing and {of: why for of, why in face.missing.items() if not of.startswith("iris.")}
        return face._replace(irises=irises, eye_contours=Eyes(seen.right.contour, seen.left.contour), steady_corners=True,
                             missing=missing)

    def close(self) -> None:
        self._runner.close()

    def counters(self) -> Dict[str, int]:
        return {"skipped": self._skipped}


def _without(face: Face, reason: str, *quantities: str) -> Face:
    """With the reason why they are not known; what a stage before this one saw stays instead."""
    if face.irises is None:
        for quantity in quantities:
            face = face.without(quantity, reason)
    return face
