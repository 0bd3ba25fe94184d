"""One picture from its file: its size before its pixels, upright, in BGR bytes, and what is there of one that is cut off."""
import importlib.util
import io
import logging
import os
import struct
import threading
import warnings
import zlib
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, Iterator, NamedTuple

import cv2
import numpy as np

from edge.core.errors import SourceError
from edge.host.packages import install
from edge.sources import kinds
from edge.sources.live.quiet import quiet
from edge.sources.pictures.headers import ORIENTATION, Header, orientation_of, read_header

WHOLE_BYTES = 256 << 20  # of a file that its decoder reads into memory before it looks at it
BIG_PIXELS = 16 * 10 ** 6  # from here on a file must be large enough for what it claims
PIXELS_A_BYTE, PIXELS_A_BYTE_CUT = 2000, 256
BITS, PIECE = 258, 1 << 16  # a tag of TIFF; bytes that are tried
OWN_DECODER = (kinds.BMP, kinds.NETPBM)  # OpenCV reads some that Pillow does not: run lengths, plain text
FAULTS = (OSError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError,
          AssertionError, struct.error, zlib.error)  # what decoders raise at what is damaged
LIMIT = "has {}x{} pixels, more than source.max_pixels, {}: scale it down"
MOST_ALLOWED = 10 ** 9  # of source.max_pixels
_ONE_AT_A_TIME = threading.RLock()


class Still(NamedTuple):
    image: np.ndarray  # (H, W, 3) uint8 BGR, upright
    missing: float = 0.0  # the share that is not there
    cut: bool = False
    pictures: int = 1  # in the file; the first is read


def need_pillow() -> None:
    """Raises SourceError where it is not installed."""
    if importlib.util.find_spec("PIL") is None:
        raise SourceError("pictures need Pillow, which is not installed: " + install("PIL"))


def read(path: str, most_pixels: int) -> Still:
    """Raises SourceError; its text is to stand behind the file's name."""
    with kinds.open_file(path) as f:
        file_bytes = os.fstat(f.fileno()).st_size
        head = f.read(kinds.HEAD_BYTES)
        if not head:
            raise SourceError("is empty")
        looked = kinds.look(head, path)
        if not looked.picture:
            raise SourceError("is " + (looked.other + ", and no picture" if looked.other else
                                       "damaged, or no picture of a kind that is read here"))
        limits = Limits(most_pixels, file_bytes)
        try:
            header = read_header(looked.picture, f, limits.check)
            if header.cut:
                limits.check_cut()
            return _decoded(looked.picture, f, header, limits)
        except MemoryError:
            raise SourceError("needs more memory than there is: scale it down") from None
        except OSError as e:
            raise SourceError("cannot be read: {}".format(e.strerror or e)) from e


class Decoded(NamedTuple):
    image: np.ndarray
    cut: bool = False
    turn: int = 1  # that is still to be done
    pictures: int = 1


class Limits:
    """What a file may claim. Its check() is called as soon as a size is known."""

    def __init__(self, most_pixels: int, file_bytes: int) -> None:
        self._most, self._bytes = most_pixels, file_bytes
        self._pixels = 0

    def check(self, width: int, height: int, pixels_a_byte: int = PIXELS_A_BYTE) -> None:
        if width < 1 or height < 1:
            raise SourceError("is damaged: it says that it is {}x{} pixels large".format(width, height))
        self._pixels = width * height
        if self._pixels > self._most:
            raise SourceError(LIMIT.format(width, height, self._most) + (
                ", or --set source.max_pixels={}".format(self._pixels) if self._pixels <= MOST_ALLOWED else ""))
        if self._pixels > max(BIG_PIXELS, pixels_a_byte * self._bytes):
            raise SourceError("is damaged: {} bytes cannot hold {}x{} pixels".format(self._bytes, width, height))

    def check_cut(self) -> None:
        if self._pixels > max(BIG_PIXELS, PIXELS_A_BYTE_CUT * self._bytes):
            raise SourceError("is cut off: too little of it is left")

    def check_whole(self) -> None:
        if self._bytes > WHOLE_BYTES:
            raise SourceError("is {} MB large: save it as JPEG".format(self._bytes >> 20))


def _decoded(kind: str, f: BinaryIO, header: Header, limits: Limits) -> Still:
    f.seek(0)
    if kind == kinds.PNG:
        _check_png(header.data or b"")
    elif kind in (kinds.HEIF, kinds.AVIF):
        _prepare(kind)
        limits.check_whole()
    if kind == kinds.JPEG and not _same_decoder():
        found = Decoded(_by_opencv(header.data or b""), header.cut, header.orientation, header.pictures)
    else:
        try:
            with _pillow() as pillow:
                found = _by_pillow(pillow, kind, f if header.data is None else io.BytesIO(header.data), header, limits)
        except SourceError:
            if kind not in OWN_DECODER:
                raise
            f.seek(0)
            found = Decoded(_by_opencv(f.read(WHOLE_BYTES) + b"\n"))  # behind a last number there must be something
    missing = 0.0
    if found.cut:
        missing = _empty_rows(found.image) if header.missing is None else header.missing
        if missing >= 1.0 and found.image.size < 3 * BIG_PIXELS:
            raise SourceError("is cut off: nothing of it can be decoded")
    return Still(_upright(found.image, found.turn), missing, found.cut, found.pictures)


def _by_pillow(pillow: Any, kind: str, given: BinaryIO, header: Header, limits: Limits) -> Decoded:
    try:
        image = pillow.open(given, formats=[kind])
        limits.check(*image.size)
        cut, turn = header.cut, header.orientation
        try:
            with quiet() if kind == kinds.TIFF else ExitStack():  # libtiff prints warnings
                image.load()
            if kind == kinds.TIFF and (getattr(image, "_tile_orientation", None) or ORIENTATION not in image.tag_v2):
                turn = 1  # it has turned it itself, as Pillow does for this kind alone
        except FAULTS:
            image.tile, cut = [], True  # what was decoded until then stays
        if kind in (kinds.AVIF, kinds.HEIF):
            turn = orientation_of(image.info.get("exif") or b"")
        several = kind in (kinds.GIF, kinds.AVIF, kinds.HEIF) and getattr(image, "is_animated", False)
        return Decoded(_bgr(image), cut, turn, 2 if several else header.pictures)
    except FAULTS as e:
        if isinstance(e, SourceError):
            raise
        raise SourceError("is damaged: nothing of it can be decoded") from e


def _by_opencv(data: bytes) -> np.ndarray:
    try:
        with quiet():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None:
        raise SourceError("is damaged: nothing of it can be decoded")
    return image


def _same_decoder() -> bool:
    """Whether Pillow's libjpeg is that of OpenCV: another one differs by up to 18 grey levels at the edges of colours."""
    from PIL import features

    return bool(features.check("libjpeg_turbo"))


@contextmanager
def _pillow() -> Iterator[Any]:
    """The module PIL.Image, its warnings and limits switched off: ours were checked already."""
    from PIL import Image

    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pil_log = logging.getLogger("PIL")
        kept, level, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, pil_log.level, None
        pil_log.setLevel(logging.CRITICAL + 1)
        try:
            yield Image
        finally:
            Image.MAX_IMAGE_PIXELS = kept
            pil_log.setLevel(level)


def _prepare(kind: str) -> None:
    """Raises SourceError where this Pillow cannot read what phones write."""
    from PIL import Image

    name = "AVIF" if kind == kinds.AVIF else "HEIC"
    Image.init()
    if kind not in Image.OPEN and importlib.util.find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener()
    if kind not in Image.OPEN:
        cure = "save it as JPEG"
        if kind == kinds.HEIF:
            cure = "{}, or {}".format(install("pillow-heif"), cure)
        raise SourceError("is {}, which cannot be read here: {}".format(name, cure))


def _check_png(data: bytes) -> None:
    """That its pixels begin to unpack, before there is memory for all of them."""
    at = data.find(b"IDAT")
    length = struct.unpack(">I", data[at - 4:at])[0] if at > 0 else 0
    try:
        zlib.decompressobj().decompress(data[at + 4:at + 4 + min(length, PIECE)], PIECE)
    except zlib.error as e:
        raise SourceError("is damaged: nothing of it can be decoded") from e


def _bgr(image: Any) -> np.ndarray:
    """Of any kind of pixels; alpha is dropped, of 16 bits the upper 8 are kept."""
    mode = image.mode
    if mode == "F":
        raise SourceError("holds numbers with fractions, which are no colours: save it with 8 or 16 bits")
    if mode == "I" or mode.startswith("I;"):
        return cv2.cvtColor(_bytes_of(np.asarray(image), image), cv2.COLOR_GRAY2BGR)
    if mode == "LAB":
        signed = np.array([0, 128, 128], np.uint8)  # Pillow's a and b, OpenCV's begin at -128
        return cv2.cvtColor(np.array(image) ^ signed, cv2.COLOR_LAB2BGR)
    if mode in ("1", "L", "LA"):
        return cv2.cvtColor(np.array(image.convert("L")), cv2.COLOR_GRAY2BGR)
    return cv2.cvtColor(np.array(image.convert("RGB")), cv2.COLOR_RGB2BGR)


def _bytes_of(values: np.ndarray, image: Any) -> np.ndarray:
    if values.size and (values.min() < 0 or values.max() > 0xFFFF):
        raise SourceError("holds numbers of 32 bits, which are no colours: save it with 8 or 16 bits")
    bits = tuple(getattr(image, "tag_v2", {}).get(BITS, (16,)))[0]
    return (values >> (bits - 8 if 8 < bits < 16 else 8)).astype(np.uint8)


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        image = cv2.transpose(image)
    code = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return image if code is None else cv2.flip(image, code)


def _empty_rows(image: np.ndarray) -> float:
    """The share of rows at the bottom, or the top of kinds that begin below, that are all of one colour: decoders fill what
    is missing so."""
    shares, some = [], image[:, ::max(1, image.shape[1] // 1024)]
    for rows in (some, some[::-1]):
        filled = (rows != rows[0, 0]).any(axis=(1, 2))
        shares.append(float(np.argmax(filled)) / len(filled) if filled.any() else 1.0)
    return max(shares)
