"""The XML header of a stream. One that is read is a stranger's: bounded, without a document type, no entity is expanded.

Reading raises OSError or ValueError, with a text to stand behind the name.
"""
import math
import os
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from edge.host.reading import at_most, open_regular

DATA = "~"  # behind the header's name
ASCII, BINARY = "ASCII", "BINARY"
TYPES = {"SHORT": "<i2", "USHORT": "<u2", "INT": "<i4", "UINT": "<u4", "LONG": "<i8", "ULONG": "<u8", "FLOAT": "<f4",
         "DOUBLE": "<f8", "LDOUBLE": "<f8", "BOOL": "?"}
MOST_HEADER_BYTES = 1 << 20
MOST_NUMBER = 10 ** 12  # of values a sample, and of samples
MIN_RATE, MAX_RATE = 1e-3, 1e6  # samples a second
Element = Tuple[str, Dict[str, str]]


class Chunk(NamedTuple):
    """Samples that follow each other: the first stands at `from_s`."""

    from_s: float
    num: int  # of the only chunk 0: as many as there are


class Header(NamedTuple):
    rate: float  # samples a second
    dim: int  # values a sample
    chunks: Tuple[Chunk, ...]
    form: str = BINARY
    type: str = "FLOAT"
    delim: str = " "  # of ASCII
    media: str = ""


def header_text(header: Header, more: Sequence[Tuple[str, str]] = ()) -> bytes:
    """Of a stream of float32; `more`: attributes of its meta element."""
    rate, dim = header.rate, header.dim
    meta = "".join(" {}={}".format(name, quoteattr(value)) for name, value in [("type", header.media)] + list(more))
    info = '    <info ftype="BINARY" sr="{:.3f}" dim="{}" byte="4" type="FLOAT" delim=" " />'.format(rate, dim)
    lines = ['<stream ssi-v="2">', info, "    <meta{} />".format(meta)]
    before = 0
    for chunk in header.chunks:
        lines.append('    <chunk from="{:.3f}" to="{:.3f}" byte="{}" num="{}" />'.format(
            chunk.from_s, chunk.from_s + chunk.num / rate, before * dim * 4, chunk.num))
        before += chunk.num
    return "\n".join(lines + ["</stream>", ""]).encode("utf-8")


def read_header(path: str) -> Header:
    with os.fdopen(open_regular(path), "rb") as f:
        found = elements(at_most(f, MOST_HEADER_BYTES))
    if not found or found[0][0] != "stream":
        raise ValueError("it is no header of an SSI stream")
    info = next((attributes for name, attributes in found if name == "info"), None)
    chunks = [attributes for name, attributes in found if name == "chunk"]
    if info is None or not chunks:
        raise ValueError("it has no {}".format("info" if info is None else "chunk"))
    form, kind = info.get("ftype", ""), info.get("type", "")
    if form not in (ASCII, BINARY):
        raise ValueError("ftype is {!r}; it must be {} or {}".format(form[:20], BINARY, ASCII))
    if kind not in TYPES:
        raise ValueError("type is {!r}; it must be one of {}".format(kind[:20], ", ".join(TYPES)))
    meta = next((attributes for name, attributes in found if name == "meta"), {})
    return Header(_number(info, "sr", MIN_RATE, MAX_RATE), int(_number(info, "dim", 1, MOST_NUMBER, whole=True)),
                  tuple(Chunk(_number(chunk, "from", -MOST_NUMBER, MOST_NUMBER, "0"),
                              int(_number(chunk, "num", 0, MOST_NUMBER, whole=True))) for chunk in chunks),
                  form, kind, info.get("delim", " "), meta.get("type", ""))


def elements(data: bytes) -> List[Element]:
    """Name and attributes of each element, in order."""
    found: List[Element] = []

    def refuse(*_: Any) -> None:
        raise ValueError("it declares a document type, which no header of SSI has")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda name, attributes: found.append((name, attributes))
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError) as e:
        raise ValueError("it is no XML: {}".format(e))
    return found


def _number(attributes: Dict[str, str], name: str, least: float, most: float, usual: str = "", whole: bool = False) -> float:
    text = attributes.get(name, usual)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most or whole and value != int(value):
        raise ValueError("{} is {!r}; it must be a {}number from {:g} to {:g}".format(
            name, text[:20], "whole " if whole else "", least, most))
    return value
