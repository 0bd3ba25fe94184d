"""OpenSeeFace's table of its data, for programs that read that; with a name for each column, which its own lacks of 18."""
from typing import Any, List

from edge.core import clock
from edge.core.contracts import Output
from edge.geometry.rotation import log
from edge.outputs.files.file import LineFile
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.openseeface.features import NAMES
from edge.outputs.live.openseeface.output import make_encoder
from edge.outputs.live.openseeface.packet import WireFace
from edge.outputs.live.openseeface.points import LANDMARKS, POINTS_3D

END = "\r\n"
COLUMNS = (["Frame", "Time", "Width", "Height", "FPS", "Face", "FaceID", "RightOpen", "LeftOpen", "AverageConfidence",
            "Success3D", "PnPError"]
           + ["{}.{}".format(name, axis) for name, axes in (("RotationQuat", "XYZW"), ("Euler", "XYZ"), ("RVec", "XYZ"),
                                                            ("TVec", "XYZ")) for axis in axes]
           + ["Landmark[{}].{}".format(i, part) for i in range(LANDMARKS) for part in ("X", "Y", "Confidence")]
           + ["Point3D[{}].{}".format(i, axis) for i in range(POINTS_3D) for axis in "XYZ"] + list(NAMES))


class OpenSeeFaceTable(Output):
    """A row for each face; none for a frame without one."""

    fatal = True
    landmarks = True

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        self.name, self.blocking = spec.text, options.blocking
        self._fps = options.fps
        self._encoder = make_encoder(spec, options)
        self._file = LineFile(spec, ",".join(COLUMNS) + END)

    def open(self) -> None:
        self._file.open()

    def emit(self, item: Any) -> None:
        wall_s = clock.wall() - (clock.monotonic() - item["captured_at"])
        frame = [item["frame"] + 1, wall_s] + list(item["size"]) + [self._fps() or 0]
        rows = [frame + [i] + _row(face) for i, face in enumerate(self._encoder.faces(item))]
        if rows:
            self._file.write("".join(",".join(map(str, row)) + END for row in rows))

    def close(self) -> None:
        self._file.close()


make = OpenSeeFaceTable


def _row(face: WireFace) -> List[Any]:
    pose = face.pose
    turn = list(log(pose.turned)) if pose.success else [0.0] * 3
    marks = [number for (x, y), c in zip(face.landmarks.tolist(), face.confidence.tolist()) for number in (x, y, c)]
    return ([face.id, face.eye_open[0], face.eye_open[1], float(face.confidence[:LANDMARKS - 2].mean()), pose.success,
             pose.error_px] + list(pose.quaternion) + list(pose.euler) + turn + list(pose.translation) + marks
            + face.points.ravel().tolist() + face.features.tolist())
