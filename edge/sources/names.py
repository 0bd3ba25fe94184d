"""From what the user wrote to the paths of pictures: folders, lists, patterns, and several names in one text."""
import codecs
import glob
import io
import os
import re
from typing import Iterable, List, Sequence, Tuple
from urllib.parse import unquote_to_bytes

from edge.core.errors import SourceError
from edge.core.roles import FILM_SUFFIXES, PICTURE_SUFFIXES
from edge.core.spelling import nearest
from edge.sources import kinds

LIST_BYTES, MOST_NAMES = 16 << 20, 10 ** 6  # a list that is larger is none
LONGEST_NAME, MOST_FOLDERS = 4096, 200  # characters of a path, as Linux has it; and folders in a pattern
SHOWN = 60  # characters of a longer one
ENCODINGS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
ADDRESS = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")


def exists(path: str) -> bool:
    """False also for what no file can be called."""
    try:
        return os.path.exists(path)
    except ValueError:
        return False


def check_name(text: str) -> None:
    """Raises SourceError for what this system cannot call a file."""
    try:
        bad = "\0" in text or not os.fsencode(text)
    except UnicodeEncodeError:
        raise SourceError("--source {}: this system cannot have such a name; is LC_ALL=C.UTF-8 set?".format(
            text.encode("ascii", "backslashreplace").decode("ascii"))) from None
    if bad:
        raise SourceError("--source {!r}: no file can be called so".format(text))


def of_address(rest: str) -> str:
    """The path of file://, where %20 stands for a blank; a file of exactly that name comes first."""
    host, slash, path = rest.partition("/")
    if host.lower() not in ("", "localhost") or not slash:
        raise SourceError("--source file://{}: write three slashes and the whole path, as in file:///media/clip.mp4".format(rest))
    path = "/" + path.lstrip("/")
    return path if exists(path) else os.fsdecode(unquote_to_bytes(path))


def split(text: str) -> List[str]:
    r"""A text of several names, as a person or the command line writes it: in a name \, is a comma and \\ a backslash."""
    parts = [re.sub(r"\\([\\,])", r"\1", part) for part in re.findall(r"(?:\\.|[^,\\]|\\$)+", text, re.DOTALL)]
    paths = [os.path.expanduser(part if exists(part) else part.strip()) for part in parts]
    return [path for path in paths if path]


def pictures_in(folder: str) -> Tuple[List[str], str]:
    """In natural order, and the line about the files of other kinds. Hidden files are left out."""
    try:
        found = [n for n in os.listdir(folder) if not n.startswith(".")]
    except OSError as e:
        raise SourceError("the folder {} cannot be read: {}".format(folder, e.strerror)) from e
    pictures, others = _sorted_out(os.path.join(folder, n) for n in found)
    if not pictures:
        films = [path for path in others if path.lower().endswith(FILM_SUFFIXES)]
        hint = "; for a video name the file, as in {}".format(films[0]) if films else ""
        raise SourceError("there is no picture ({}) in the folder {}{}".format(
            ", ".join(PICTURE_SUFFIXES), folder, hint))
    return pictures, kinds.passed_over(others)


def is_pattern(text: str) -> bool:
    """No text that is longer or deeper than any path: the cost of matching grows with the square of its length."""
    return len(text) <= LONGEST_NAME and text.count("/") <= MOST_FOLDERS and glob.has_magic(text)


def matching(pattern: str) -> Tuple[List[str], str]:
    """What a pattern matches, as pictures_in(); one file alone is whatever it is. ** goes into folders."""
    found: List[str] = []
    for path in glob.iglob(re.sub(r"(?:\*\*/)+", "**/", pattern), recursive=True):
        found.append(path)
        if len(found) > MOST_NAMES:
            raise SourceError("{} matches more than {} files: name a folder".format(pattern, MOST_NAMES))
    if len(found) == 1:
        return found, ""
    pictures, others = _sorted_out(found)
    if len(others) == 1 and not pictures:
        return others, ""
    if not pictures:
        what = "{} films: name one".format(len(others)) if others else "nothing"
        films = all(path.lower().endswith(FILM_SUFFIXES) for path in others)
        raise SourceError("{} matches {}".format(pattern, what if films else "no picture, but " + ", ".join(others[:3])))
    return pictures, kinds.passed_over(others)


def _sorted_out(paths: Iterable[str]) -> Tuple[List[str], List[str]]:
    """Pictures and files of other kinds, each in natural order; folders, pipes and devices are neither."""
    files = sorted({path for path in paths if os.path.isfile(path)}, key=kinds.natural)  # several ** give some twice
    pictures = [path for path in files if kinds.is_picture_file(path)]
    chosen = set(pictures)
    return pictures, [path for path in files if path not in chosen]


def listed(path: str) -> List[str]:
    """One picture a line, relative to the list's own folder; empty lines and lines that begin with # do not count."""
    folder = os.path.dirname(path)
    paths: List[str] = []
    for number, line in enumerate(io.StringIO(_text_of(path)), 1):
        line = line.rstrip("\r\n")
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        where = "{}, line {}".format(path, number)
        if entry.lower().startswith("file://"):
            entry = line = of_address(entry[len("file://"):])
        elif ADDRESS.match(entry):
            raise SourceError("{}: {} is an address, and a list names pictures: give it to --source alone".format(
                where, entry))
        check_name(entry)
        exact = os.path.join(folder, line)
        paths += checked([exact if os.path.isfile(exact) else os.path.join(folder, os.path.expanduser(entry))], where)
        if len(paths) > MOST_NAMES:
            raise SourceError("the list of pictures {} names more than {}".format(path, MOST_NAMES))
    if not paths:
        raise SourceError("the list of pictures {} is empty: write one path a line".format(path))
    return paths


def _text_of(path: str) -> str:
    try:
        with kinds.open_file(path) as f:
            data = f.read(LIST_BYTES + 1)
        if len(data) > LIST_BYTES:
            raise SourceError("is larger than {} MB".format(LIST_BYTES >> 20))
        encoding = next((name for mark, name in ENCODINGS if data.startswith(mark)), "utf-8")
        return data.decode(encoding)
    except UnicodeDecodeError as e:
        raise SourceError("the list of pictures {} cannot be read: it is no text in UTF-8".format(path)) from e
    except OSError as e:
        raise SourceError("the list of pictures {} cannot be read: {}".format(path, e.strerror)) from e
    except SourceError as e:
        raise SourceError("the list of pictures {} {}".format(path, e)) from e


def checked(paths: List[str], where: str) -> List[str]:
    """The same, where each is a picture. Raises SourceError."""
    for path in paths:
        check_name(path)
        if not os.path.isfile(path):
            raise SourceError("{}: {}".format(where, missing(path)))
        if not kinds.is_picture_file(path):
            what = kinds.looked(path).other
            films = path.lower().endswith(FILM_SUFFIXES) or "film" in what
            cure = ": films are given to --source alone, one a run" if films else ""
            what = what + " and no picture" if what else "not a picture"
            raise SourceError("{}: {} is {}{}".format(where, path, what, cure))
    return paths


def missing(path: str, other_names: Sequence[str] = ()) -> str:
    """That a path does not exist, and what may have been meant: also one of `other_names`."""
    if len(path) > LONGEST_NAME:
        return "there is no {}...: no file has a name of {} characters".format(path[:SHOWN], len(path))
    folder, name = os.path.split(path.rstrip("/"))
    if folder and not os.path.isdir(folder):
        return "there is no folder {}".format(folder)
    if os.path.isdir(path):
        return "{} is a folder".format(path)
    if os.path.exists(path):
        return "{} is a pipe or a device, and no file".format(path)
    try:
        found = os.listdir(folder or ".")
    except OSError:
        found = []
    near = nearest(name, found + ([] if folder else list(other_names)))
    text = "there is no {}".format(path)
    if near:
        return "{}; did you mean {}?".format(text, os.path.join(folder, near))
    if name.lower() in ("camera", "webcam", "cam"):
        return "{}; a camera is given by its number, as in --source 0".format(text)
    return text
