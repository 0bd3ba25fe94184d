"""A network of one's own on disk: an ONNX file, or OpenVINO's .xml with its .bin. What is looked at before a runtime reads it.

The runtime reads it in this process, as it reads ours. So it is trusted as a program is; what is refused here is what would
reach beyond the file's folder, or fill the memory.
"""
import hashlib
import os
from typing import BinaryIO, Iterator, List, Mapping, Tuple
from xml.parsers.expat import ExpatError, ParserCreate

from edge.core.errors import ModelError
from edge.core.redact import one_line
from edge.host.reading import reason
from edge.host.safeopen import open_read
from edge.store.models import MOST_BYTES, sha256_of

MOST_XML = 1 << 26  # bytes
MOST_FIELDS = 10 ** 6  # of an ONNX file
MOST_DEPTH = 20  # of graphs within graphs
VERSIONS = ("10", "11")  # of OpenVINO's descriptions; older ones are not read by the versions that are supported
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
# onnx.proto: message -> number of a field that is looked into -> its message. A tensor whose values lie in another file names
# it in field 13, a list of key (1) and value (2)
FIELDS = {
    "model": {7: "graph", 25: "function"}, "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"}, "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"}, "tensor": {13: "entry"},
}
ENTRY_KEY, ENTRY_VALUE, LOCATION = 1, 2, b"location"


def name_of(path: str) -> str:
    """How the status and recordings call it: no folder of its owner's."""
    return one_line(os.path.basename(path))


def check_file(path: str) -> str:
    """The hash of it and of the files that belong to it. Raises ModelError."""
    try:
        parts = [path] + (_of_xml(path) if path.lower().endswith(".xml") else _of_onnx(path))
        hashes = [sha256_of(part) for part in parts]
    except FileNotFoundError as e:
        raise ModelError("the network {} cannot be read: there is no {}".format(path, e.filename or path)) from e
    except (OSError, ValueError) as e:
        raise ModelError("the network {} cannot be read ({})".format(path, reason(e))) from e
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode("ascii")).hexdigest()


def _of_xml(path: str) -> List[str]:
    with os.fdopen(open_read(path), "rb") as f:
        text = f.read(MOST_XML + 1)
    if len(text) > MOST_XML:
        raise ModelError("{} has more than {} MB, which no description of a network has".format(path, MOST_XML >> 20))
    description = _Description()
    try:
        description.read(text)
    except (ExpatError, ValueError, LookupError) as e:  # the last: an encoding that is not known
        raise ModelError("{} is no network of OpenVINO's, or was cut short".format(path)) from e
    values = os.path.splitext(path)[0] + ".bin"
    return [values] if description.has_values or os.path.lexists(values) else []


class _Description:
    """Of a network in XML: what it needs to be before OpenVINO reads it, which takes anything else for one of TensorFlow's."""

    has_values = False

    def __init__(self) -> None:
        self._depth = 0

    def read(self, text: bytes) -> None:
        """Raises ExpatError or ValueError for what is none."""
        parser = ParserCreate()
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.Parse(text, True)

    def _doctype(self, *_: object) -> None:
        raise ValueError("a document type, whose entities may grow without limit")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and (name != "net" or attributes.get("version") not in VERSIONS) or self._depth > MOST_DEPTH * 10:
            raise ValueError("no network")
        self.has_values = self.has_values or name == "layer" and attributes.get("type") == "Const"

    def _end(self, name: str) -> None:
        self._depth -= 1


def _of_onnx(path: str) -> List[str]:
    """Files beside it that hold some of its values, as torch's exporter writes them."""
    with os.fdopen(open_read(path), "rb") as f:
        size = os.fstat(f.fileno()).st_size
        if size > MOST_BYTES:
            raise ModelError("{} has more than 2 GB".format(path))
        try:
            names = sorted(set(_Walk(f).locations(0, size)))
        except ValueError as e:
            raise ModelError("{} is no ONNX file, or was cut short".format(path)) from e
    folder = os.path.dirname(path)
    for name in names:
        there = os.path.join(folder, name)
        if name != os.path.basename(name) or name in ("", ".", "..") or "\\" in name or os.path.islink(there):
            raise ModelError("{} keeps values in {}: they may lie in a file beside it and nowhere else".format(
                path, one_line(name[:80])))
    return [os.path.join(folder, name) for name in names]


class _Walk:
    """Through the fields of a message of protocol buffers: number * 8 + kind, and then a varint, 8 bytes, a length and so many
    bytes, or 4 bytes. Bytes that nothing is looked for in are passed over."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, MOST_FIELDS

    def locations(self, start: int, end: int, message: str = "model", depth: int = 0) -> Iterator[str]:
        """Names of other files. Raises ValueError for what is no ONNX."""
        if depth > MOST_DEPTH:
            raise ValueError("graphs too deep within each other")
        for number, begin, stop in self._fields(start, end):
            inner = FIELDS[message].get(number, "")
            if inner == "entry":
                pair = {key: self._read(*where) for key, *where in self._fields(begin, stop)}
                if pair.get(ENTRY_KEY) == LOCATION:
                    yield os.fsdecode(pair.get(ENTRY_VALUE, b""))
            elif inner:
                for name in self.locations(begin, stop, inner, depth + (inner == "graph")):
                    yield name

    def _fields(self, start: int, end: int) -> Iterator[Tuple[int, int, int]]:
        """Number, begin and end of each field that has bytes."""
        at = start
        while at < end:
            self._left -= 1
            self._file.seek(at)
            head = self._file.read(20)
            key, used = varint(head)
            kind = key & 7
            value, more = varint(head[used:]) if kind in (VARINT, BYTES) else (0, 0)
            begin = at + used + more
            at = begin + {VARINT: 0, EIGHT: 8, BYTES: value, FOUR: 4}.get(kind, end)
            if not key >> 3 or at > end or self._left < 0:
                raise ValueError("no message")
            if kind == BYTES:
                yield key >> 3, begin, at

    def _read(self, begin: int, stop: int) -> bytes:
        self._file.seek(begin)
        return self._file.read(min(stop - begin, 4096))


def varint(data: bytes) -> Tuple[int, int]:
    """A number and how many bytes it takes."""
    value = 0
    for i, byte in enumerate(data[:10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, i + 1
    raise ValueError("no number")
