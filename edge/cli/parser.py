"""What the command line is made of: words that set keys of the configuration, and errors that name the word meant."""
import argparse
import os
import re
from typing import Any, Dict, NamedTuple, NoReturn, Optional, Sequence, Tuple

from edge.config.rules import RULES, no_such_key
from edge.core.errors import ConfigError
from edge.core.spelling import nearest

DEMO = "portrait"
LONGEST_SHOWN = 60
NEVER_EMPTY = ("path", "config", "root", "beside")  # what takes one word, and no other has a look at it
ARGPARSE_SAYS = (  # its words -> ours
    (r"^argument (-[^ /]*)(/[^ ]*)?: ", r"\1: "), (r": expected (one|at least one) argument$", ": its value is missing"),
    (r": ignored explicit argument (.*)$", r": it takes no value, and \1 was given"),
    (r"not allowed with argument", "not allowed with"),
)


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
    Option("--strict", "source.strict", "", "exit code 3 where frames or pictures of a file could not be read", True),
    Option("--wait", "source.wait", "", "wait for a camera or stream that is not there yet", True),
    Option("--tls", "source.tls", "HOW", "of https:// and rtsps://: verify, or insecure"),
    Option("--max-frames", "source.max_frames", "N", "stop after so many frames"),
    Option("--fov", "camera.fov_deg", "DEG", "horizontal field of view of the camera (60)"),
    Option("--intrinsics", "camera.intrinsics", "FILE", "JSON of a calibrated camera: fx fy cx cy width height"),
)
PACE_OPTIONS = (
    Option("--every-frame", "source.pace", "", "track each frame of a file (the default)", "every-frame"),
    Option("--realtime", "source.pace", "", "play a file at its own pace and drop frames like a camera", "realtime"),
)
class ArgumentParser(argparse.ArgumentParser):
    """Takes no abbreviations, and reports a wrong word as ConfigError instead of leaving the process."""

    def __init__(self, prog: str, text: str, example: str) -> None:
        super().__init__(
            prog=prog, description=text, epilog="example:\n  " + "\n  ".join(example.split("\n")),
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        for pattern, plain in ARGPARSE_SAYS:
            message = re.sub(pattern, plain, message)
        raise ConfigError("{}; see {} --help".format(message, self.prog))

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Raises ConfigError; --help and --version raise SystemExit. `names` takes words wherever they stand, and behind --
        also those that begin with a dash."""
        takes_names = any(action.dest == "names" for action in self.entries())
        end = words.index("--") if takes_names and "--" in words else len(words)
        args, unknown = self.parse_known_args(words[:end])
        if takes_names:  # argparse ends a list of words at the first option behind it
            args.names += [word for word in unknown if not _is_option(word)] + list(words[end + 1:])
            unknown = [word for word in unknown if _is_option(word)]
        if "" in unknown or "" in [getattr(args, name, None) for name in NEVER_EMPTY] + getattr(args, "names", []):
            self.error("a word is empty: is a variable not set?")
        if unknown:
            self.error("{} is unknown{}".format(shown(unknown[0]), self._meant(unknown[0])))
        return args

    def entries(self) -> Sequence[argparse.Action]:
        """Every option, and every word that stands alone."""
        return tuple(self._actions)

    def _meant(self, word: str) -> str:
        options = self._option_string_actions
        if not word.startswith("-"):
            return ", did you mean --source {}?".format(shown(word)) if "--source" in options else ""
        near = nearest(word.split("=")[0], options)
        if not near and os.path.exists(word):
            near = os.path.join(os.curdir, word)
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
    """ArgumentParser that stand alone set what --source sets. Raises ConfigError where both are there."""
    values = [setting.value for setting in args.settings or () if setting.spelled == "--source"]
    named = [value if isinstance(value, str) else " ".join(value) for value in values]
    if args.names and named:
        raise ConfigError("{} and --source {} both name a source: leave one out; pictures stand together, as in --source "
                          "a.jpg b.jpg".format(shown(args.names[0]), shown(named[0])))
    if args.names:
        _append(args, _source(args.names))


def shown(word: str) -> str:
    """A word as an error has it: short, and visible where it is empty or has blanks."""
    short = word if len(word) <= LONGEST_SHOWN else word[:LONGEST_SHOWN] + "..."
    return short if word and not re.search(r"\s", word) else repr(short)


def is_source(word: str) -> bool:
    """Whether a word that is no command looks like a source. A path that does not exist does, too: its error tells more."""
    return bool(re.search(r"[./:*?\[,~]|^\d+$", word)) or word.lower() == DEMO or os.path.lexists(word)


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


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
        group.add_argument(option.flag, dest="settings", action=_Put, option=option)


def add_source(words: ArgumentParser, alone: bool = False) -> None:
    """`alone`: words without an option are the source, too; see take_source."""
    if alone:
        words.add_argument("names", nargs="*", metavar="SOURCE", help="what --source takes; one of the two")
    group = words.add_argument_group("source")
    group.add_argument(
        "--source", dest="settings", action=_PutSource, nargs="+", metavar="SPEC",
        help="a camera (0, /dev/video0, csi://0), a video, pictures, a folder, rtsp://..., gst:PIPELINE, or portrait "
        "(the built-in demo); without it $NANOFACE_SOURCE, else the first camera that opens")
    group.add_argument("--size", dest="settings", action=_PutSize, metavar="WxH", help="such as 640x480")
    add(group, SOURCE_OPTIONS)
    add(group.add_mutually_exclusive_group(), PACE_OPTIONS)


def add_config(words: ArgumentParser) -> None:
    group = words.add_argument_group("configuration")
    group.add_argument("--config", metavar="FILE",
                       help="YAML; else $NANOFACE_CONFIG, else ~/.config/nanoface.yaml, else /etc/nanoface.yaml")
    group.add_argument("--set", dest="settings", action=_PutKey, metavar="KEY=VALUE",
                       help="any key of the configuration, such as tracking.presence=0.6; may be repeated")
    group.add_argument("--verbose", action="store_true", help="log to standard error, and trace an internal error")


def count(most: int) -> Any:
    def read(text: str) -> int:
        if not re.match(r"^[0-9]{1,9}$", text) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError("{} is not a whole number from 1 to {}".format(text, most))
        return int(text)

    return read


def known_word(word: str, known: Sequence[str], before: str) -> str:
    if word in known:
        return word
    near = nearest(word, known)
    hint = "did you mean {}?".format(near) if near else "there are " + ", ".join(known)
    what = "{} {} is unknown".format(before, shown(word)) if word else "{} what? A word is missing".format(before)
    raise ConfigError("{}; {}; see {} --help".format(what, hint, before))
