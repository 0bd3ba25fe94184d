"""Small films of every kind, made by the program ffmpeg itself: each frame carries its number, as sources_clips has it."""
import os
import subprocess

import numpy as np
import pytest
from sources_clips import find, numbered, read_bytes, write_bytes

from edge.core.errors import SourceError
from edge.host import ffmpeg as programs
from edge.sources.choose import make_source
from edge.sources.spec import SourceOptions

FRAMES, HEIGHT, WIDTH = 12, 48, 128
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "5", "-threads", "1")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params", "log-level=error:pools=1:keyint=5")
MPEG2, MPEG4, MJPEG = ("-c:v", "mpeg2video", "-bf", "2"), ("-c:v", "mpeg4", "-q:v", "3"), ("-c:v", "mjpeg", "-q:v", "3")
VP8 = ("-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "8", "-b:v", "500k", "-g", "5")
VP9 = ("-c:v", "libvpx-vp9", "-auto-alt-ref", "1", "-lag-in-frames", "8", "-b:v", "500k", "-cpu-used", "8")
SOUND = ("-f", "lavfi", "-i", "sine=d=3")
AAC = ("-c:a", "aac", "-b:a", "32k")


def ffmpeg(*words, **more):
    """Run it; its complaint is the test's failure."""
    done = subprocess.run([programs.find().path, "-nostdin" if "input" not in more else "-hide_banner", "-v", "error", "-y"]
                          + list(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **more)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-500:]
    return done.stdout


def has(*encoders):
    """Whether this ffmpeg has them."""
    known = ffmpeg("-hide_banner", "-encoders").decode().split()
    return all(name in known for name in encoders)


def pictures(frames=FRAMES):
    return b"".join(numbered(i, HEIGHT, WIDTH).tobytes() for i in range(frames))


def write_film(path, words, rate="10", frames=FRAMES, before=()):
    """`words` after the inputs, of which that of the pictures is the last; `before` are other inputs."""
    raw = ("-f", "rawvideo", "-pix_fmt", "bgr24", "-s", "{}x{}".format(WIDTH, HEIGHT), "-r", rate, "-i", "pipe:0")
    ffmpeg(*(tuple(before) + raw + tuple(words) + (str(path),)), input=pictures(frames))
    return str(path)


def make(path, words, **more):
    encoder = words[words.index("-c:v") + 1] if "-c:v" in words else None
    if encoder is not None and not has(encoder):
        pytest.skip("this ffmpeg has no encoder " + encoder)
    return write_film(path, words, **more)


def read_film(path, **options):
    """(frames, source) of all that comes; the source is closed."""
    source, frames = make_source(SourceOptions(spec=str(path), **options)), []
    source.open()
    try:
        while True:
            frames.append(source.read(10.0))
    except EOFError:
        return frames, source
    finally:
        source.close()


def second_decoder(path, stream=0):
    """(seconds since the first frame, (height, width)) of each frame, as PyAV has it; None where it is not installed or has
    no decoder for the file."""
    try:
        import av
    except ImportError:
        return None
    frames = []
    try:
        with av.open(str(path)) as container:
            for packet in container.demux(container.streams.video[stream]):
                try:
                    frames += [(f.pts, float(f.time_base or 0), (f.height, f.width)) for f in packet.decode()]
                except (av.error.FFmpegError, ValueError):
                    continue
    except (av.error.FFmpegError, ValueError, IndexError):
        return None
    if any(pts is None for pts, _, _ in frames):
        return [(None, size) for _, _, size in frames]
    return [((pts - frames[0][0]) * unit, size) for pts, unit, size in frames]


def set_matrix(path, a, b, c, d):
    """The display matrix of the first track."""
    data = read_bytes(path)
    start = find(data, b"moov", b"trak", b"tkhd")[-1][0]
    rows = [v << 16 for v in (a, b, 0, c, d, 0, 0, 0)] + [1 << 30]
    rows[2] = rows[5] = 0
    data[start + 48:start + 84] = b"".join(int(v).to_bytes(4, "big", signed=True) for v in rows)
    write_bytes(path, bytes(data))


def upright(image, a, b, c, d):
    """What a display matrix of right angles makes of a picture: x' = a x + c y, y' = b x + d y."""
    if a == 0:
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[::1 if d > 0 else -1, ::1 if a > 0 else -1])


def refusal(path, **options):
    with pytest.raises(SourceError) as error:
        read_film(path, **options)
    text = str(error.value)
    assert "\n" not in text and os.path.basename(str(path)) in text
    return text
