"""The words of the command line: the options of each command, and what they set in the configuration."""
import argparse
import re
from typing import Any, Dict, NamedTuple, NoReturn, Optional, Sequence, Tuple

from edge import __version__
from edge.configrules import NETWORKS, RULES, nearest, no_such_key
from edge.errors import ConfigError

COMMANDS = {
    "run": "track faces in a camera, video, pictures or stream",
    "status": "show what a running tracker does",
    "models": "list, fetch or check the networks",
    "bench": "measure the pipeline and each network alone",
    "doctor": "say what this machine has, and the cure for what is missing",
}
MODELS_ACTIONS = ("list", "fetch", "check")
MOST_BENCH_FRAMES = 100  # they are decoded up front and held in memory


class Setting(NamedTuple):
    """One wish of the command line: a dotted key, its value as YAML would give it, and the option as it was typed."""

    key: str
    value: Any
    spelled: str


class Option(NamedTuple):
    """An option that sets one key. `value` None: it takes a word, else the option stands for that value."""

    flag: str
    key: str
    metavar: str
    text: str
    value: Any = None


SOURCE_OPTIONS = (
    Option("--fps", "source.fps", "N", "frames per second asked of a camera, or instead of a file's own"),
    Option("--flip", "source.flip", "HOW", "none, horizontal, vertical or both"),
    Option("--rotate", "source.rotate", "DEG", "turn clockwise by 0, 90, 180 or 270 degrees"),
    Option("--loop", "source.loop", "", "start a file again at its end", True),
    Option("--start", "source.start_s", "S", "start a file at this second"),
    Option("--end", "source.end_s", "S", "end a file at this second"),
    Option("--sequence", "source.sequence", "", "pictures are one recording: track through them", True),
    Option("--max-frames", "source.max_frames", "N", "stop after so many frames"),
    Option("--fov", "camera.fov_deg", "DEG", "horizontal field of view of the camera (60)"),
    Option("--intrinsics", "camera.intrinsics", "FILE", "JSON of a calibrated camera: fx fy cx cy width height"),
)
PACE_OPTIONS = (
    Option("--every-frame", "source.pace", "", "track each frame of a file (the default)", "every-frame"),
    Option("--realtime", "source.pace", "", "play a file at its own pace and drop frames like a camera", "realtime"),
)
NETWORK_OPTIONS = (
    Option("--detector", "models.detect", "NAME", ", ".join(NETWORKS["detect"])),
    Option("--aligner", "models.align", "NAME", ", ".join(NETWORKS["align"])),
    Option("--pose", "models.pose", "NAME", "mb05, or none: no head pose"),
    Option("--iris", "models.iris", "NAME", "iris_landmark, or none: no iris, blink or gaze"),
    Option("--runtime", "models.runtime", "NAME", "auto, openvino, onnxruntime or tensorrt"),
)
TRACKING_OPTIONS = (
    Option("--max-faces", "tracking.max_faces", "N", "faces tracked at once, 1 to 4"),
    Option("--no-smoothing", "smoothing.enabled", "", "values as measured in each frame", False),
    Option("--workers", "pipeline.workers", "GROUPS", 'threads, such as "detect+align | pose+iris+express"'),
)
OUTPUT_OPTIONS = (
    Option("--output", "outputs", "KIND:TARGET", "jsonl:PATH, csv:PATH, video:PATH.mp4, images:FOLDER, image:PATH.jpg, "
           "window; - is standard output; may be repeated"),
    Option("--landmarks", "output.landmarks", "", "write the 468 points too", True),
    Option("--mirror", "output.mirror", "", "show pictures as in a mirror; left and right stay the subject's", True),
    Option("--status", "status.path", "PATH", "the status log; none writes no log"),
    Option("--status-interval", "status.interval_s", "S", "seconds between two status records (5)"),
)


class Words(argparse.ArgumentParser):
    """Takes no abbreviations, and reports a wrong word as ConfigError instead of leaving the process."""

    def __init__(self, prog: str, text: str, example: str) -> None:
        super().__init__(
            prog=prog, description=text, epilog="example:\n  " + "\n  ".join(example.split("\n")),
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        raise ConfigError("{}; see {} --help".format(message, self.prog))

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Raises ConfigError; --help and --version raise SystemExit. `names` takes words wherever they stand."""
        args, unknown = self.parse_known_args(list(words))
        if "names" in args:  # argparse ends a list of words at the first option behind it
            args.names += [word for word in unknown if not word.startswith("-")]
            unknown = [word for word in unknown if word.startswith("-")]
        if unknown:
            self.error("{} is unknown{}".format(unknown[0], self._meant(unknown[0])))
        return args

    def _meant(self, word: str) -> str:
        options = self._option_string_actions
        if not word.startswith("-"):
            return ", did you mean --source {}?".format(word) if "--source" in options else ""
        near = nearest(word.split("=")[0], options)
        return ", did you mean {}?".format(near) if near else ""


class _Put(argparse.Action):
    """Appends what its option sets to `settings`, in the order of the command line."""

    def __init__(self, option: Option, **rest: Any) -> None:
        words = None if option.value is None else 0
        super().__init__(nargs=words, metavar=option.metavar or None, help=option.text, **rest)
        self.option = option

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Optional[str] = None) -> None:
        option = self.option
        value = RULES[option.key].from_text(values) if option.value is None else option.value
        _append(namespace, Setting(option.key, value, option.flag))


class _PutSource(argparse.Action):
    """Several pictures, as a shell expands *.jpg, become one list."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Optional[str] = None) -> None:
        _append(namespace, Setting("source.spec", ",".join(values), "--source"))


class _PutSize(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Optional[str] = None) -> None:
        size = re.match(r"^([0-9]{1,6})[xX]([0-9]{1,6})$", values)
        if size is None:
            raise ConfigError("--size {}: write WIDTHxHEIGHT, such as 640x480".format(values))
        for key, digits in zip(("source.width", "source.height"), size.groups()):
            _append(namespace, Setting(key, int(digits), "--size"))


class _PutKey(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Optional[str] = None) -> None:
        key, equals, text = values.partition("=")
        key = key.strip()
        if not equals:
            raise ConfigError("--set {}: write KEY=VALUE, such as tracking.max_faces=2".format(values))
        if key not in RULES:
            raise ConfigError("--set: " + no_such_key(key))
        _append(namespace, Setting(key, RULES[key].from_text(text), "--set"))


def _append(namespace: Any, setting: Setting) -> None:
    namespace.settings = (getattr(namespace, "settings", None) or []) + [setting]


def overrides_of(settings: Optional[Sequence[Setting]]) -> Tuple[Dict[str, Any], Dict[str, str]]:
    """Values by dotted key and the options that gave them, as load_config takes them. The last wins; outputs add up."""
    values: Dict[str, Any] = {}
    spelled: Dict[str, str] = {}
    for key, value, option in settings or ():
        values[key] = values.get(key, []) + value if key == "outputs" else value
        spelled[key] = option
    return values, spelled


def _add(group: Any, options: Sequence[Option]) -> None:
    for option in options:
        group.add_argument(option.flag, dest="settings", action=_Put, option=option)


def _add_source(words: Words) -> None:
    group = words.add_argument_group("source")
    group.add_argument(
        "--source", dest="settings", action=_PutSource, nargs="+", metavar="SPEC",
        help="a camera (0, /dev/video0, csi://0), a video, pictures, a folder, rtsp://..., gst:PIPELINE, or portrait "
        "(the built-in demo); without it the first camera that opens")
    group.add_argument("--size", dest="settings", action=_PutSize, metavar="WxH", help="such as 640x480")
    _add(group, SOURCE_OPTIONS)
    _add(group.add_mutually_exclusive_group(), PACE_OPTIONS)


def _add_config(words: Words) -> None:
    group = words.add_argument_group("configuration")
    group.add_argument("--config", metavar="FILE", help="YAML; else $NANOFACE_CONFIG, else /etc/nanoface.yaml")
    group.add_argument("--set", dest="settings", action=_PutKey, metavar="KEY=VALUE",
                       help="any key of the configuration, such as tracking.presence=0.6; may be repeated")
    group.add_argument("--verbose", action="store_true", help="log to standard error, and trace an internal error")


def _run() -> Words:
    words = Words("nanoface run", "Track faces and write what they do.", "\n".join((
        "nanoface run --source portrait --output video:demo.mp4",
        "nanoface run --source 0 --size 640x480 --output window",
        "nanoface run --source clip.mp4 --output jsonl:clip.jsonl --landmarks",
    )))
    words.usage = "nanoface run [OPTION ...]"
    _add_source(words)
    _add(words.add_argument_group("networks (several NAMEs, in order of preference: A,B)"), NETWORK_OPTIONS)
    _add(words.add_argument_group("tracking"), TRACKING_OPTIONS)
    group = words.add_argument_group("output")
    _add(group, OUTPUT_OPTIONS)
    group.add_argument("--quiet", action="store_true", help="print nothing but errors")
    _add_config(words)
    return words


def _status() -> Words:
    words = Words("nanoface status", "Show the last record of the status log as a table.",
                  "nanoface status --follow\nnanoface status --json out/status.jsonl")
    words.add_argument("path", nargs="?", metavar="PATH", help="the status log; else that of the configuration")
    words.add_argument("--follow", action="store_true", help="go on with each new record until Ctrl-C")
    words.add_argument("--json", action="store_true", help="the record itself, one line each")
    _add_config(words)
    return words


def _models() -> Words:
    words = Words("nanoface models", "List, fetch or check the networks of $NANOFACE_HOME.",
                  "nanoface models fetch\nnanoface models fetch faceboxes rfb320\nnanoface models list")
    words.usage = "nanoface models list|fetch|check [NAME ...] [--all] [--force] [--verbose]"
    words.add_argument("names", nargs="*", metavar="NAME", help="networks; fetch without a NAME takes the default set")
    words.add_argument("--all", action="store_true", help="fetch every network that is known")
    words.add_argument("--force", action="store_true", help="fetch and convert again what is there")
    words.add_argument("--verbose", action="store_true", help="log to standard error")
    return words


def _bench() -> Words:
    words = Words("nanoface bench", "Measure the pipeline and each network alone on frames decoded up front.",
                  "nanoface bench --source portrait --rounds 3")
    words.usage = "nanoface bench [OPTION ...]"
    _add_source(words)
    _add(words.add_argument_group("networks"), NETWORK_OPTIONS)
    _add(words.add_argument_group("tracking"), TRACKING_OPTIONS)
    group = words.add_argument_group("measurement")
    group.add_argument("--frames", type=_count(MOST_BENCH_FRAMES), default=MOST_BENCH_FRAMES, metavar="N",
                       help="frames of the source, at most {}".format(MOST_BENCH_FRAMES))
    group.add_argument("--rounds", type=_count(1000), default=5, metavar="N", help="how often all of them are run (5)")
    group.add_argument("--beside", metavar="PYTHON", help="a Python that has mediapipe: measure its FaceMesh beside")
    group.add_argument("--json", action="store_true", help="the figures as JSON")
    _add_config(words)
    return words


def _doctor() -> Words:
    words = Words("nanoface doctor", "Say what this machine has, and the cure for what is missing.", "nanoface doctor")
    _add_config(words)
    return words


def _count(most: int) -> Any:
    def read(text: str) -> int:
        if not re.match(r"^[0-9]{1,9}$", text) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError("{} is not a whole number from 1 to {}".format(text, most))
        return int(text)

    return read


def _top() -> Words:
    commands = "\n".join("  {:<9}{}".format(name, text) for name, text in COMMANDS.items())
    words = Words("nanoface", "Face, head pose, gaze and blinks from a camera.\n\ncommands:\n" + commands,
                  "nanoface run --source portrait --output video:demo.mp4\nnanoface run --help")
    words.usage = "nanoface [--version] [--help] COMMAND ..."
    words.add_argument("--version", action="version", version="nanoface " + __version__)
    return words


def read_words(argv: Sequence[str]) -> argparse.Namespace:
    """The command and its options. Raises ConfigError; SystemExit after --help and --version."""
    makers = {"run": _run, "status": _status, "models": _models, "bench": _bench, "doctor": _doctor}
    top, first = _top(), argv[0] if argv else ""
    if first.startswith("-"):
        top.read([first])
    args = makers[_known(first, tuple(COMMANDS), "nanoface")]().read(argv[1:])
    args.command = first
    if first == "models":
        args.action = _known(args.names.pop(0) if args.names else "", MODELS_ACTIONS, "nanoface models")
        if args.action != "fetch" and (args.names or args.all or args.force):
            raise ConfigError("names, --all and --force go with nanoface models fetch, not with {}".format(args.action))
    return args


def _known(word: str, known: Sequence[str], before: str) -> str:
    if word in known:
        return word
    near = nearest(word, known)
    hint = "did you mean {}?".format(near) if near else "there are " + ", ".join(known)
    what = "{} {} is unknown".format(before, word) if word else "{} what? A word is missing".format(before)
    raise ConfigError("{}; {}; see {} --help".format(what, hint, before))
