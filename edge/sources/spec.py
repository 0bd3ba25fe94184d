"""The text of `--source`: which kind of source, and where it is."""
import os
import re
from typing import NamedTuple, Optional, Tuple

from edge.core.errors import ConfigError, SourceError
from edge.core.roles import FLIPS, OFF, RECORDING_SUFFIX, ROTATIONS
from edge.core.spelling import nearest
from edge.host import ffmpeg
from edge.host.process import is_tegra
from edge.sources import kinds, names
from edge.sources.live.controls import NO_CONTROLS, Controls

CAMERA, VIDEO, IMAGES, RTSP, CSI, GST, PORTRAIT = "camera", "video", "images", "rtsp", "csi", "gst", "portrait"
RECORD = "record"
LIVE_KINDS = (CAMERA, RTSP, CSI, GST)
STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")
WEBP_FILMS = (9, 0)  # the first FFmpeg that reads animated WebP

AUTO, EVERY_FRAME, REALTIME = "auto", "every-frame", "realtime"
VERIFY, INSECURE = "verify", "insecure"
MOST_PIXELS, MOST_PIXELS_ON_BOARD = 120 * 10 ** 6, 25 * 10 ** 6
THREAD, CHILD = "thread", "child"
DEMO = "use --source portrait for the built-in demo"


class SourceOptions(NamedTuple):
    """The source that is configured.

    `width`, `height`, `fps` are what a camera is asked for. A file or stream is scaled to that size (one of the two
    keeps the aspect), and `fps` replaces a file's own times. The picture is flipped first, then rotated.
    """

    spec: Optional[str] = None  # None: the first camera that opens
    tls: str = VERIFY  # of https:// and rtsps://
    ca_file: Optional[str] = None  # PEM: whom to trust instead of the system's authorities
    width: Optional[int] = None
    height: Optional[int] = None
    fps: Optional[float] = None
    flip: str = OFF
    rotate: int = 0  # degrees clockwise
    loop: bool = False
    start_s: float = 0.0  # from the file's first frame
    end_s: Optional[float] = None  # not included
    pace: str = AUTO  # of a file AUTO is every-frame
    max_pixels: Optional[int] = None  # of a picture or film; None: what suits this machine
    sequence: bool = False  # the pictures of a folder or list follow each other
    process: str = THREAD  # where a live device is read: THREAD, CHILD (a process of its own), or AUTO
    wait: bool = False  # for a live device that is not there yet
    controls: Controls = NO_CONTROLS  # of a camera

    @property
    def most_pixels(self) -> int:
        return self.max_pixels or (MOST_PIXELS_ON_BOARD if is_tegra() else MOST_PIXELS)


class Kind(NamedTuple):
    """`target` is a camera's number or device, a path, a URL, a sensor's number or a pipeline; `paths` the pictures,
    `passed` the line about other files beside them."""

    kind: str
    target: str
    paths: Tuple[str, ...] = ()
    passed: str = ""


def check(options: SourceOptions) -> None:
    """Raises ConfigError for a value that no source can have."""
    if options.flip not in FLIPS:
        raise ConfigError("flip {!r}: it must be one of {}".format(options.flip, ", ".join(FLIPS)))
    if options.rotate not in ROTATIONS:
        raise ConfigError("rotate {}: it must be {}, {}, {} or {} (degrees clockwise)".format(options.rotate, *ROTATIONS))
    if options.pace not in (AUTO, EVERY_FRAME, REALTIME):
        raise ConfigError("pace {!r}: it must be auto, every-frame or realtime".format(options.pace))
    for name, value in (("width", options.width), ("height", options.height)):
        if value is not None and not 16 <= value <= 16384:
            raise ConfigError("{} {}: it must lie between 16 and 16384 pixels".format(name, value))
    if (options.width or 0) * (options.height or 0) > options.most_pixels:
        raise ConfigError("{}x{} are more than source.max_pixels, {}: ask for less, or allow more there".format(
            options.width, options.height, options.most_pixels))
    if options.fps is not None and not 0 < options.fps <= 1000:
        raise ConfigError("fps {:g}: it must be more than 0 and at most 1000".format(options.fps))
    if not 0 <= options.start_s < float("inf"):
        raise ConfigError("start {:g} s: it must be 0 or more".format(options.start_s))
    if options.end_s is not None and not options.end_s > options.start_s:
        raise ConfigError("end {:g} s: it must lie after the start, {:g} s".format(options.end_s, options.start_s))


def check_live(options: SourceOptions, name: str) -> None:
    """Raises ConfigError where a camera or stream is asked for what only a file can do."""
    for option, given in (
        ("start", options.start_s > 0), ("end", options.end_s is not None), ("loop", options.loop),
        ("every-frame", options.pace == EVERY_FRAME),
    ):
        if given:
            raise ConfigError("--{} is for files: {} is live".format(option, name))


def classify(spec: str) -> Kind:
    """Raises SourceError for what does not exist, with the nearest name that does. A file's name is taken as it stands;
    ./0 and ./portrait are files.
    """
    text = spec.strip()
    if not text:
        raise SourceError("--source is empty: give a camera's number, a file, a folder or a URL, or " + DEMO)
    if re.match(r"^[+-]?[0-9]{1,9}$", text):
        if int(text) < 0:
            raise SourceError("--source {}: cameras are counted from 0".format(text))
        return Kind(CAMERA, str(int(text)))
    if text.startswith(("/dev/video", "/dev/v4l/")):
        return Kind(CAMERA, text)
    if text.lower() == PORTRAIT:
        return Kind(PORTRAIT, "")
    scheme = re.match(r"^([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)$", text, re.DOTALL)
    if scheme:
        return _of_scheme(scheme.group(1).lower(), scheme.group(2), text)
    if text.lower().startswith("gst:"):
        if not text[4:].strip():
            raise SourceError("--source gst: the pipeline is missing; write it as gst:videotestsrc ! videoconvert")
        return Kind(GST, text[4:].strip())
    if is_replay(spec):
        return _of_recording(spec.strip() if text.lower().startswith(RECORD + ":") else spec)
    return _of_path(spec if names.exists(os.path.expanduser(spec)) else text)


def is_replay(spec: Optional[str]) -> bool:
    """Whether it is a recorded run, by the text alone or by what the file begins with."""
    if spec is None:
        return False
    text = spec.strip().lower()
    return text.startswith(RECORD + ":") or text.endswith(RECORDING_SUFFIX) or kinds.is_recording(os.path.expanduser(spec))


def _of_recording(text: str) -> Kind:
    path = text[len(RECORD) + 1:] if text.lower().startswith(RECORD + ":") else text
    if not path.strip():
        raise SourceError("--source record: the file is missing; write it as record:run{}".format(RECORDING_SUFFIX))
    names.check_name(path)
    path = os.path.expanduser(path)
    if not names.exists(path):
        raise SourceError(names.missing(path))
    return Kind(RECORD, path)


def hides_file(spec: str) -> str:
    """The name of a file in this folder that is hidden by a camera's number or the demo's name; "" where there is none."""
    name = spec.strip()
    return name if (name.isdigit() or name.lower() == PORTRAIT) and os.path.lexists(name) else ""


def _of_scheme(scheme: str, rest: str, text: str) -> Kind:
    if scheme in STREAM_SCHEMES:
        if not rest.strip("/"):
            raise SourceError("--source {}: the address is missing".format(text))
        return Kind(RTSP, text)
    if scheme == CSI:
        sensor = rest.strip("/") or "0"
        if not re.match(r"^\d$", sensor):
            raise SourceError("--source {}: write the sensor's number, as in csi://0".format(text))
        return Kind(CSI, sensor)
    if scheme == "file":
        return _of_path(names.of_address(rest))
    known = STREAM_SCHEMES + (CSI,)
    near = nearest(scheme, known)
    meant = "did you mean {}://?".format(near) if near else "there are " + ", ".join(s + "://" for s in known)
    raise SourceError("--source {}: unknown kind of address; {}".format(text, meant))


def _of_path(text: str) -> Kind:
    names.check_name(text)
    path = os.path.expanduser(text)
    if not names.exists(path):
        return _of_several(text, path)
    if os.path.isdir(path):
        pictures, passed = names.pictures_in(path)
        return Kind(IMAGES, path, tuple(pictures), passed)
    if path.lower().endswith(".txt"):
        return Kind(IMAGES, path, tuple(names.listed(path)))
    animated = kinds.is_animated(path)
    if animated == kinds.PNG or animated == kinds.WEBP and _ffmpeg_reads_webp():
        return Kind(VIDEO, path)
    return Kind(IMAGES, path, (path,)) if kinds.is_picture_file(path) else Kind(VIDEO, path)


def _of_several(text: str, path: str) -> Kind:
    """Several names with commas between, or a pattern."""
    if "," in text:
        paths = names.split(text)
        if any(names.exists(one) or names.is_pattern(one) for one in paths):
            several = [([one], "") if names.exists(one) or not names.is_pattern(one) else names.matching(one) for one in paths]
            found = names.checked([one for each, _ in several for one in each], text)
            return Kind(IMAGES, text, tuple(found), "; ".join(passed for _, passed in several if passed))
    if not names.is_pattern(path):
        raise SourceError(names.missing(path, [PORTRAIT]))
    found, passed = names.matching(path)
    if len(found) == 1:
        return _of_path(found[0])
    return Kind(IMAGES, text, tuple(found), passed)


def _ffmpeg_reads_webp() -> bool:
    found = ffmpeg.find()
    return found is not None and found.version >= WEBP_FILMS
