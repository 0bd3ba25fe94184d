"""The program ffmpeg as an encoder: raw frames with their times go in, an MP4 in fragments comes out, one for each frame.

It is a process of its own that goes on when we are killed: its input ends, and it writes what it has. The frames travel as
uncompressed Matroska, a live one (RFC 9559): each in a cluster of its own, with its time in microseconds.
"""
import errno
import os
import re
import select
import signal
import struct
import subprocess
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from edge.core import clock
from edge.host.ffmpeg import Ffmpeg, ask, environment
from edge.outputs.pictures.films.mp4 import TICKS

KEY_S = 1.0  # from one frame where a player can start to the next
STUCK_S = 30.0  # an encoder that takes nothing for so long hangs
ENDS_S = 20.0  # for the last frames, once its input has ended
KEPT = 2000  # last characters of its standard error
THREADS = 2  # more leave the tracker less
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class EncoderEnded(Exception):
    """It ended before its input did, or hangs; the text has the last line of its standard error."""


class Codec(NamedTuple):
    """One of the encoders that a build of ffmpeg may have."""

    encoder: str
    title: str
    options: Tuple[str, ...]  # {fps}: frames per second, {bits}: a second
    most: int  # pixels, of width and height
    note: str = ""  # for the user


OTHER = "is in {}, since {{}} has no encoder for H.264; {}"
CODECS = (
    # without B-frames and lookahead: what went in comes out. `fps` is what its level is counted from, not the time base
    Codec("libx264", "H.264", (
        "-preset", "veryfast", "-tune", "zerolatency", "-crf", "21", "-x264-params",
        "fps={fps}:colorprim=bt709:transfer=bt709:colormatrix=smpte170m"), 16384),
    Codec("libopenh264", "H.264", ("-b:v", "{bits}"), 3840),
    Codec("libvpx-vp9", "VP9", (
        "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-crf", "32", "-b:v", "0", "-strict", "-2"), 16384,
        OTHER.format("VP9", "most players and browsers take it")),
    Codec("mpeg4", "MPEG-4 part 2", ("-q:v", "4"), 8190, OTHER.format("MPEG-4 part 2", "no browser plays it")),
)


@lru_cache(maxsize=None)
def codec_of(program: Ffmpeg) -> Optional[Codec]:
    """The best that it has; None where it has none of them."""
    names = re.findall(r"^ V[\w.]{5} (\S+)", ask(program.path, "-hide_banner", "-encoders"), re.MULTILINE)
    return next((codec for codec in CODECS if codec.encoder in names), None)


class Picture(NamedTuple):
    """What all frames of a film have."""

    width: int  # even, as height is
    height: int
    step_s: float  # how long a frame stands as a rule

    @property
    def ticks(self) -> int:
        return max(1, int(round(self.step_s * TICKS)))


def command(program: Ffmpeg, codec: Codec, picture: Picture) -> List[str]:
    """From standard input to standard output."""
    fps = min(240.0, max(1.0, 1.0 / picture.step_s))
    bits = int(picture.width * picture.height * fps * 0.15)
    base = ["-enc_time_base", "1/{}".format(TICKS)] if program.version >= (4, 0) else ["-r", str(TICKS)]
    return [program.path, "-hide_banner", "-loglevel", "error", "-nostdin",
            "-analyzeduration", "0", "-fpsprobesize", "0", "-f", "matroska", "-i", "pipe:0", "-map", "0:v:0",
            *program.every_frame, *base, "-c:v", codec.encoder, "-threads", str(THREADS), "-pix_fmt", "yuv420p",
            *[option.format(fps="{:.3f}".format(fps), bits=bits) for option in codec.options],
            "-force_key_frames", "expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+{}))".format(KEY_S),
            "-f", "mp4", "-video_track_timescale", str(TICKS),
            "-movflags", "empty_moov+default_base_moof+frag_every_frame", "-flush_packets", "1", "pipe:1"]


class Encoder:
    """Used in one thread. Its methods raise OSError where its disk is full, else EncoderEnded."""

    def __init__(self, program: Ffmpeg, codec: Codec, picture: Picture, film: int) -> None:
        """`film`: the descriptor that is written to, from where it stands."""
        with _signals_blocked():
            self._process = subprocess.Popen(
                command(program, codec, picture), stdin=subprocess.PIPE, stdout=film, stderr=subprocess.PIPE, bufsize=0,
                restore_signals=False,  # a file that is too large for a limit is an error, and no death by SIGXFSZ
                start_new_session=True, env=environment())
        assert self._process.stdin is not None and self._process.stderr is not None
        self._in, self._err = self._process.stdin.fileno(), self._process.stderr.fileno()
        for fd in (self._in, self._err):
            os.set_blocking(fd, False)
        self._stderr = b""
        self._head = head(picture)

    @property
    def pid(self) -> int:
        return self._process.pid

    def write(self, time_s: float, yuv: np.ndarray) -> None:
        """`time_s` since the first frame, `yuv` (H * 3/2, W) uint8: I420."""
        self._read_stderr()
        first, self._head = self._head, b""
        self._send(memoryview(first + cluster(time_s, yuv.nbytes)))
        self._send(np.ascontiguousarray(yuv).reshape(-1).data)

    def check(self) -> None:
        """Whether it still runs."""
        if self._process.poll() is not None:
            raise self._trouble()

    def _send(self, data: memoryview) -> None:
        poll, at, last = select.poll(), 0, clock.monotonic()
        poll.register(self._in, select.POLLOUT)
        while at < len(data):
            try:
                at += os.write(self._in, data[at:])
                last = clock.monotonic()
            except BlockingIOError:
                poll.poll(1000.0)
                if clock.monotonic() - last > STUCK_S:
                    self._process.kill()
                    raise EncoderEnded("the encoder hangs")
            except BrokenPipeError:
                self._wait(ENDS_S)
                raise self._trouble()

    def close(self) -> None:
        """No more frames come: returns when all are written. May be called twice."""
        stdin, stderr = self._process.stdin, self._process.stderr
        if stdin is None or stdin.closed:
            return
        stdin.close()
        self._wait(ENDS_S)
        try:
            if self._process.returncode:
                raise self._trouble()
        finally:
            if stderr is not None:
                stderr.close()

    def _wait(self, timeout_s: float) -> None:
        """For its end; it is killed where that does not come. Reads its messages, or it would wait for room in the pipe."""
        end = clock.monotonic() + timeout_s
        while True:
            self._read_stderr()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
                break
            if clock.monotonic() > end:
                self._process.kill()
                self._process.wait()
                break
        self._read_stderr()

    def _read_stderr(self) -> None:
        with suppress(OSError):
            while True:
                more = os.read(self._err, KEPT)
                if not more:
                    return
                self._stderr = (self._stderr + more)[-KEPT:]

    def _trouble(self) -> Exception:
        self._read_stderr()
        text = self._stderr.decode("utf-8", "replace")
        for number in FULL:
            if os.strerror(number) in text:
                return OSError(number, os.strerror(number))
        lines = [re.sub(r"^(\[[^\]]*\] )+", "", line).strip() for line in text.splitlines()]
        code = self._process.returncode
        ended = "was killed by signal {}".format(-code) if code and code < 0 else "ended with {}".format(code)
        return EncoderEnded(": ".join(["the encoder " + ended] + [line for line in lines if line][-1:]))


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """A child that is started meanwhile never sees those that end us: it would leave out the last frames."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


EBML, DOC_TYPE, SEGMENT, INFO, SCALE, APP = "1A45DFA3", "4282", "18538067", "1549A966", "2AD7B1", "4D80"
TRACKS, TRACK, NUMBER, UID, KIND, CODEC, STEP = "1654AE6B", "AE", "D7", "73C5", "83", "86", "23E383"
VIDEO, WIDTH, HEIGHT, FOURCC, CLUSTER, TIME, BLOCK = "E0", "B0", "BA", "2EB524", "1F43B675", "E7", "A3"
ENDLESS = b"\x01" + b"\xff" * 7  # the size of what is not known to end


def element(name: str, data: bytes) -> bytes:
    return bytes.fromhex(name) + _size(len(data)) + data


def _size(length: int) -> bytes:
    return struct.pack(">Q", 1 << 56 | length)


def _number(name: str, value: int) -> bytes:
    return element(name, struct.pack(">Q", value))


def head(picture: Picture) -> bytes:
    """What comes before the first frame."""
    video = _number(WIDTH, picture.width) + _number(HEIGHT, picture.height) + element(FOURCC, b"I420")
    track = (_number(NUMBER, 1) + _number(UID, 1) + _number(KIND, 1) + element(CODEC, b"V_UNCOMPRESSED")
             + _number(STEP, int(round(picture.step_s * 1e9))) + element(VIDEO, video))
    return (element(EBML, element(DOC_TYPE, b"matroska")) + bytes.fromhex(SEGMENT) + ENDLESS
            + element(INFO, _number(SCALE, 1000) + element(APP, b"nanoface")) + element(TRACKS, element(TRACK, track)))


def cluster(time_s: float, length: int) -> bytes:
    """What comes before the `length` bytes of a frame."""
    return (bytes.fromhex(CLUSTER) + ENDLESS + _number(TIME, int(round(time_s * 1e6)))
            + bytes.fromhex(BLOCK) + _size(length + 4) + b"\x81\x00\x00\x80")
