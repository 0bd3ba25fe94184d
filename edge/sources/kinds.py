"""What kind of file it is, by its first bytes: names can be wrong."""
import os
import re
from collections import Counter
from typing import BinaryIO, List, NamedTuple, Tuple

from edge.core.errors import SourceError
from edge.core.roles import PICTURE_SUFFIXES
from edge.host.ownership import UnsafePath
from edge.host.reading import open_regular, reason
from edge.recording.format import MAGIC

RAW_FILMS = (".mjpg", ".mjpeg")  # pictures one behind the other, without a container
HEAD_BYTES = 512
SHOWN = 4  # kinds that a line names
JPEG, PNG, GIF, BMP, WEBP, TIFF, JPEG2000, NETPBM, TGA, DIB, HEIF, AVIF = (
    "JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "JPEG2000", "PPM", "TGA", "DIB", "HEIF", "AVIF")  # as Pillow calls them
_PICTURES = (
    (JPEG, rb"\xff\xd8\xff"), (PNG, rb"\x89PNG\r\n\x1a\n"), (GIF, rb"GIF8[79]a"),
    (BMP, rb"BM.{12}[\x0c-\x7c]\0\0\0"), (WEBP, rb"RIFF.{4}WEBP"), (TIFF, rb"II\x2a\0|MM\0\x2a|II\x2b\0\x08\0|MM\0\x2b\0\x08"),
    (JPEG2000, rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), (NETPBM, rb"P[1-6][\s#]"),
    (AVIF, rb".{4}ftypavi[fs]"), (HEIF, rb".{4}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)"),
)
_OTHERS = (
    ("an MP4 or MOV film", rb".{4}(?:ftyp|moov|mdat|wide|free|skip)"), ("a Matroska or WebM film", rb"\x1aE\xdf\xa3"),
    ("an AVI film", rb"RIFF.{4}AVI "), ("an MPEG film", rb"\0\0\x01[\xba\xb3]|G.{187}G"), ("a Flash film", rb"FLV"),
    ("an Ogg film", rb"OggS"), ("a WMV film", rb"0&\xb2u"), ("a WAV sound", rb"RIFF.{4}WAVE"), ("a PDF document", rb"%PDF"),
    ("a PSD document", rb"8BPS"), ("a ZIP archive", rb"PK\x03\x04"), ("a gzip archive", rb"\x1f\x8b"),
    ("a program", rb"\x7fELF|MZ"), ("a web page", rb"(?i:\s*<(?:!doctype|html))"),
    ("an SVG drawing", rb"(?i:\s*<(?:\?xml|svg))"),
    ("a Git LFS pointer: git lfs pull", rb"version https://git-lfs"),
)
_MAGIC = [(kind, re.compile(pattern, re.DOTALL)) for kind, pattern in _PICTURES]
_OTHER = [(kind, re.compile(pattern, re.DOTALL)) for kind, pattern in _OTHERS]


class Looked(NamedTuple):
    """`picture` is one of the kinds above or ""; `other` says what it is instead, where that is known."""

    picture: str
    other: str


def look(head: bytes, path: str) -> Looked:
    """The kind by the first bytes; of the two kinds without a signature, by the name."""
    for kind, magic in _MAGIC:
        if magic.match(head):
            return Looked(kind, "")
    for kind, magic in _OTHER:
        if magic.match(head):
            return Looked("", kind)
    named = os.path.splitext(path)[1].lower()
    return Looked(TGA if named == ".tga" else DIB if named == ".dib" else "", "")


def open_file(path: str) -> BinaryIO:
    """A regular file: a pipe or a device may have no end. Raises SourceError, its text to stand behind the name."""
    try:
        return os.fdopen(open_regular(path), "rb")
    except UnsafePath as e:
        raise SourceError("is a folder" if os.path.isdir(path) else "is a pipe or a device, and no file") from e
    except (OSError, ValueError) as e:
        raise SourceError("cannot be read: {}".format(reason(e))) from e


def looked(path: str) -> Looked:
    """Both empty where the file cannot be read."""
    try:
        with open_file(path) as f:
            return look(f.read(HEAD_BYTES), path)
    except (SourceError, OSError):
        return Looked("", "")


def is_picture_file(path: str) -> bool:
    """By its name, else by its content. GIFs are films."""
    if path.lower().endswith(PICTURE_SUFFIXES):
        return True
    return not path.lower().endswith(RAW_FILMS) and looked(path).picture not in ("", GIF)


def is_animated(path: str) -> str:
    """PNG or WEBP where a file is one that moves, else ""."""
    try:
        with open_file(path) as f:
            head = f.read(HEAD_BYTES)
    except (SourceError, OSError):
        return ""
    kind = look(head, path).picture
    moves = kind == PNG and b"acTL" in head or kind == WEBP and head[12:16] == b"VP8X" and len(head) > 20 and head[20] & 2
    return kind if moves else ""


def is_recording(path: str) -> bool:
    """By how it begins."""
    try:
        with open_file(path) as f:
            return f.read(len(MAGIC)) == MAGIC
    except (SourceError, OSError):
        return False


def passed_over(names: List[str]) -> str:
    """"12 files of other kinds are passed over: 10 .txt, 2 .mp4"; "" where there are none."""
    if not names:
        return ""
    counts = Counter(os.path.splitext(name)[1].lower() or "without extension" for name in names)
    kinds = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
    shown = ", ".join("{} {}".format(count, kind) for kind, count in kinds[:SHOWN])
    more = " and {} more".format(sum(count for _, count in kinds[SHOWN:])) if len(kinds) > SHOWN else ""
    files = "1 file of another kind is" if len(names) == 1 else "{} files of other kinds are".format(len(names))
    return "{} passed over: {}{}".format(files, shown, more)


def natural(name: str) -> Tuple[Tuple[int, int, str], ...]:
    """Sorts frame2 before frame10, and is a total order: numbers first, then texts."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(part[:1000]), part) if part[0] in "0123456789" else (1, 0, part) for part in parts)
