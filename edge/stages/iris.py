"""Where the irises are and what the lids do: both eyes of a face in one batch."""
import math
from typing import Dict, Optional

from edge.core.contracts import Runner, Stage
from edge.core.packet import LEFT_OUT, Eyes, Face, Iris, Packet
from edge.models.iris_landmark import EyePoints, IrisLandmark

NONSENSE = "the network's answer is no eye"
MIN_EYE_PX = 6.0  # distance of the eye's corners below which an iris is a pixel or two


class IrisStage(Stage):
    """Fills `irises` and `eye_contours`, on every `every`-th frame: a knob that may be turned from another thread."""

    name = "iris"

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
            return packet.with_faces(tuple(
                face.without("iris", LEFT_OUT).without("eye_contours", LEFT_OUT) for face in packet.faces))
        return packet.with_faces(tuple(self._with_irises(packet, face) for face in packet.faces))

    def _with_irises(self, packet: Packet, face: Face) -> Face:
        if face.landmarks is None:
            return face.without("iris", "no landmarks")
        rois = self._network.rois(face.landmarks)
        if min(roi.size for roi in rois) < MIN_EYE_PX * 2.3:
            return face.without("iris", "the eyes are too small in the picture")
        crops = self._network.crops(rois)
        seen = self._network.decode(self._runner.submit(packet.frame.image, crops).result(), crops)
        if seen is None:
            return face.without("iris", NONSENSE).without("eye_contours", NONSENSE)
        irises = Eyes(_circle(seen.right), _circle(seen.left))
        return face._replace(irises=irises, eye_contours=Eyes(seen.right.contour, seen.left.contour))

    def close(self) -> None:
        self._runner.close()

    def counters(self) -> Dict[str, int]:
        return {"skipped": self._skipped}


def _circle(eye: EyePoints) -> Optional[Iris]:
    """The limbus from its centre and four points; the score is how well the four agree on one radius."""
    (x, y), limbus = eye.iris[0].tolist(), eye.iris[1:].tolist()
    radii = [math.hypot(a - x, b - y) for a, b in limbus]
    radius = sum(radii) / len(radii)
    if not math.isfinite(radius) or radius <= 0.0:
        return None
    spread = math.sqrt(sum((r - radius) ** 2 for r in radii) / len(radii))
    return Iris(eye.iris[0], radius, max(0.0, 1.0 - spread / radius))
