"""The text formats of WIDER FACE: which faces are in which picture, and which boxes somebody found there.

Of the ground truth (wider_face_val_bbx_gt.txt) a picture is its name, the number of faces and a line for each: x y w h blur
expression illumination invalid occlusion pose. A picture without a face has the number 0 and one line of zeros. Of a
submission each picture has a file EVENT/NAME.txt: its name, the number of boxes and a line for each: x y w h score.
"""
import os
import re
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.core.errors import OutputError, SourceError
from edge.core.redact import one_line
from edge.host.reading import at_most, can_be_name, open_regular, reason

MOST_BYTES = 1 << 27
MOST_PIXELS = 1e6  # of a coordinate
MOST_FACES = 10000  # of one picture, five times as many as WIDER FACE has in any
MOST_PICTURES = 100000
INVALID = 7  # the column
FIELDS = range(4, 11)  # some copies have the box alone
NUMBER = re.compile(r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?$")
SPLITS = ("", "wider_face_split")  # below the folder
PICTURES = ("images", os.path.join("WIDER_val", "images"))


class Faces(NamedTuple):
    """Of one picture."""

    boxes: np.ndarray  # (N, 4) float64 x0 y0 x1 y1
    ignored: np.ndarray  # (N,) bool: marked as invalid, or without an area


class Boxes(NamedTuple):
    """What was found in one picture, the surest first."""

    boxes: np.ndarray  # (N, 4) float64 x0 y0 x1 y1
    scores: np.ndarray  # (N,) float64


class _Lines:
    """Of a file, without the empty ones; knows where it is."""

    def __init__(self, path: str) -> None:
        try:
            with os.fdopen(open_regular(path), "rb") as f:
                text = at_most(f, MOST_BYTES).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise SourceError("{} is no text".format(one_line(path))) from None
        except (OSError, ValueError) as e:
            raise SourceError("{} cannot be read: {}".format(one_line(path), reason(e))) from e
        self._path, self._at, self._lines = path, 0, _numbered(text)
        self._ahead = next(self._lines, None)

    def __bool__(self) -> bool:
        return self._ahead is not None

    def next(self, what: str) -> str:
        if self._ahead is None:
            raise self.fault("the file ends where {} should follow".format(what))
        self._at, line = self._ahead
        self._ahead = next(self._lines, None)
        return line

    def skip_zeros(self) -> None:
        """The line of zeros of a picture without a face; other writers leave it out."""
        if self._ahead is not None and re.match(r"^0(\s+0){3,9}$", self._ahead[1]):
            self._ahead = next(self._lines, None)

    def count(self) -> int:
        line = self.next("the number of boxes")
        if not re.match(r"^[0-9]{1,9}$", line) or int(line) > MOST_FACES:
            raise self.fault("{} is no number of boxes from 0 to {}".format(repr(line[:40]), MOST_FACES))
        return int(line)

    def numbers(self, fields: Sequence[int], what: str) -> List[float]:
        line = self.next(what)
        words = line.split()
        if len(words) not in fields or not all(NUMBER.match(word) for word in words):
            raise self.fault("{} is no line of {}".format(repr(line[:60]), what))
        values = [float(word) for word in words]
        if max(map(abs, values)) > MOST_PIXELS or values[2] < 0 or values[3] < 0:
            raise self.fault("{} holds no box: sides are 0 or more, and no number beyond {:g}".format(
                repr(line[:60]), MOST_PIXELS))
        return values

    def fault(self, text: str) -> SourceError:
        return SourceError("{}, line {}: {}".format(one_line(self._path), self._at, text))


def _numbered(text: str) -> Iterator[Tuple[int, str]]:
    """Number and text of each line that is not empty, one at a time: a file may be nothing but ends of lines."""
    number, before = 1, 0
    for found in re.finditer("[^\n]+", text):
        number += text.count("\n", before, found.start())
        before = found.start()
        if found.group().strip():
            yield number, found.group().strip()


def read_truth(path: str) -> Dict[str, Faces]:
    """Name of a picture below the folder of pictures -> its faces, in the order of the file. Raises SourceError."""
    lines, found = _Lines(path), {}  # type: _Lines, Dict[str, Faces]
    while lines:
        name = lines.next("a picture")
        if not _stays_below(name):
            raise lines.fault("{} is no name of a picture below the folder".format(repr(name[:60])))
        if name in found:
            raise lines.fault("{} is there twice".format(repr(name[:60])))
        if len(found) >= MOST_PICTURES:
            raise lines.fault("there are more than {} pictures".format(MOST_PICTURES))
        count = lines.count()
        rows = [lines.numbers(FIELDS, "x y w h and six marks") for _ in range(count)]
        if not count:
            lines.skip_zeros()
        boxes = _corners(rows)
        marked = np.array([len(row) > INVALID and row[INVALID] != 0 for row in rows], bool)
        found[name] = Faces(boxes, marked | (boxes[:, 2:] <= boxes[:, :2]).any(axis=1))
    if not found:
        raise SourceError("{} names no picture".format(one_line(path)))
    return found


def read_found(path: str) -> Boxes:
    """A picture's file of a submission. Raises SourceError."""
    lines = _Lines(path)
    lines.next("the picture's name")
    rows = [lines.numbers((5,), "x y w h score") for _ in range(lines.count())]
    if not rows:
        lines.skip_zeros()
    if lines:
        raise lines.fault("more lines follow than the number of boxes says")
    scores = np.array([row[4] for row in rows], float)
    order = np.argsort(-scores, kind="mergesort")
    return Boxes(_corners(rows)[order], scores[order])


def write_found(folder: str, name: str, found: Boxes) -> None:
    """Raises OutputError."""
    path = place_of(folder, name)
    text = ["{}\n{}\n".format(os.path.splitext(os.path.basename(name))[0], len(found.boxes))]
    for (x0, y0, x1, y1), score in zip(found.boxes.tolist(), found.scores.tolist()):
        text.append("{:.2f} {:.2f} {:.2f} {:.2f} {:.5f}\n".format(x0, y0, x1 - x0, y1 - y0, score))
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(text))
    except OSError as e:
        raise OutputError("{} cannot be written ({}): --save FOLDER names another".format(one_line(path), reason(e))) from e


def place_of(folder: str, name: str) -> str:
    """Where a submission has the boxes of a picture."""
    return os.path.join(folder, *(os.path.splitext(name)[0] + ".txt").split("/"))


def truth_file(folder: str) -> str:
    """The ground truth below a folder. Raises SourceError."""
    for place in SPLITS:
        try:
            names = sorted(os.listdir(os.path.join(folder, place)))
        except OSError as e:
            if not place:
                raise SourceError("{} cannot be read: {}".format(one_line(folder), reason(e))) from e
            continue
        for name in sorted(names, key=lambda one: one != "wider_face_val_bbx_gt.txt"):
            if name.endswith("_bbx_gt.txt"):
                return os.path.join(folder, place, name)
    raise SourceError("{} holds no wider_face_val_bbx_gt.txt: put it there (it comes in wider_face_split.zip), or name it "
                      "with --truth FILE".format(one_line(folder)))


def pictures_in(folder: str, names: Sequence[str]) -> List[str]:
    """Their paths. Raises SourceError that says how many are missing."""
    root = next((path for path in (os.path.join(folder, place) for place in PICTURES) if os.path.isdir(path)), None)
    if root is None:
        raise SourceError("{} holds no folder {} with the pictures".format(one_line(folder), PICTURES[0]))
    return all_there([os.path.join(root, *name.split("/")) for name in names], "pictures of the ground truth")


def all_there(paths: List[str], what: str) -> List[str]:
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise SourceError("{} of the {} {} are missing, the first is {}".format(
            len(missing), len(paths), what, one_line(missing[0])))
    return paths


def _stays_below(name: str) -> bool:
    parts = name.split("/")
    return can_be_name(name) and not os.path.isabs(name) and not any(part in ("", ".", "..") for part in parts)


def _corners(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """(N, 4) x0 y0 x1 y1 of rows that begin with x y w h."""
    boxes = np.array([row[:4] for row in rows], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes
