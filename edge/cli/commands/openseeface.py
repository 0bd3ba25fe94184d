"""`nanoface openseeface`: takes the command line of OpenSeeFace's facetracker.py, and runs as `nanoface run` does."""
import os
import re
from typing import Any, Dict, List, TextIO

from edge.cli.command import Command
from edge.cli.foreign import (
    INTEGER,
    LARGEST,
    OF_RUN,
    SHARE,
    SWITCH,
    Word,
    add_words,
    as_film,
    left_out,
    number,
    output_text,
    run_noted,
)
from edge.cli.options import Setting, add, add_config
from edge.cli.parser import ArgumentParser, shown
from edge.core.errors import ConfigError
from edge.core.roles import MOST_TRACKED, OFF
from edge.core.rules import parse_address
from edge.outputs.kinds import KINDS

WIDTH, HEIGHT, FPS = 640, 360, 24  # what OpenSeeFace asks a camera for by itself
MEANT = (
    Word("-i --ip", "HOST", str, "where the program runs that receives it (127.0.0.1)"),
    Word("-p --port", "N", number(int, 1, 65535), "its port (11573)"),
    Word("-c --capture", "SPEC", str, "a camera's number, a film, or whatever nanoface run takes as a source (0)"),
    Word("-W --width", "N", number(int, 16, 16384), "asked of a camera ({})".format(WIDTH)),
    Word("-H --height", "N", number(int, 16, 16384), "asked of a camera ({})".format(HEIGHT)),
    Word("-F --fps", "N", number(int, 0, 1000), "asked of a camera ({}; 0: its own)".format(FPS)),
    Word("-M --mirror-input", "", None, "flip the picture before tracking"),
    Word("-t --threshold", "X", SHARE, "presence below which a face is lost (tracking.presence)"),
    Word("-d --detection-threshold", "X", SHARE, "score from which a detection is a face (tracking.detect_score)"),
    Word("-v --visualize", "N", SWITCH, "1 or more: open a live picture"),
    Word("-s --silent", "N", SWITCH, "1: print nothing but errors"),
    Word("--faces", "N", number(int, 1, LARGEST), "faces tracked at once (1), {} at most".format(MOST_TRACKED)),
    Word("--scan-every", "N", INTEGER, "frames between two looks for more faces"),
    Word("--discard-after", "N", INTEGER, "frames for which a lost face is waited for (10)"),
    Word("--max-feature-updates", "S", number(float, 0, 1e7), "seconds for which the usual face is learnt (900; 0: always)"),
    Word("--video-out", "FILE", str, "the film with what was found, as MP4"),
    Word("--log-data", "FILE", str, "OpenSeeFace's table, with a name for each column"),
    Word("--gaze-tracking", "N", SWITCH, "0: no irises"),
    Word("--face-id-offset", "N", INTEGER, "added to the number of each face"),
    Word("--repeat-video", "N", SWITCH, "1: start a film again at its end"),
    Word("-l --list-cameras", "N", SWITCH, "1: list the cameras and end; 2: their names alone"),
    Word("-a --list-dcaps", "N", number(int, -1, LARGEST), "list what camera N can do and end; -1: all of them"),
    Word("--raw-rgb", "N", SWITCH, "told: frames from standard input need GStreamer"),
    Word("--benchmark", "N", SWITCH, "told: that is nanoface bench"),
)
# taken and left out; the last row is of older versions, whose guides are still followed
LEFT_OUT = (
    Word("-m --max-threads", "N", INTEGER, ""), Word("-P --pnp-points", "N", INTEGER, ""),
    Word("--scan-retinaface", "N", INTEGER, ""), Word("--no-3d-adapt", "N", INTEGER, ""), Word("--try-hard", "N", INTEGER, ""),
    Word("--video-scale", "N", number(int, 1, 4), ""), Word("--video-fps", "X", number(float, 0, LARGEST), ""),
    Word("--log-output", "FILE", str, ""), Word("--model", "N", number(int, -3, 4), ""), Word("--model-dir", "DIR", str, ""),
    Word("--dump-points", "FILE", str, ""), Word("--use-dshowcapture", "N", INTEGER, ""),
    Word("--blackmagic-options", "TEXT", str, ""), Word("--priority", "N", number(int, 0, 5), ""),
    Word("-D --dcap", "N", INTEGER, ""), Word("-B --blackmagic", "N", INTEGER, ""),
    Word("--use-escapi", "N", INTEGER, ""), Word("--high-quality-3d", "N", INTEGER, ""),
    Word("--smooth-rotation", "N", INTEGER, ""), Word("--smooth-translation", "N", INTEGER, ""),
)


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface openseeface", "Take the place of OpenSeeFace's facetracker.py: its options, its packets.",
        "nanoface openseeface -c 0 -W 1280 -H 720 --discard-after 0 --scan-every 0\n"
        "nanoface openseeface -c 0 --ip 192.0.2.7 --port 11573 --faces 1")
    parser.usage = "nanoface openseeface [OPTION ...]"
    add_words(parser.add_argument_group("OpenSeeFace's options"), MEANT)
    add_words(parser.add_argument_group("taken, and left out: there is nothing here that they would change"), LEFT_OUT)
    add(parser.add_argument_group("of nanoface run"), OF_RUN)
    add_config(parser)
    return parser


def take(args: Any) -> None:
    """Translates the words into settings, the run's own after them, and `notes`. Raises ConfigError."""
    for name, cure in (
        ("raw_rgb", "pipe frames in through GStreamer, where OpenCV has it: -c 'gst:fdsrc ! rawvideoparse format=rgb width={} "
                    "height={} framerate={}/1 ! videoconvert'".format(args.width or WIDTH, args.height or HEIGHT,
                                                                      args.fps or FPS)),
        ("benchmark", "nanoface bench measures the networks"),
    ):
        if getattr(args, name):
            raise ConfigError("--{}: {}".format(name.replace("_", "-"), cure))
    args.notes = left_out(args, LEFT_OUT)
    args.quiet = bool(args.silent)
    own = args.settings or []
    args.settings = _source(args) + _tracked(args) + _outputs(args)
    if args.visualize or not any(s.key == "outputs" and "window" in "".join(s.value) for s in own):
        args.settings.append(Setting("output.window", bool(args.visualize), "--visualize"))
    args.settings += own


def _source(args: Any) -> List[Setting]:
    """A camera is asked for a size and rate; films keep theirs, as with OpenSeeFace."""
    spec = "0" if args.capture is None else args.capture
    if not spec.strip():
        raise ConfigError("--capture: a word is empty: is a variable not set?")
    camera = re.match(r"\s*[0-9]+\s*\Z|/dev/video|/dev/v4l/|csi://", spec)
    film = not camera and (spec.startswith("file://") or not re.match(r"[a-zA-Z+]+://|gst:", spec))
    values: Dict[str, Any] = {"spec": spec}
    if camera:
        fps = FPS if args.fps is None else args.fps
        values.update(width=args.width or WIDTH, height=args.height or HEIGHT, **({"fps": fps} if fps else {}))
    if args.mirror_input:
        values["flip"] = "horizontal"
    if args.repeat_video and film:
        values["loop"] = True
    spelled = {"spec": "--capture", "flip": "--mirror-input", "loop": "--repeat-video"}
    return [Setting("source." + key, value, spelled.get(key, "--" + key)) for key, value in values.items()]


def _tracked(args: Any) -> List[Setting]:
    fps, faces = float(args.fps or FPS), args.faces or 1
    if faces > MOST_TRACKED:
        args.notes.append("--faces {}: {} are tracked, which is the most".format(faces, MOST_TRACKED))
    lost = 10 if args.discard_after is None else max(0, args.discard_after)
    found = [Setting("tracking.max_faces", min(faces, MOST_TRACKED), "--faces"),
             Setting("tracking.lost_after_s", min(3600.0, lost / fps), "--discard-after")]
    scan = None if args.scan_every is None else min(3600.0, max(0, args.scan_every) / fps)
    for key, value, spelled in (("presence", args.threshold, "--threshold"),
                                ("detect_score", args.detection_threshold, "--detection-threshold"),
                                ("refresh_s", scan, "--scan-every")):
        if value is not None:
            found.append(Setting("tracking." + key, value, spelled))
    if args.gaze_tracking == 0:
        found.append(Setting("models.iris", [OFF], "--gaze-tracking"))
    return found


def _outputs(args: Any) -> List[Setting]:
    host = "127.0.0.1" if args.ip is None else args.ip.strip()
    host = "[{}]".format(host) if ":" in host and not host.startswith("[") else host
    port = args.port or KINDS["openseeface"].port
    try:
        if not host:
            raise ValueError("a host is missing")
        address = parse_address("{}:{}".format(host, port))
    except ValueError as e:
        raise ConfigError("--ip {}: {}".format(shown(args.ip), e))
    keys = [("face_id_offset", args.face_id_offset), ("freeze_s", args.max_feature_updates)]
    given = "&".join("{}={}".format(key, value) for key, value in keys if value is not None)
    found = [("--ip", "openseeface://{}{}".format(address.text, given and "?" + given))]
    if args.log_data:
        found.append(("--log-data", output_text("openseeface-csv", args.log_data, given, "face_id_offset=0")))
    if args.video_out:
        found.append(("--video-out", "video:" + as_film("--video-out", args.video_out, args.notes)))
    return [Setting("outputs", [text], spelled) for spelled, text in found]


def run(args: Any, out: TextIO) -> int:
    if args.list_cameras or args.list_dcaps is not None:
        args.list_cameras = args.list_cameras or 0
        return _list_cameras(args, out)
    return run_noted(args, out)


def _list_cameras(args: Any, out: TextIO) -> int:
    """As `nanoface doctor` knows them."""
    from edge.doctor.cameras import check_cameras
    from edge.doctor.machine import OK, Machine

    lines, wanted = [], args.list_dcaps
    for finding in check_cameras(Machine(os.environ)):
        number = "".join(re.findall(r"\A/dev/video([0-9]+)", finding.text))
        if wanted is None and finding.state == OK:
            name = finding.text.partition(": ")[2].partition("; ")[0]
            lines.append(name if args.list_cameras > 1 else "{}: {}".format(number, name))
        elif str(wanted) in ("None", "-1", number) and args.list_cameras < 2:
            lines.append("; ".join(part for part in (finding.text, finding.cure) if part))
    if not lines and wanted is not None:
        raise ConfigError("--list-dcaps {}: there is no such camera; -1 lists all".format(wanted))
    out.write("".join(line + "\n" for line in lines))
    return 0


OPENSEEFACE = Command(make_parser, run, check=take, takes_signals=True)
