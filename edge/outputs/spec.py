"""The text of `--output`, KIND:TARGET?key=value&key=value: which kind of output, where it goes, and its own options.

The target of a file or folder may have any character. What stands behind its last `?` are options where it looks like
them (key=value), and a key is known or there is no file of the whole name. In a target with options and in their values
%25, %26 and %3F stand for %, & and ?.
"""
import os
import re
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from edge.core.errors import ConfigError
from edge.core.roles import PICTURE_SUFFIXES
from edge.core.rules import parse_address, split_address
from edge.core.spelling import did_you_mean, nearest
from edge.outputs.kinds import (
    ADDRESS,
    ALWAYS,
    BROKER,
    EVERYWHERE,
    FILE,
    FOLDER,
    KINDS,
    NOTHING,
    PICTURES,
    STDOUT,
    TOPIC,
    WITHOUT_HOST,
    Kind,
    OutputSpec,
    form_of,
    forms,
)

KEYS = re.compile(r"(.*)\?([A-Za-z_]+=[^?]*)\Z", re.DOTALL)
ESCAPES = re.compile("%(25|26|3F)", re.IGNORECASE)
# extensions that a picture keeps when it is written again, and how OpenCV calls the format
FORMATS = {".jpg": ".jpg", ".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".png": ".png", ".bmp": ".bmp", ".webp": ".webp"}
# what no folder is meant by
NO_FOLDER = PICTURE_SUFFIXES + (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".gif")
LONGEST_NAME = 200  # bytes: a file system takes 255, and a part that is being written has more in its name


def parse_output(text: str) -> OutputSpec:
    """Raises ConfigError with the form that is meant."""
    head = re.split("[:?]", text, maxsplit=1)[0]
    name, rest = head.strip().lower(), text[len(head):]
    try:
        if name not in KINDS:
            raise ValueError(_hint(name, text, ":" in text))
        kind = KINDS[name]
        target, options = _split(rest[1:] if rest.startswith(":") else rest, kind)
        keys = {} if options is None else _read_keys(options, name, kind)
        return _read_target(OutputSpec(name, target, text, keys), kind)
    except ValueError as e:
        raise ConfigError("--output {}: {}".format(text, e))


def parse_outputs(texts: Iterable[str]) -> Tuple[OutputSpec, ...]:
    """All of a run's outputs. Raises ConfigError also where two of them would write over each other."""
    specs: List[OutputSpec] = []
    taken: Dict[Any, str] = {}
    for spec in [parse_output(text) for text in texts]:
        for place in _places(spec):
            if place in taken and place != os.devnull:
                raise ConfigError("--output {} and --output {} go to the same place{}".format(
                    taken[place], spec.text, ": both listen at {} port {}".format(*place) if place == spec.bound else ""))
            taken[place] = spec.text
        specs.append(spec)
    return tuple(specs)


class PictureNames:
    """What the annotated pictures of a run are called: as their sources, IMG_1.jpg from IMG_1.jpg; a name that is taken gets a
    number, a frame without a file has its own. `each`: what all of them end in, IMG_1.png; `suffix`: what stands before that,
    IMG_1_res.jpg."""

    def __init__(self, each: str = "", suffix: str = "") -> None:
        self._each, self._suffix = each, suffix
        self._names: Dict[str, str] = {}
        self._taken: Set[str] = set()

    def name(self, file: str, seq: int) -> str:
        if not file:
            return "{:06d}{}{}".format(seq, self._suffix, self._each or ".jpg")
        if file not in self._names:
            self._names[file] = self._new(os.path.basename(file), seq)
        return self._names[file]

    def _new(self, source: str, seq: int) -> str:
        if len(os.fsencode(source + self._suffix)) > LONGEST_NAME:
            source = "{:06d}".format(seq)
        stem, extension = os.path.splitext(source)
        if self._each:
            extension = self._each
        elif extension.lower() not in FORMATS:
            stem, extension = source, ".jpg"
        stem += self._suffix
        name, number = stem + extension, 1
        while name.lower() in self._taken:
            number += 1
            name = "{}-{}{}".format(stem, number, extension)
        self._taken.add(name.lower())
        return name


def _split(rest: str, kind: Kind) -> Tuple[str, Optional[str]]:
    """Target, and the text of its options; None where there are none."""
    if kind.target in (ADDRESS, BROKER, NOTHING):
        target, mark, options = rest.partition("?")
        return target, options if mark else None
    found = KEYS.match(rest)
    if found is None:
        return rest, None
    target, options = found.groups()
    if kind.only_suffixes and rest.lower().endswith(kind.suffixes) and not target.lower().endswith(kind.suffixes):
        return rest, None
    known = any(word.partition("=")[0] in kind.keys for word in options.split("&"))
    if not known and os.path.lexists(os.path.expanduser(rest)):
        return rest, None
    return _unescaped(target), options


def _unescaped(text: str) -> str:
    return ESCAPES.sub(lambda found: chr(int(found.group(1), 16)), text)


def _read_keys(options: str, name: str, kind: Kind) -> Dict[str, Any]:
    """Raises ValueError."""
    values: Dict[str, Any] = {}
    for word in options.split("&"):
        key, equals, text = word.partition("=")
        if key not in kind.keys:
            meant = did_you_mean(nearest(key, kind.keys))
            raise ValueError("{} has no option {!r}{}".format(name, key, meant or _known(kind)))
        rule = kind.keys[key].rule
        if not equals:
            raise ValueError("write {}={}".format(key, "|".join(rule.choices) or "VALUE"))
        if key in values:
            raise ValueError("{} is given twice".format(key))
        try:
            values[key] = rule.read(rule.from_text(_unescaped(text)))
        except ValueError as e:
            raise ValueError("{} is {!r}{}; allowed: {}".format(key, text, "; {}".format(e) if str(e) else "", rule.allowed))
    return values


def _known(kind: Kind) -> str:
    return "; it has {}".format(", ".join(kind.keys) or "none")


def _read_target(spec: OutputSpec, kind: Kind) -> OutputSpec:
    """Checked. Raises ValueError."""
    form, target = form_of(spec.kind), spec.target
    if kind.target == NOTHING:
        if target:
            raise ValueError("a {} takes no target; write it as {}".format(spec.kind, form))
        return spec
    if kind.target in (ADDRESS, BROKER):
        try:
            return _read_address(spec, kind)
        except ValueError as e:
            raise ValueError("{}; write it as {}".format(e, form))
    if not target.strip():
        standard = " ({}:- is standard output)".format(spec.kind) if kind.target == FILE and not kind.only_suffixes else ""
        raise ValueError("where to? Write it as {}{}".format(form, standard))
    if kind.only_suffixes and not target.lower().endswith(kind.suffixes):
        raise ValueError("the name must end in {}".format(" or ".join(kind.suffixes)))
    if target == STDOUT and kind.target in (FOLDER, PICTURES):
        raise ValueError("pictures need a {}; write it as {}".format("file or folder" if kind.target == PICTURES else "folder",
                                                                     form))
    if kind.target == PICTURES and spec.is_folder and target.lower().endswith(NO_FOLDER):
        raise ValueError("a file ends in {}; a folder has any other name".format(" or ".join(kind.files)))
    return spec if target == STDOUT else spec._replace(target=os.path.expanduser(target))


def _read_address(spec: OutputSpec, kind: Kind) -> OutputSpec:
    """HOST:PORT, of a broker also USER@ before it and /TOPIC behind it. Raises ValueError."""
    place, topic, keys = spec.target[2:] if spec.target.startswith("//") else spec.target, "", spec.keys
    if kind.target == BROKER:
        place, _, topic = place.partition("/")
        topic = topic.strip("/")
        if topic and not re.match(TOPIC + r"\Z", topic):
            raise ValueError("{} is no topic: up to 200 characters, none of them + or #".format(topic))
        user, at, place = place.rpartition("@")
        if ":" in user:
            raise ValueError("a password in an address can be read by others: put it into a file, password_file=PATH")
        if at and (not user or "user" in keys):
            raise ValueError("the user is given twice" if user else "no user stands before the @")
        keys = dict(keys, user=user) if at else keys
    elif place.endswith("/"):
        place = place[:-1]
    address, (host, _) = parse_address(place, kind.port), split_address(place)
    everywhere = address.host in EVERYWHERE
    listens = kind.listens == ALWAYS or kind.listens == WITHOUT_HOST and (everywhere or not host)
    if everywhere and not listens:
        raise ValueError("nothing can be sent to {}: name the machine where the program runs".format(address.host))
    return spec._replace(target=address.text + ("/" + topic if topic else ""), address=address, listens=listens, topic=topic,
                         keys=keys)


def _places(spec: OutputSpec) -> Iterator[Any]:
    """What no other output of the run may have, too."""
    for path in spec.paths:
        yield os.path.realpath(path)
    if not spec.path:
        yield STDOUT if spec.target == STDOUT else spec.kind + spec.target
    if spec.bound is not None:
        yield spec.bound


def _hint(name: str, text: str, colon: bool) -> str:
    """What the user may have meant: a kind misspelt, or a path whose kind shows in its extension."""
    extension = os.path.splitext(text.partition("?")[0])[1].lower()
    suffixes = {suffix: known for known, kind in KINDS.items() for suffix in kind.suffixes}
    if not colon and extension in suffixes:
        return "the kind is missing; did you mean {}:{}?".format(suffixes[extension], text)
    near = nearest(name, KINDS)
    if near:
        return "there is no kind {!r}; did you mean {}?".format(name, form_of(near))
    return "unknown kind; there are " + forms()
