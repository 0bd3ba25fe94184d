"""What a Linux camera reports: its name, and the formats, sizes and rates that it can give (linux/videodev2.h)."""
import os
import re
import struct
from glob import escape, glob
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

VIDIOC_QUERYCAP = 0x80685600  # _IOR('V', 0, struct v4l2_capability), 104 bytes
VIDIOC_ENUM_FMT = 0xC0405602  # _IOWR('V', 2, struct v4l2_fmtdesc), 64 bytes
VIDIOC_ENUM_FRAMESIZES = 0xC02C564A  # _IOWR('V', 74, struct v4l2_frmsizeenum), 44 bytes
VIDIOC_ENUM_FRAMEINTERVALS = 0xC034564B  # _IOWR('V', 75, struct v4l2_frmivalenum), 52 bytes
CAPABILITY = struct.Struct("16s32s32s3I12x")  # driver, card, bus, version, capabilities, device_caps
FORMAT = struct.Struct("3I32s4s16x")  # index, type, flags, description, pixelformat
SIZE = struct.Struct("I4sI2I16x8x")  # index, pixel_format, type, width, height
INTERVAL = struct.Struct("I4s2II2I16x8x")  # index, pixel_format, width, height, type, numerator, denominator
CAN_CAPTURE, CAN_CAPTURE_PLANES = 0x1, 0x1000
HAS_OWN = 0x80000000  # V4L2_CAP_DEVICE_CAPS: device_caps are those of this node alone
SINGLE, PLANES = 1, 9  # V4L2_BUF_TYPE_VIDEO_CAPTURE and its multi-planar form
DISCRETE = 1  # of sizes and intervals; others are ranges, of which the first numbers are the least
TEGRA = b"tegra-video"  # the driver of a Jetson's sensors, which Argus reads
# a sensor's mosaic: 8 to 16 bits, also packed, compressed; only an ISP makes a picture of it, in a Jetson by Argus
BAYER = re.compile(r"^(BA81|GBRG|GRBG|RGGB|BYR2|(BG|GB|GR|BA|RG)1[0246]|p[BGgR](AA|CC|EE)|[ab][BGgR]A8|BD10)$")
MOST = 64  # of each enumeration: a driver that never ends one is broken


class Mode(NamedTuple):
    """One size in one format; `fps` is the highest rate, None where the driver reports none."""

    format: str  # as fourcc: MJPG, YUYV, RG10 (raw, of a sensor on the ribbon cable)
    width: int
    height: int
    fps: Optional[float]


class Camera(NamedTuple):
    name: str
    modes: Tuple[Mode, ...] = ()
    raw: bool = False  # gives nothing but a sensor's mosaic


def look(path: str) -> Optional[Camera]:
    """None for a node that captures nothing. Raises OSError where it cannot be opened or is no camera."""
    device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        answer = _ask(device, VIDIOC_QUERYCAP, bytes(CAPABILITY.size))
        driver, card, _, _, capabilities, device_caps = CAPABILITY.unpack(answer)
        can = device_caps if capabilities & HAS_OWN else capabilities
        if not can & (CAN_CAPTURE | CAN_CAPTURE_PLANES):
            return None
        name = card.split(b"\0")[0].decode("utf-8", "replace") or "camera"
        formats = _formats(device, SINGLE if can & CAN_CAPTURE else PLANES)
        raw = all(BAYER.match(_text(code)) for code in formats) and bool(formats or driver.startswith(TEGRA))
        return Camera(name, tuple(_modes(device, formats)), raw)
    finally:
        os.close(device)


def ribbon_source(path: str, ask: Callable[[str], Optional[Camera]] = look) -> str:
    """How a ribbon camera whose raw node this is can be read, such as csi://0; "" for any other device. Argus counts the
    sensors as the kernel counts their nodes."""
    device = os.path.realpath(path)
    if not _is_raw(device, ask):
        return ""
    stem = re.sub(r"[0-9]+$", "", device)
    before = [other for other in by_number(glob(escape(stem) + "[0-9]*")) if _number(other) < _number(device)]
    return "csi://{}".format(sum(_is_raw(other, ask) for other in before))


def by_number(paths: Sequence[str]) -> List[str]:
    """video2 before video10."""
    return sorted(paths, key=lambda path: (_number(path), path))


def _number(path: str) -> int:
    digits = re.search(r"([0-9]+)$", path)
    return int(digits.group(1)) if digits else 0


def _is_raw(path: str, ask: Callable[[str], Optional[Camera]]) -> bool:
    try:
        camera = ask(path)
    except (OSError, ImportError):  # no camera, or a system without V4L2
        return False
    return camera is not None and camera.raw


def _ask(device: int, request: int, buffer: bytes) -> bytes:
    import fcntl  # not on Windows, which has no /dev/video*

    return fcntl.ioctl(device, request, buffer)


def _formats(device: int, kind: int) -> List[bytes]:
    return [FORMAT.unpack(answer)[4] for answer in
            _each(device, VIDIOC_ENUM_FMT, lambda n: FORMAT.pack(n, kind, 0, b"", b""))]


def _text(code: bytes) -> str:
    return code.decode("ascii", "replace").strip()


def _modes(device: int, formats: Sequence[bytes]) -> List[Mode]:
    found = []
    for code in formats:
        for size in _each(device, VIDIOC_ENUM_FRAMESIZES, lambda n, code=code: SIZE.pack(n, code, 0, 0, 0)):
            _, _, form, width, height = SIZE.unpack(size)
            if form != DISCRETE:
                width, height = _largest(size)
            found.append(Mode(_text(code), width, height, _rate(device, code, width, height)))
            if form != DISCRETE:
                break
    return found


def _largest(size: bytes) -> Tuple[int, int]:
    """Of a range of sizes: least and most width, its step, least and most height, its step."""
    _, most_wide, _, _, most_high, _ = struct.unpack_from("6I", size, 12)
    return most_wide, most_high


def _rate(device: int, code: bytes, width: int, height: int) -> Optional[float]:
    rates = []
    for answer in _each(device, VIDIOC_ENUM_FRAMEINTERVALS, lambda n: INTERVAL.pack(n, code, width, height, 0, 0, 0)):
        form, numerator, denominator = INTERVAL.unpack(answer)[4:]
        if numerator:
            rates.append(denominator / float(numerator))  # of a range the shortest interval stands first
        if form != DISCRETE:
            break
    return max(rates) if rates else None


def _each(device: int, request: int, question: Any) -> Iterator[bytes]:
    """The answers from index 0 on; the driver refuses the first one that there is not."""
    for n in range(MOST):
        try:
            yield _ask(device, request, question(n))
        except OSError:
            return


def text_of(modes: Tuple[Mode, ...], sizes: int = 4) -> str:
    """The largest sizes of each format, such as "MJPG 1280x720@30 640x480@30, YUYV 640x480@30"."""
    formats: List[str] = []
    for code in sorted({mode.format for mode in modes}):
        largest = sorted((m for m in modes if m.format == code), key=lambda m: (-m.width * m.height, -(m.fps or 0.0)))
        shown = ["{}x{}{}".format(m.width, m.height, "" if m.fps is None else "@{:g}".format(round(m.fps, 1)))
                 for m in largest[:sizes]]
        formats.append(" ".join([code] + shown + (["..."] if len(largest) > sizes else [])))
    return ", ".join(formats)
