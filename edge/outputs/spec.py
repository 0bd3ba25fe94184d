"""The text of `--output`: which kind of output, and where it goes."""
import difflib
import os
from typing import Dict, Iterable, List, NamedTuple, Set, Tuple

from edge.core.errors import ConfigError

STDOUT = "-"
FORMS = {
    "jsonl": "jsonl:PATH (jsonl:- is standard output)",
    "csv": "csv:PATH (csv:- is standard output)",
    "video": "video:PATH.mp4",
    "images": "images:FOLDER",
    "image": "image:PATH.jpg",
    "window": "window",
}
EXTENSIONS = {"video": (".mp4",), "image": (".jpg", ".jpeg", ".png")}
WITHOUT_TARGET = ("window",)
# extensions that a picture keeps when it is written again, and how OpenCV calls the format
FORMATS = {".jpg": ".jpg", ".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".png": ".png", ".bmp": ".bmp", ".webp": ".webp"}
LONGEST_NAME = 200  # bytes: a file system takes 255, and a part that is being written has more in its name


class OutputSpec(NamedTuple):
    """One `--output`. `target` is a path, "-" or empty; `text` is what the user wrote and what the status shows."""

    kind: str
    target: str
    text: str


def parse_output(text: str) -> OutputSpec:
    """Raises ConfigError with the form that is meant."""
    kind, colon, target = text.partition(":")
    kind = kind.strip().lower()
    if kind not in FORMS:
        raise ConfigError("--output {}: {}".format(text, _hint(kind, text, colon)))
    if kind in WITHOUT_TARGET:
        if target:
            raise ConfigError("--output {}: a {} takes no target; write it as {}".format(text, kind, FORMS[kind]))
        return OutputSpec(kind, "", text)
    if not target.strip():
        raise ConfigError("--output {}: where to? Write it as {}".format(text, FORMS[kind]))
    _check_target(kind, target, text)
    return OutputSpec(kind, target if target == STDOUT else os.path.expanduser(target), text)


def parse_outputs(texts: Iterable[str]) -> Tuple[OutputSpec, ...]:
    """All of a run's outputs. Raises ConfigError also where two of them would write over each other."""
    specs: List[OutputSpec] = []
    taken: Dict[str, str] = {}
    for text in texts:
        spec = parse_output(text)
        place = spec.target if spec.kind in WITHOUT_TARGET or spec.target == STDOUT else os.path.realpath(spec.target)
        if place in taken and place != os.devnull:
            raise ConfigError("--output {} and --output {} go to the same place".format(taken[place], text))
        taken[place] = text
        specs.append(spec)
    return tuple(specs)


class PictureNames:
    """What the annotated pictures of a run are called: as their sources, IMG_1.jpg from IMG_1.jpg; a name that is taken gets a
    number, a frame without a file has its own."""

    def __init__(self) -> None:
        self._names: Dict[str, str] = {}
        self._taken: Set[str] = set()

    def name(self, file: str, seq: int) -> str:
        if not file:
            return "{:06d}.jpg".format(seq)
        if file not in self._names:
            self._names[file] = self._new(os.path.basename(file), seq)
        return self._names[file]

    def _new(self, source: str, seq: int) -> str:
        if len(os.fsencode(source)) > LONGEST_NAME:
            source = "{:06d}".format(seq)
        stem, extension = os.path.splitext(source)
        if extension.lower() not in FORMATS:
            stem, extension = source, ".jpg"
        name, number = stem + extension, 1
        while name.lower() in self._taken:
            number += 1
            name = "{}-{}{}".format(stem, number, extension)
        self._taken.add(name.lower())
        return name


def _check_target(kind: str, target: str, text: str) -> None:
    extensions = EXTENSIONS.get(kind)
    if extensions and not target.lower().endswith(extensions):
        raise ConfigError("--output {}: the name must end in {}".format(text, " or ".join(extensions)))
    if target == STDOUT and kind == "images":
        raise ConfigError("--output {}: pictures need a folder; write it as {}".format(text, FORMS[kind]))


def _hint(kind: str, text: str, colon: str) -> str:
    """What the user may have meant: a kind misspelt, or a path whose kind shows in its extension."""
    extension = os.path.splitext(text)[1].lower()
    kinds = {".jsonl": "jsonl", ".json": "jsonl", ".csv": "csv", ".mp4": "video", ".jpg": "image", ".png": "image"}
    if not colon and extension in kinds:
        return "the kind is missing; did you mean {}:{}?".format(kinds[extension], text)
    near = difflib.get_close_matches(kind, list(FORMS), n=1, cutoff=0.5)
    if near:
        return "there is no kind {!r}; did you mean {}?".format(kind, FORMS[near[0]])
    return "unknown kind; there are " + ", ".join(FORMS.values())
