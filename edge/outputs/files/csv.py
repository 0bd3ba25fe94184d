"""The frame record as a table: one row for each face, and one row with empty cells for a frame without a face.

The columns are the same whatever the frames hold. An empty cell is a value that is not known; `missing` says why. Events
that were asked for are rows of their own behind those of the frame that they were told with.
"""
import csv
import io
from typing import Any, Dict, Iterable, Iterator, List, Sequence, Tuple, Union

from edge.core.contracts import Output
from edge.core.packet import IBUG_POINTS
from edge.core.parts import SHAPES, Parts
from edge.core.records import EVENT_KEYS
from edge.face.mesh import POINTS
from edge.outputs.files.file import LineFile
from edge.outputs.kinds import OutputOptions, OutputSpec

Path = Tuple[Union[str, int], ...]  # how to get to a value in the record or in the face
Column = Tuple[str, Path]

FRAME_COLUMNS: Tuple[Column, ...] = (
    ("frame", ("frame",)),  # from 0; a gap is a dropped frame
    ("file", ("file",)),  # of a picture
    ("captured_at_s", ("captured_at",)),  # monotonic clock
    ("time_s", ("time_s",)),  # since the first frame
    ("age_ms", ("age_ms",)),  # from capture to writing
    ("width_px", ("size", 0)),
    ("height_px", ("size", 1)),
)
FACES_COLUMN = "faces"  # how many there are in this frame

FACE_COLUMNS: Tuple[Column, ...] = (
    ("id", ("id",)),
    ("score", ("score",)),
    ("box_x0_px", ("box", 0)), ("box_y0_px", ("box", 1)), ("box_x1_px", ("box", 2)), ("box_y1_px", ("box", 3)),
    # head pose: yaw > 0 toward the image's left, pitch > 0 up, roll > 0 crown to the right
    ("yaw_deg", ("pose", "yaw")), ("pitch_deg", ("pose", "pitch")), ("roll_deg", ("pose", "roll")),
    # of the head in the camera frame: x right, y down, z forward
    ("tx_mm", ("pose", "translation_mm", 0)),
    ("ty_mm", ("pose", "translation_mm", 1)),
    ("tz_mm", ("pose", "translation_mm", 2)),
    ("residual_px", ("pose", "residual_px")),
    # right and left are the subject's
    ("iris_right_x_px", ("iris", "right", "center", 0)), ("iris_right_y_px", ("iris", "right", "center", 1)),
    ("iris_right_radius_px", ("iris", "right", "radius")), ("iris_right_score", ("iris", "right", "score")),
    ("iris_left_x_px", ("iris", "left", "center", 0)), ("iris_left_y_px", ("iris", "left", "center", 1)),
    ("iris_left_radius_px", ("iris", "left", "radius")), ("iris_left_score", ("iris", "left", "score")),
    # line of sight in the head frame, both eyes and each; its unit vector in the camera frame
    ("gaze_yaw_deg", ("gaze", "yaw")), ("gaze_pitch_deg", ("gaze", "pitch")),
    ("gaze_right_yaw_deg", ("gaze", "right", "yaw")), ("gaze_right_pitch_deg", ("gaze", "right", "pitch")),
    ("gaze_left_yaw_deg", ("gaze", "left", "yaw")), ("gaze_left_pitch_deg", ("gaze", "left", "pitch")),
    ("gaze_x", ("gaze", "direction", 0)), ("gaze_y", ("gaze", "direction", 1)), ("gaze_z", ("gaze", "direction", 2)),
    # 0 shut to 1 wide open
    ("eye_open_right", ("expression", "eye_open_right")),
    ("eye_open_left", ("expression", "eye_open_left")),
    ("mouth_open", ("expression", "mouth_open")),
    # of the head from its rest in the profile in use
    ("neutral_yaw_deg", ("pose", "neutral", "yaw")), ("neutral_pitch_deg", ("pose", "neutral", "pitch")),
    ("neutral_roll_deg", ("pose", "neutral", "roll")),
)
# one for each that any network tells, so that tables of different networks have the same columns
SHAPE_COLUMNS: Tuple[Column, ...] = tuple((name, ("expression", name)) for name in SHAPES)
MISSING_COLUMN = "missing"  # "gaze: both eyes closed; iris.left: ..."
EVENT_COLUMNS: Tuple[Column, ...] = (
    ("event", ("event",)), ("event_id", ("id",)), ("event_phase", ("phase",)), ("event_face", ("face",)),
    ("event_start_s", ("start_s",)), ("event_end_s", ("end_s",)), ("event_duration_s", ("duration_s",)),
    ("event_confidence", ("confidence",)),
)
VALUES_COLUMN = "event_values"  # what is told of this kind alone: "side=left; ..."


def landmark_columns() -> Tuple[Column, ...]:
    """landmark_0_x_px, landmark_0_y_px, landmark_0_z_px, landmark_1_x_px ..."""
    points = ((i, k, axis) for i in range(POINTS) for k, axis in enumerate("xyz"))
    return tuple(("landmark_{}_{}_px".format(i, axis), ("landmarks", i, k)) for i, k, axis in points)


def landmark68_columns() -> Tuple[Column, ...]:
    """landmark68_0_x_px, landmark68_0_y_px, landmark68_1_x_px ... in iBUG's order."""
    points = ((i, k, axis) for i in range(IBUG_POINTS) for k, axis in enumerate("xy"))
    return tuple(("landmark68_{}_{}_px".format(i, axis), ("landmarks68", i, k)) for i, k, axis in points)


class CsvOutput(Output):
    """Comma-separated UTF-8 under a header whose names carry the units. Points add three columns each, the 68 two."""

    fatal = True

    def __init__(self, spec: OutputSpec, blocking: bool, parts: Parts) -> None:
        self.name, self.blocking = spec.text, blocking
        self.ask(parts)
        self._face_columns = (FACE_COLUMNS + (SHAPE_COLUMNS if parts.shapes else ())
                              + (landmark_columns() if parts.landmarks else ())
                              + (landmark68_columns() if parts.landmarks68 else ()))
        self._file = LineFile(spec, _lines([self.header()]))

    def header(self) -> List[str]:
        names = [name for name, _ in FRAME_COLUMNS] + [FACES_COLUMN]
        names += [name for name, _ in self._face_columns] + [MISSING_COLUMN]
        return names + ([name for name, _ in EVENT_COLUMNS] + [VALUES_COLUMN] if self.events else [])

    def rows(self, record: Dict[str, Any]) -> Iterator[List[Any]]:
        """One for each face, at least one where there is a frame, and one for each event; each as long as the header."""
        no_event = [""] * (len(EVENT_COLUMNS) + 1) if self.events else []
        if "frame" in record:
            frame = _values(record, FRAME_COLUMNS) + [len(record["faces"])]
            for face in record["faces"] or [{}]:
                reasons = "; ".join("{}: {}".format(key, why) for key, why in sorted(face.get("missing", {}).items()))
                yield frame + _values(face, self._face_columns) + [reasons] + no_event
        no_face = [""] * (len(self._face_columns) + 2)
        for event in record["events"] if self.events else ():
            frame = _values(record if record.get("frame") == event["frame"] else event, FRAME_COLUMNS)
            told = "; ".join("{}={}".format(key, value) for key, value in event.items() if key not in EVENT_KEYS)
            yield frame + no_face + _values(event, EVENT_COLUMNS) + [told]

    def open(self) -> None:
        self._file.open()

    def emit(self, item: Dict[str, Any]) -> None:
        self._file.write(_lines(self.rows(item)))

    def close(self) -> None:
        self._file.close()


def make(spec: OutputSpec, options: OutputOptions) -> Output:
    return CsvOutput(spec, options.blocking, options.parts)


def _lines(rows: Iterable[List[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _values(record: Any, columns: Sequence[Column]) -> List[Any]:
    return [_value(record, path) for _, path in columns]


def _value(record: Any, path: Path) -> Any:
    """What lies at `path`, or the empty cell."""
    for step in path:
        try:
            record = record[step]
        except (KeyError, IndexError):
            return ""
    return record
