"""What a film holds, as the program ffmpeg prints it before it decodes anything, and why one cannot be read."""
import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from edge.core.errors import SourceError
from edge.host.ffmpeg import Ffmpeg
from edge.sources.films.decoder import common, opened
from edge.sources.films.header import Header
from edge.sources.films.packets import COPY, PacketLines, Times
from edge.sources.films.process import PACKETS_PIPE, FfmpegChild, FfmpegHangs

STREAM = re.compile(r"^(?:\[info\])?\s*Stream #0:(\d+)\S*: (Video|Audio|Subtitle|Data|Attachment): (\w+)(.*)$")
SIZE = re.compile(r", (\d+)x(\d+)\b")
RATE = re.compile(r"([\d.]+)(k?) (fps|tbr)\b")
LENGTH = re.compile(r"Duration: (\d+):(\d\d):(\d\d\.\d+)(?:, start: (-?[\d.]+))?")
TOO_LARGE = re.compile(r"Picture size (\d+x\d+) exceeds specified max pixel")
ENCRYPTED = re.compile(r"DRM protected|[Ee]ncrypted")
NO_DECODER = re.compile(r"[Dd]ecoder .*not found|no decoder found")
STILL = ("(attached pic)", "(timed thumbnails)")
MOST_STREAMS, MOST_LINES, MOST_PACKETS = 64, 4096, 1 << 17
SMALL_BYTES = 16 << 20  # a film whose packets are counted at once; of a longer one, its header's numbers have to do
OUTPUTS = re.compile(r"(?:Output #|Stream mapping:)")  # where the film's own lines end
MEMORY_BYTES = 320 << 20  # to look at a film; ffmpeg decodes a frame of some kinds for it, and does without where it cannot


class Stream(NamedTuple):
    """One of pictures that follow each other. `number` counts those, `at` all streams."""

    at: int
    number: int
    codec: str
    size: Optional[Tuple[int, int]]
    fps: float  # 0 where unknown
    default: bool


class Film(NamedTuple):
    streams: Tuple[Stream, ...]
    stills: int  # covers
    sounds: Tuple[str, ...]  # codecs
    length_s: Optional[float]
    start_s: float
    lines: Tuple[str, ...]  # that ffmpeg printed
    times_s: Times = []  # of the packets of the first stream, where they were counted

    def best(self) -> Stream:
        """What players show: the default one, the largest, the first. Raises ValueError where there is none."""
        def rank(stream: Stream) -> Tuple[bool, bool, int, int]:
            width, height = stream.size or (0, 0)
            return stream.codec != "none", stream.default, width * height, -stream.at
        return max(self.streams, key=rank)


def look(ffmpeg: Ffmpeg, path: str, listed: bool, most_pixels: int) -> Film:
    """Raises SourceError where it takes too long."""
    lines: List[str] = []
    times: Times = []
    packets = PacketLines()

    def on_line(line: str) -> None:
        if len(lines) < (2 * MOST_LINES if STREAM.match(line) else MOST_LINES):
            lines.append(line)

    def on_packet_line(line: str) -> None:
        packet = packets.read(line)
        if packet is not None and not packet.hidden and len(times) <= MOST_PACKETS:
            times.append(packet.time_s)

    argv = common(ffmpeg, most_pixels) + opened(path, listed)
    if not listed and os.path.getsize(path) <= SMALL_BYTES:
        argv += ["-map", "0:V:0?"] + COPY + [PACKETS_PIPE]
    child = FfmpegChild(argv, MEMORY_BYTES, on_line, on_packet_line)
    try:
        while child.pump(None) >= 0:
            pass
    except FfmpegHangs:
        raise SourceError("{} cannot be read: FFmpeg hangs in it".format(path)) from None
    finally:
        child.end()
    return parse_lines(lines)._replace(times_s=times if len(times) <= MOST_PACKETS else [])


def parse_lines(lines: List[str]) -> Film:
    streams: List[Stream] = []
    sounds: List[str] = []
    length_s, start_s, stills = None, 0.0, 0
    for line in lines:
        if OUTPUTS.search(line) is not None:
            break
        stream, length = STREAM.match(line), LENGTH.search(line)
        if stream is not None and len(streams) + len(sounds) < MOST_STREAMS:
            index, kind, codec, rest = stream.groups()
            if kind == "Audio":
                sounds.append(codec)
            elif kind == "Video" and any(text in rest for text in STILL):
                stills += 1
            elif kind == "Video":
                streams.append(_stream(int(index), len(streams), codec, rest))
        elif length is not None and length_s is None:
            hours, minutes, seconds, start = length.groups()
            length_s, start_s = 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds), float(start or 0.0)
    return Film(tuple(streams), stills, tuple(sounds), length_s, start_s, tuple(lines))


def _stream(index: int, number: int, codec: str, rest: str) -> Stream:
    size = SIZE.search(rest)
    rates: Dict[str, float] = {unit: float(value) * (1000.0 if kilo else 1.0) for value, kilo, unit in RATE.findall(rest)}
    fps = rates.get("fps") or rates.get("tbr") or 0.0
    return Stream(index, number, codec, (int(size.group(1)), int(size.group(2))) if size else None, fps, "(default)" in rest)


def why_not(path: str, film: Film, header: Header, head: bytes, version: Tuple[int, int],
            complaints: List[str]) -> str:
    """One line: why no picture of it can be shown, as far as that is known. `complaints`: of the decoder."""
    printed = "\n".join(film.lines + tuple(complaints))
    ours = "{}.{}".format(*version)
    if ENCRYPTED.search(printed):
        return encrypted(path)
    if not film.streams and (film.sounds or film.stills):
        what = " and a cover" if film.sounds and film.stills else ""
        kind = "sound alone ({}{})".format(", ".join(film.sounds), what) if film.sounds else "a still picture alone"
        return "{} is no video: it holds {}".format(path, kind)
    if film.streams:
        codec = film.best().codec
        if codec == "none" or NO_DECODER.search(printed):
            cure = "turn them into H.264, as ffmpeg -i IN -c:v libx264 OUT.mp4 does with a newer one"
            return "{}: FFmpeg {} does not know how its pictures are coded ({}): {}".format(
                path, ours, _coded(codec, film.lines), cure)
        return "{}: no picture in it can be decoded ({}): is it damaged?".format(path, codec)
    if "moov atom not found" in printed and header.brand:
        return "{} is no video that can be read: its index (moov) is missing: it was cut off, or its recording never " \
               "ended".format(path)
    if head and not head.translate(None, bytes(range(32, 256)) + b"\t\r\n\f\x1b"):
        return "{} is no video: it looks like text".format(path)
    return "{} is no video that FFmpeg {} can read: is it damaged, cut off or another kind of file?".format(path, ours)


def _coded(codec: str, lines: Tuple[str, ...]) -> str:
    """Its name, or the file's four characters for an unknown one."""
    found = next((re.search(r"Video: none \((\w{4})", line) for line in lines if "Video: none (" in line), None)
    return found.group(1) if found is not None else codec


def encrypted(path: str) -> str:
    return "{} is encrypted (DRM): it can be read only where its key is; take a copy that is not".format(path)


def too_large(path: str, size: str, most_pixels: int) -> str:
    return "{}: its picture of {} is larger than source.max_pixels, {}: allow more there if you trust it".format(
        path, size, most_pixels)
