"""Options that set keys of the configuration, and the groups of them that several commands take."""
import argparse
import os
import re
import sys
from contextlib import ExitStack
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from edge.cli.parser import ArgumentParser, shown
from edge.config.rules import RULES, no_such_key
from edge.core.errors import ConfigError
from edge.core.roles import ALIGN, DETECT, NETWORKS
from edge.host import console
from edge.host.stop import interrupted_by_signals

DEMO = "portrait"


class Setting(NamedTuple):
    """What the command line sets: a dotted key, its value as YAML would give it, and the option as it was typed."""

    key: str
    value: Any
    spelled: str


class Option(NamedTuple):
    """An option that sets one key. `value` None: it takes a value, else it sets this one, unless one of `words` follows."""

    flag: str
    key: str
    metavar: str
    text: str
    value: Any = None
    words: Tuple[str, ...] = ()
    also: Tuple[str, ...] = ()  # other spellings


SOURCE_OPTIONS = (
    Option("--fps", "source.fps", "N", "frames per second asked of a camera, or instead of a file's own"),
    Option("--flip", "source.flip", "HOW", "none, horizontal, vertical or both"),
    Option("--rotate", "source.rotate", "DEG", "turn clockwise by 0, 90, 180 or 270 degrees"),
    Option("--loop", "source.loop", "", "start a file again at its end", True),
    Option("--start", "source.start_s", "S", "start a file at this second"),
    Option("--end", "source.end_s", "S", "end a file at this second"),
    Option("--sequence", "source.sequence", "", "pictures are one recording: track through them", True),
    Option("--strict", "source.strict", "", "exit code 3 where frames or pictures of a file could not be read", True),
    Option("--wait", "source.wait", "", "wait for a camera or stream that is not there yet", True),
    Option("--tls", "source.tls", "HOW", "of https:// and rtsps://: verify, or insecure"),
    Option("--max-frames", "source.max_frames", "N", "stop after so many frames"),
    Option("--boxes", "source.boxes", "FILE", "SSI stream of the face's box in a film, instead of a detector"),
    Option("--fov", "camera.fov_deg", "DEG", "horizontal field of view of the camera (60)"),
    Option("--intrinsics", "camera.intrinsics", "FILE", "JSON of a calibrated camera: fx fy cx cy width height"),
)
PACE_OPTIONS = (
    Option("--every-frame", "source.pace", "", "track each frame of a file (the default)", "every-frame"),
    Option("--realtime", "source.pace", "", "play a file at its own pace and drop frames like a camera", "realtime"),
)
NETWORK_OPTIONS = (
    Option("--detector", "models.detect", "NAME", ", ".join(NETWORKS[DETECT])),
    Option("--detector-scale", "models.detector_scale", "S", "the detector sees the frame resized by S, such as 0.4 or 1"),
    Option("--aligner", "models.align", "NAME", ", ".join(NETWORKS[ALIGN]), also=("--align",)),
    Option("--pose", "models.pose", "NAME", "mb05, or none: no head pose"),
    Option("--iris", "models.iris", "NAME", "iris_landmark, or none: no iris, blink or gaze"),
    Option("--detector-like", "models.detect_like", "NAME", "of an .onnx or .xml of your own in its place: the network "
           "of ours whose tensors it takes and gives, or ssd300x7"),
    Option("--aligner-like", "models.align_like", "NAME", "the same of the aligner", also=("--align-like",)),
    Option("--pose-like", "models.pose_like", "NAME", "the same of the pose"),
    Option("--iris-like", "models.iris_like", "NAME", "the same of the irises"),
    Option("--runtime", "models.runtime", "NAME", "auto, openvino, onnxruntime or tensorrt"),
)
TRACKING_OPTIONS = (
    Option("--max-faces", "tracking.max_faces", "N", "faces tracked at once, 1 to 16"),
    Option("--profile", "neutral.profile", "NAME", "the resting face that was taken under this name, or none"),
    Option("--smoothing", "smoothing.kind", "KIND", "one_euro, or mean: of the frames around each, which delays outputs"),
    Option("--n-pre", "smoothing.n_pre", "N", "of the mean: frames before each (1)", also=("-n_pre",)),
    Option("--n-next", "smoothing.n_next", "N", "of the mean: frames behind each, and so the delay (1)", also=("-n_next",)),
    Option("--no-smoothing", "smoothing.enabled", "", "values as measured in each frame", False),
    Option("--workers", "pipeline.workers", "GROUPS", 'threads, such as "detect+align | pose+iris+express"'),
)


class _Put(argparse.Action):
    """Appends what its option sets to `settings`, in the order of the command line."""

    def __init__(self, option: Option, **rest: Any) -> None:
        nargs = None if option.value is None else "?" if option.words else 0
        super().__init__(nargs=nargs, metavar=option.metavar or None, help=option.text, **rest)
        self.option, self.words = option, option.words

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Optional[str] = None) -> None:
        option = self.option
        value = RULES[option.key].from_text(values) if isinstance(values, str) else option.value
        _append(namespace, Setting(option.key, value, option_string or option.flag))


class _PutSource(argparse.Action):
    """Several pictures, as a shell expands *.jpg, become one list."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Optional[str] = None) -> None:
        _append(namespace, _source(values))


def _source(words: Sequence[str]) -> Setting:
    return Setting("source.spec", words[0] if len(words) == 1 else list(words), "--source")


class _PutSize(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Optional[str] = None) -> None:
        size = re.match(r"^([0-9]{1,6})[xX]([0-9]{1,6})$", values)
        if size is None:
            raise ConfigError("--size {}: write WIDTHxHEIGHT, such as 640x480".format(shown(values)))
        for key, digits in zip(("source.width", "source.height"), size.groups()):
            _append(namespace, Setting(key, int(digits), "--size"))


class _PutKey(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Optional[str] = None) -> None:
        key, equals, text = values.partition("=")
        key = key.strip()
        if not equals:
            raise ConfigError("--set {}: write KEY=VALUE, such as tracking.max_faces=2".format(shown(values)))
        if key not in RULES:
            raise ConfigError("--set: " + no_such_key(key))
        _append(namespace, Setting(key, RULES[key].from_text(text), "--set"))


def _append(namespace: Any, setting: Setting) -> None:
    namespace.settings = (getattr(namespace, "settings", None) or []) + [setting]


def take_source(args: argparse.Namespace) -> None:
    """Words that stand alone set what --source sets. Raises ConfigError where both are there."""
    values = [setting.value for setting in args.settings or () if setting.spelled == "--source"]
    named = [value if isinstance(value, str) else " ".join(value) for value in values]
    if args.names and named:
        raise ConfigError("{} and --source {} both name a source: leave one out; pictures stand together, as in --source "
                          "a.jpg b.jpg".format(shown(args.names[0]), shown(named[0])))
    if args.names:
        _append(args, _source(args.names))


def is_source(word: str) -> bool:
    """Whether a word that is no command looks like a source. A path that does not exist does, too: its error is clearer."""
    return bool(re.search(r"[./:*?\[,~]|^\d+$", word)) or word.lower() == DEMO or os.path.lexists(word)


def overrides_of(settings: Optional[Sequence[Setting]]) -> Tuple[Dict[str, Any], Dict[str, str]]:
    """Values by dotted key and the options that gave them, as load_config takes them. The last wins; outputs add up."""
    values: Dict[str, Any] = {}
    spelled: Dict[str, str] = {}
    for key, value, option in settings or ():
        values[key] = values.get(key, []) + value if key == "outputs" else value
        spelled[key] = option
    return values, spelled


def add(group: Any, options: Sequence[Option]) -> None:
    for option in options:
        group.add_argument(option.flag, *option.also, dest="settings", action=_Put, option=option)


def add_source(parser: ArgumentParser, alone: bool = False) -> None:
    """`alone`: words without an option are the source, too; see take_source."""
    if alone:
        parser.add_argument("names", nargs="*", metavar="SOURCE", help="what --source takes; one of the two")
    group = parser.add_argument_group("source")
    group.add_argument(
        "--source", dest="settings", action=_PutSource, nargs="+", metavar="SPEC",
        help="a camera (0, /dev/video0, csi://0), a video, pictures, a folder, rtsp://..., gst:PIPELINE, record:FILE, or "
        "portrait (the built-in demo); without it $NANOFACE_SOURCE, else the first camera that opens")
    group.add_argument("--size", dest="settings", action=_PutSize, metavar="WxH", help="such as 640x480")
    add(group, SOURCE_OPTIONS)
    add(group.add_mutually_exclusive_group(), PACE_OPTIONS)


def add_config(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("configuration")
    group.add_argument("--config", metavar="FILE",
                       help="YAML; else $NANOFACE_CONFIG, else ~/.config/nanoface.yaml, else /etc/nanoface.yaml")
    group.add_argument("--set", dest="settings", action=_PutKey, metavar="KEY=VALUE",
                       help="any key of the configuration, such as tracking.presence=0.6; may be repeated")
    group.add_argument("--verbose", action="store_true", help="log to standard error, and trace an internal error")


def config_of(args: Any) -> Any:
    """The edge.config.load.Config that the words of a command make. Raises ConfigError."""
    from edge.config.file import choose_file
    from edge.config.load import load_config
    from edge.host.reading import is_pipe

    overrides, spelled = overrides_of(args.settings)
    user_file = choose_file(args.config, os.environ)
    with ExitStack() as stack:
        if user_file and is_pipe(user_file.path):  # and maybe nobody writes into it
            stack.enter_context(interrupted_by_signals(console.on(sys.stderr).hush))
        return load_config(args.config, overrides, os.environ, spelled)
