"""The trainers that are served: what each reads and writes, and what its options change in a run."""
import posixpath
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from edge.core.spelling import did_you_mean, nearest

LIST, TEXT, BOOL = "LIST", "STRING", "BOOL"
TRUE = ("True", "true", "1")
KEY, SET = "?", "="  # how the place of an option begins: a key of the output, or one of the configuration
NUMBER = re.compile(r"[0-9]{1,9}([.][0-9]{1,9})?\Z")
# of a stream
VIDEO, BOXES, POINTS, SIX_POINTS = "video", "boxes", "points", "six points"
NOT_OF = {SIX_POINTS: ("square",)}
OUTPUT_KINDS: Dict[str, Tuple[str, Dict[str, str]]] = {
    POINTS: ("ssi", {}), BOXES: ("ssi-box", {}), SIX_POINTS: ("ssi", {"points": "blazeface"})}


class Io(NamedTuple):
    what: str  # VIDEO, BOXES, POINTS or SIX_POINTS
    type: str  # input or output
    ids: Tuple[str, ...]  # the first is that of the declaration; others stand in DISCOVER's own pages
    data: str  # as declared
    default: str
    needed: bool = True


class Option(NamedTuple):
    name: str
    form: str  # LIST, TEXT (a number) or BOOL
    default: str  # of a LIST all choices, the default first
    place: str  # KEY + name, or SET + dotted key
    values: Mapping[str, str] = {}  # what a word means there

    @property
    def usual(self) -> str:
        return self.default.split(",")[0]


class Trainer(NamedTuple):
    name: str
    create: str
    description: str
    ios: Tuple[Io, ...]
    options: Tuple[Option, ...]
    words: Tuple[str, ...] = ()  # of every run

    @property
    def optstr(self) -> str:
        return ";".join("{{{}:{}:{}}}".format(one.name, one.form, one.default) for one in self.options)

    def io(self, type_: str, id_: str) -> Any:
        """The Io that an entry of a request is about, or None."""
        return next((io for io in self.ios if io.type == type_ and id_ in io.ids), None)


TRUTH = {"True": "true", "False": "false"}
FACE = "feature;face;"
FACEMESH = Trainer("facemesh", "FaceMesh", "468 points of a face in a film", (
    Io(VIDEO, "input", ("data", "input_data"), "stream:Video", "video"),
    Io(BOXES, "input", ("bounding_box", "face_bb"), "stream:SSIStream:" + FACE + "boundingbox", "face_bounding_box", False),
    Io(POINTS, "output", ("landmarks", "output_stream"), "stream:SSIStream:" + FACE + "landmarks:facemesh", "face_mesh"),
), (
    Option("confidence", LIST, "probability,logit", KEY + "confidence"),
    Option("aligner", LIST, "face_attention,face_landmark", SET + "models.align"),
    Option("smoothing", BOOL, "False", SET + "smoothing.enabled", TRUTH),
    Option("min_score_thresh", TEXT, "0.5", SET + "tracking.detect_score"),
    Option("presence", TEXT, "0.5", SET + "tracking.presence"),
))
BLAZEFACE = Trainer("blazeface", "BlazeFace", "The box around a face in a film", (
    Io(VIDEO, "input", ("video", "data", "input_data"), "stream:Video", "video"),
    Io(BOXES, "output", ("bounding_box", "face_bb", "output_stream"), "stream:SSIStream:" + FACE + "boundingbox;blazeface",
       "face_bounding_box"),
    Io(SIX_POINTS, "output", ("landmarks",), "stream:SSIStream:" + FACE + "landmarks;blazeface", "facial_landmarks"),
), (
    Option("model", LIST, "back,front", SET + "models.detect", {"back": "blazeface_full", "front": "blazeface_short"}),
    Option("min_suppression_thresh", TEXT, "0.3", SET + "tracking.detect_overlap"),
    Option("min_score_thresh", TEXT, "0.5", SET + "tracking.detect_score"),
    Option("force_square_ar", BOOL, "True", KEY + "square", TRUTH),  # of the boxes alone
    Option("repeat_last", BOOL, "True", KEY + "repeat_last", TRUTH),
), ("--set", "tracking.follow=false", "--no-smoothing"))
TRAINERS = {one.name: one for one in (FACEMESH, BLAZEFACE)}
OWN_PREFIX = "nanoface_"  # of the file that the module writer makes
SUFFIX = ".trainer"


def find(path: str) -> Trainer:
    """By the file's name: where it lies on the asker's machine does not matter. Raises ValueError."""
    file = posixpath.basename(path.replace("\\", "/"))
    name = file[:-len(SUFFIX)].lower() if file.lower().endswith(SUFFIX) else ""
    name = name[len(OWN_PREFIX):] if name.startswith(OWN_PREFIX) else name
    if name not in TRAINERS:
        raise ValueError("Trainer file not available: {}; there are {}".format(
            path[:200], ", ".join(one + SUFFIX for one in TRAINERS)))
    return TRAINERS[name]


class Chosen(NamedTuple):
    words: List[str]  # of the command line
    keys: Dict[str, str]  # of the output
    ignored: List[str]  # a line each


def choose(trainer: Trainer, options: Mapping[str, Any]) -> Chosen:
    """What the options come to, each with its default where it is not named. Raises ValueError for a value that none takes."""
    known = [option.name for option in trainer.options]
    ignored = ["option {}: there is none here that it would change{}".format(name[:40], did_you_mean(nearest(name, known)))
               for name in options if name not in known]
    chosen = Chosen(always(trainer), {}, ignored)
    for option in trainer.options:
        given = options.get(option.name)
        value = _read(option, option.usual if given is None or given == "" else given)
        if option.place.startswith(KEY):
            chosen.keys[option.place[1:]] = value
        else:
            chosen.words.extend(("--set", "{}={}".format(option.place[1:], value)))
    return chosen


def _read(option: Option, given: Any) -> str:
    text = str(given).strip()
    if option.form == BOOL:
        text = "True" if text in TRUE else "False"
    elif option.form == LIST and text not in option.default.split(","):
        raise ValueError("option {} is {!r}; there are {}".format(option.name, text[:40], option.default.replace(",", ", ")))
    elif option.form == TEXT and not NUMBER.match(text):
        raise ValueError("option {} is {!r}, and no number".format(option.name, text[:40]))
    return option.values.get(text, text)


def output_text(what: str, path: str, keys: Mapping[str, str]) -> str:
    """An --output that writes this path, whatever stands in it; `keys`: those that its kind has count."""
    kind, own = OUTPUT_KINDS[what]
    given = dict(own, **{key: value for key, value in keys.items() if key not in NOT_OF.get(what, ())}, face="first")
    escaped = re.sub("[%&?]", lambda mark: "%{:02X}".format(ord(mark.group())), path)
    return "{}:{}?{}".format(kind, escaped, "&".join("{}={}".format(*item) for item in sorted(given.items())))


def always(trainer: Trainer) -> List[str]:
    """One face, each frame of a film from its beginning to its end, and no window or status log."""
    return ["--no-window", "--status", "none", "--max-faces", "1", "--pose", "none", "--iris", "none",
            "--set", "source.loop=false", "--set", "source.pace=every-frame"] + list(trainer.words)


def run_words(source: str, boxes: str, outputs: Sequence[str], chosen: Chosen) -> List[str]:
    """The command line of a job."""
    words = ["run", "--source", source] + chosen.words
    for text in outputs:
        words += ["--output", text]
    return words + (["--boxes", boxes] if boxes else [])
