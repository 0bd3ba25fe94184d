"""`nanoface pose`: yaw, pitch and roll of each face, a line each."""
import json
from typing import Any, Dict, List, NamedTuple, Optional, TextIO, Tuple

from edge.cli.command import Command
from edge.cli.options import NETWORK_OPTIONS, TRACKING_OPTIONS, Setting, add, add_config, add_source, config_of, take_source
from edge.cli.parser import ArgumentParser, count
from edge.core.errors import ConfigError, SourceError
from edge.core.roles import OFF
from edge.host import console
from edge.host.stop import Stop, stopped_by_signals

OURS, THEIRS = CONVENTIONS = ("nanoface", "3ddfa")
ANGLES = ("yaw", "pitch", "roll")
MOST_EVERY = 10 ** 6
WAIT_S = 0.2  # how soon Ctrl-C is seen while a camera gives nothing
UNSEEN = "where the head is is not known, and so not its line of sight"


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface pose", "Print yaw, pitch and roll of each face, in degrees: of pictures a line for each face, of films and\n"
        "cameras one for each frame and face. yaw > 0: the nose toward the image's left, pitch > 0: up,\n"
        "roll > 0: the crown toward the image's right. A film has its times and its tracks' numbers.",
        "nanoface pose face.jpg\nnanoface pose photos\nnanoface pose clip.mp4 --every 30 --json")
    parser.usage = "nanoface pose SOURCE ... [OPTION ...]"
    group = parser.add_argument_group("output")
    group.add_argument("--every", type=count(MOST_EVERY), default=1, metavar="N", help="of a film or camera each Nth frame")
    group.add_argument("--json", action="store_true", help="an object for each picture or frame, one line each")
    group.add_argument("--convention", choices=CONVENTIONS, default=OURS,
                       help="3ddfa: as 3DDFA_V2 prints them: along the line of sight, pitch and roll the other way")
    add_source(parser, alone=True)
    add(parser.add_argument_group("networks"), NETWORK_OPTIONS)
    add(parser.add_argument_group("tracking"), TRACKING_OPTIONS)
    add_config(parser)
    return parser


def take(args: Any) -> None:
    take_source(args)
    if not any(setting.key == "source.spec" for setting in args.settings or ()):
        raise ConfigError("nanoface pose what? Name pictures, a folder, a film or a camera, as in nanoface pose face.jpg")
    # a pose needs no irises
    args.settings = [Setting("models.iris", [OFF], "--iris")] + args.settings


class Row(NamedTuple):
    """A face."""

    number: int  # of its track; of unrelated pictures from 1 in each
    angles: Optional[Tuple[float, ...]]  # degrees
    reason: str  # where they are not known


def run(args: Any, out: TextIO) -> int:
    try:
        config = config_of(args)
    except KeyboardInterrupt:  # before it began
        return 0
    from edge.library.stream import Stream

    stop, seen = Stop(), 0
    with stopped_by_signals(stop):
        stream: Any = Stream(None, config, None, {}, args.report, False, WAIT_S)
        with stream:
            table = Table(console.on(out), stream.source.stills, args.json)
            for frame, faces in stream:
                if frame is not None and (table.stills or frame.index % args.every == 0):
                    seen += len(faces)
                    table.write(frame, rows_of(faces, args.convention, table.stills))
                if stop.is_set() or table.out.left:
                    return 0
    if not seen:
        raise SourceError("no face was found in {}".format(stream.source.name))
    return 0


def rows_of(faces: Any, convention: str, stills: bool) -> List[Row]:
    rows = []
    for place, face in enumerate(faces, 1):
        angles, reason = angles_of(face, convention)
        rows.append(Row(place if stills else face.id, angles, reason))
    return rows


def angles_of(face: Any, convention: str) -> Tuple[Optional[Tuple[float, ...]], str]:
    """Degrees, or why they are not known."""
    from edge.geometry.rotation import angles_of_3ddfa, seen_along

    pose = face.pose
    if pose is None:
        return None, face.missing.get("pose", "not known")
    if convention == OURS:
        return (pose.yaw, pose.pitch, pose.roll), ""
    if pose.translation_mm is None:
        return None, UNSEEN
    return angles_of_3ddfa(seen_along(pose.rotation, pose.translation_mm)), ""


class Table:
    """Columns of numbers that stand below each other whatever follows, the name of a file last."""

    LINE = "{:>7} {:>7} {:>7} {:>5}  {}\n"
    FRAME = "{:>7} {:>10}"

    def __init__(self, out: console.Console, stills: bool, as_json: bool) -> None:
        self.out, self.stills, self._json = out, stills, as_json
        self._begun = False

    def write(self, frame: Any, rows: List[Row]) -> None:
        """A frame without a face has a line, too."""
        if self._json:
            self.out.write(json.dumps(self._object(frame, rows)) + "\n")
            return
        if not self._begun:
            self._begun = True
            where = "file" if self.stills else self.FRAME.format("frame", "time_s")
            self.out.write(self.LINE.format(*(ANGLES + ("face", where))))
        where = frame.file if self.stills else self.FRAME.format(frame.index, "{:.3f}".format(frame.time_s))
        for row in rows or [Row(0, None, "")]:
            cells = ["{:.1f}".format(round(angle, 1) + 0.0) for angle in row.angles] if row.angles else ["-"] * len(ANGLES)
            reason = "  ({})".format(row.reason) if row.reason else ""
            self.out.write(self.LINE.format(*(cells + [row.number or "none", where + reason])))

    def _object(self, frame: Any, rows: List[Row]) -> Dict[str, Any]:
        at = {"file": frame.file} if self.stills else {"frame": frame.index, "time_s": round(frame.time_s, 6)}
        return dict(at, faces=[dict(
            {"face": row.number}, **({name: round(angle, 3) + 0.0 for name, angle in zip(ANGLES, row.angles)}
                                     if row.angles else {"missing": row.reason})) for row in rows])


POSE = Command(make_parser, run, check=take, takes_signals=True)
