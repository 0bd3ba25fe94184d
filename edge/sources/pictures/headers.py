"""A picture file's header, read without decoding anything and without trusting its counts.

Decoders trust lengths, tags and texts: a few bytes make them read gigabytes. So the containers are walked here,
and the decoder is given nothing but what it needs for the pixels.
"""
import re
import struct
from typing import BinaryIO, Callable, Dict, List, NamedTuple, Optional, Tuple

from edge.core.errors import SourceError
from edge.sources import kinds

Check = Callable[..., None]  # of a width, a height, and the most pixels that a byte of the file can hold
ORIENTATION, SUBFOLDERS = 0x0112, (0x8769, 0x8825, 0xA005)  # tags of TIFF and EXIF
COMPRESSION, TILE_WIDTH, TILE_LENGTH = 259, 322, 323
MOST_PAGES = 100  # further ones are not counted
TYPE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # of TIFF's types
MOST_TAG_BYTES = 32 << 20  # of all tags together; a hundred million rows of one strip each need less
MOST_PIECES = 500000  # chunks or segments of one file
MOST_JPEG2000_TILES = 4096
MOST_SCANS, MOST_SEGMENTS, MOST_JUNK = 100, 200, 1 << 16  # of a JPEG; the last one in bytes
JPEG_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
ENTROPY_END = re.compile(b"\xff+[^\x00\xff\xd0-\xd7]")  # what ends the pixels of a scan
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
JPEG_DENSITY, RUNS_DENSITY, RAW_DENSITY = 1024, 128, 16
WRONG = "is damaged: its header makes no sense"


class Header(NamedTuple):
    data: Optional[bytes] = None  # what the decoder is given; None: the file itself
    orientation: int = 1  # as EXIF counts: 1 to 8
    pictures: int = 1
    missing: Optional[float] = None  # share of its bytes that are missing
    cut: bool = False


def read_header(kind: str, f: BinaryIO, check: Check) -> Header:
    """Raises SourceError, its text to stand behind the name, as `check` does for a size. May leave `f` anywhere."""
    readers = {kinds.JPEG: _jpeg, kinds.PNG: _png, kinds.WEBP: _webp, kinds.TIFF: _tiff, kinds.JPEG2000: _jpeg2000,
               kinds.BMP: _bmp, kinds.DIB: _dib, kinds.NETPBM: _netpbm, kinds.TGA: _tga, kinds.GIF: _gif
               }  # type: Dict[str, Callable[[BinaryIO, Check], Header]]
    if kind not in readers:
        return Header()
    f.seek(0)
    try:
        return readers[kind](f, check)
    except (struct.error, IndexError, ValueError, OverflowError) as e:
        raise SourceError(WRONG) from e


def _jpeg(f: BinaryIO, check: Check) -> Header:
    """The segments up to the first scan, without EXIF, profiles and previews, then the rest as it is."""
    kept, room, orientation, pictures = [b"\xff\xd8"], 0, 1, 1
    f.seek(2)
    for _ in range(MOST_PIECES):
        marker = _next_marker(f)
        if marker is None or marker == 0xD9:
            break
        if marker <= 1 or 0xD0 <= marker <= 0xD8:
            continue
        lengths = f.read(2)
        body = f.read(max(2, struct.unpack(">H", lengths)[0]) - 2)
        if marker in JPEG_SOF:
            height, width = struct.unpack(">HH", body[1:5])
            check(width, height, JPEG_DENSITY)
            room = 8 * width * height + (4 << 20)
        elif marker == 0xE1 and body[:6] == b"Exif\0\0":
            orientation = orientation_of(body[6:])
        elif marker == 0xE2 and body[:4] == b"MPF\0":
            pictures = max(pictures, _mpf_pictures(body[4:]))
        if not 0xE1 <= marker <= 0xED and marker not in (0xEF, 0xFE) and len(kept) < MOST_SEGMENTS:
            kept.append(b"\xff" + bytes([marker]) + lengths + body)
        if marker == 0xDA and room:
            rest, cut = _scans(f.read(room))
            return Header(b"".join(kept) + rest, orientation, pictures, cut=cut)
    raise SourceError("is cut off before its first pixel" if len(kept) > 1 else WRONG)


def _next_marker(f: BinaryIO) -> Optional[int]:
    """None at the end. What stands before it is passed over, as libjpeg does."""
    byte, seen = f.read(1), b""
    for _ in range(MOST_JUNK):
        if seen == b"\xff" != byte:
            return byte[0] if byte else None
        byte, seen = f.read(1), byte
    return None


def _scans(data: bytes) -> Tuple[bytes, bool]:
    """The scans for the decoder. True where their end is missing: it is added, or libjpeg would give nothing of a
    progressive picture."""
    at, scans = 0, 1
    for _ in range(MOST_PIECES):
        found = ENTROPY_END.search(data, at)
        if found is None:
            return data + b"\xff\xd9\xff\xd9", True
        marker, at = data[found.end() - 1], found.end()
        if marker == 0xD9:
            return data[:at], False
        if marker not in (0x01, 0xD8) and at + 2 <= len(data):
            at += struct.unpack(">H", data[at:at + 2])[0]
        scans += marker == 0xDA
        if scans > MOST_SCANS:
            break
    raise SourceError("is damaged, or made to keep a decoder busy: it has {} scans or more".format(scans))


def _mpf_pictures(body: bytes) -> int:
    """Of a multi-picture file: tag 0xB001."""
    return max(1, min(MOST_PAGES, _tags(body).get(0xB001, 1)))


def orientation_of(exif: bytes) -> int:
    """1 to 8; 1 by default."""
    if exif[:6] == b"Exif\0\0":
        exif = exif[6:]
    found = _tags(exif).get(ORIENTATION, 1)
    return found if 1 <= found <= 8 else 1


def _tags(tiff: bytes) -> Dict[int, int]:
    """The first folder's short numbers, of a TIFF header in memory."""
    found: Dict[int, int] = {}
    order = {b"II\x2a\0": "<", b"MM\0\x2a": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return found
    start = struct.unpack(order + "I", tiff[4:8])[0]
    count = struct.unpack(order + "H", tiff[start:start + 2])[0] if start + 2 <= len(tiff) else 0
    for at in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, _ = struct.unpack(order + "HHI", tiff[at:at + 8])
        if kind in (3, 4) and tag not in found:
            found[tag] = struct.unpack(order + ("H" if kind == 3 else "I"), tiff[at + 8:at + (10 if kind == 3 else 12)])[0]
    return found


def _png(f: BinaryIO, check: Check) -> Header:
    """IHDR, PLTE and IDAT alone: texts and profiles may unpack to anything, and transparency is not shown."""
    f.seek(8)
    head, ihdr = f.read(8), f.read(17)
    width, height, depth, colour = struct.unpack(">IIBB", ihdr[:10])
    if head != b"\0\0\0\rIHDR":
        raise SourceError(WRONG)
    check(width, height)
    row_bytes = (width * depth * {2: 3, 4: 2, 6: 4}.get(colour, 1) + 7) // 8 + 1
    room = 2 * row_bytes * height + (1 << 20)  # deflate does not make anything twice as large
    kept, orientation, pictures = [b"\x89PNG\r\n\x1a\n" + head + ihdr], 1, 1
    for _ in range(MOST_PIECES):
        head = f.read(8)
        length, name = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        if name in (b"IEND", b""):
            break
        if name == b"eXIf" and length <= 1 << 20:
            orientation = orientation_of(f.read(length + 4))
        elif name == b"acTL" and length == 8:
            pictures = max(1, struct.unpack(">I", f.read(12)[:4])[0])
        elif name in (b"PLTE", b"IDAT") and room > 0:
            kept.append(head + f.read(min(length + 4, room)))
            room -= len(kept[-1])
        else:
            f.seek(length + 4, 1)
    return Header(b"".join(kept) + PNG_END, orientation, pictures, cut=name != b"IEND")


def _webp(f: BinaryIO, check: Check) -> Header:
    """The first frame alone, as a file of one picture; where bytes are missing, zeros stand for them."""
    f.seek(12)
    orientation, frames, frame = 1, 0, Header()
    for _ in range(MOST_PIECES):
        head = f.read(8)
        if len(head) < 8:
            break
        name, length = struct.unpack("<4sI", head)
        start = f.tell()
        if name == b"VP8X":
            canvas = f.read(10)
            check(*(1 + int.from_bytes(canvas[at:at + 3], "little") for at in (4, 7)))
        elif name == b"EXIF" and length <= 1 << 20:
            orientation = orientation_of(f.read(length))
        elif name == b"ANMF":
            frames += 1
            if frame.data is None:
                f.seek(16, 1)
                continue  # its chunks follow
        elif name in (b"VP8 ", b"VP8L") and frame.data is None:
            frame = _webp_frame(name, length, f, check)
        f.seek(start + length + length % 2)
    if frame.data is None:
        raise SourceError("is cut off before its first pixel")
    return frame._replace(orientation=orientation, pictures=max(1, frames))


def _webp_frame(name: bytes, length: int, f: BinaryIO, check: Check) -> Header:
    start = f.read(10)
    if name == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", start[6:10]))
    else:
        bits = struct.unpack("<I", start[1:5])[0]
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    check(width, height)
    body = start + f.read(min(max(0, length - 10), 8 * width * height + (1 << 20)))
    missing = length - len(body)
    if missing > len(body) * 1000 + (1 << 20):
        raise SourceError("is cut off before its first pixel")
    body += b"\0" * (missing + length % 2)
    data = b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBP" + name + struct.pack("<I", length) + body
    return Header(data, missing=float(missing) / max(1, length) if missing else None, cut=missing > 0)


def _tiff(f: BinaryIO, check: Check) -> Header:
    """Nothing is taken out, but tags that ask for more than they are worth are refused: a decoder reads them all."""
    start = f.read(16)
    order, big = "<" if start[:1] == b"I" else ">", start[2:4] in (b"\x2b\0", b"\0\x2b")
    first = struct.unpack(order + ("Q" if big else "I"), start[8:16] if big else start[4:8])[0]
    tags, subfolders, more = _tiff_folder(f, order, big, first)
    for place in subfolders:
        _tiff_folder(f, order, big, place)
    width, height = tags.get(256, 0), tags.get(257, 0)
    check(width, height, *([RAW_DENSITY] if tags.get(COMPRESSION, 1) == 1 else []))
    for side, longest in ((TILE_WIDTH, width), (TILE_LENGTH, height)):
        if tags.get(side, 0) > longest + 4096:
            raise SourceError("has tiles that are larger than it is: it is damaged")
    orientation = tags.get(ORIENTATION, 1)
    pages = {first}
    while more and more not in pages and len(pages) < MOST_PAGES:
        pages.add(more)
        more = _tiff_folder(f, order, big, more)[2]
    return Header(None, orientation if 1 <= orientation <= 8 else 1, len(pages))


def _tiff_folder(f: BinaryIO, order: str, big: bool, place: int) -> Tuple[Dict[int, int], List[int], int]:
    """Short numbers by tag, where further folders are, and where the next picture's is."""
    f.seek(place)
    count = struct.unpack(order + ("Q" if big else "H"), f.read(8 if big else 2))[0]
    entry, value = (20, 12) if big else (12, 8)
    data = f.read(min(count, 4096) * entry)
    numbers: Dict[int, int] = {}
    total = 0
    for at in range(0, len(data) - entry + 1, entry):
        tag, kind, items = struct.unpack(order + ("HHQ" if big else "HHI"), data[at:at + value])
        total += items * (TYPE_BYTES[kind] if kind < len(TYPE_BYTES) else 1)
        form = {3: "H", 4: "I", 16: "Q"}.get(kind)
        if form is not None and items == 1:
            numbers[tag] = struct.unpack_from(order + form, data, at + value)[0]
    if count > 4096 or total > MOST_TAG_BYTES:
        raise SourceError("is damaged, or made to fill the memory: its tags claim {} bytes".format(total))
    link = f.read(8 if big else 4)
    follow = struct.unpack(order + ("Q" if big else "I"), link)[0] if len(link) == (8 if big else 4) else 0
    return numbers, [numbers[tag] for tag in SUBFOLDERS if tag in numbers], follow


def _jpeg2000(f: BinaryIO, check: Check) -> Header:
    """Each tile costs the decoder kilobytes, whatever it holds."""
    head = f.read(1 << 16)
    at = head.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise SourceError(WRONG)
    x1, y1, x0, y0, tile_width, tile_height, tile_x0, tile_y0, planes = struct.unpack(">8IH", head[at + 8:at + 42])
    check(x1 - x0, y1 - y0)
    columns, rows = (-((start - end) // tile) for start, end, tile in ((tile_x0, x1, max(1, tile_width)),
                                                                      (tile_y0, y1, max(1, tile_height))))
    if columns * rows > MOST_JPEG2000_TILES or planes > 4:
        raise SourceError("has {} tiles of {} planes, more than is read here: save it as PNG".format(columns * rows, planes))
    return Header()


def _bmp(f: BinaryIO, check: Check) -> Header:
    head = f.read(26)
    old = struct.unpack("<I", head[14:18])[0] == 12
    width, height = struct.unpack("<HH", head[18:22]) if old else struct.unpack("<ii", head[18:26])
    check(width, abs(height), RUNS_DENSITY)
    return Header()


def _dib(f: BinaryIO, check: Check) -> Header:
    """A BMP without its first 14 bytes."""
    f.seek(4)
    width, height = struct.unpack("<ii", f.read(8))
    check(width, abs(height), RUNS_DENSITY)
    return Header()


def _netpbm(f: BinaryIO, check: Check) -> Header:
    found = re.match(rb"P[1-6](?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s", f.read(4096))
    if found is None:
        raise SourceError(WRONG)
    check(int(found.group(1)), int(found.group(2)), RAW_DENSITY)
    return Header()


def _tga(f: BinaryIO, check: Check) -> Header:
    width, height = struct.unpack("<HH", f.read(16)[12:16])
    check(width, height, RUNS_DENSITY)
    return Header()


def _gif(f: BinaryIO, check: Check) -> Header:
    check(*struct.unpack("<HH", f.read(10)[6:10]))
    return Header()
