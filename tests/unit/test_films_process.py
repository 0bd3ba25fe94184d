"""The process that decodes a film may hang, crash, flood or be absent: the run goes on, or ends with one line, and nothing is
left behind. What only a broken ffmpeg does is done by a script in its place."""
import os
import signal
import subprocess
import sys
import threading
import time

import films
import pytest
from films import MJPEG, X264, read_film, refusal

from edge.host.ffmpeg import Ffmpeg
from edge.pipeline.ends import Capture
from edge.pipeline.link import LinkClosed
from edge.sources.choose import make_source
from edge.sources.films import decoder
from edge.sources.films import process as ffmpegchild
from edge.sources.spec import SourceOptions
from edge.telemetry.meter import Meter

SCRIPT = """#!/usr/bin/env bash
for last; do :; done
say() {{ echo "[Parsed_showinfo_0 @ 0x1] [info] $*" >&2; }}
show() {{ say "n: $1 pts: $1 pts_time:0 fmt:yuv420p sar:0/1 s:16x16 i:P"; head -c 768 /dev/zero; }}
case "$*" in
*-version*) echo "ffmpeg version 9.0"; exit 0 ;;
*showinfo*) eval "exec ${{last#pipe:}}>&-"; say "config in time_base: 1/10, frame_rate: 10/1"
    {decode} ;;
*) {probe}
    echo "[info]   Stream #0:0: Video: h264, yuv420p, 16x16, 10 fps, 10 tbr, 10 tbn" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """broken(decode, probe) -> a film that a program of that kind reads."""
    def make(decode="", probe=""):
        program = tmp_path / "ffmpeg"
        program.write_text(SCRIPT.format(decode=decode or ":", probe=probe or ":"))
        program.chmod(0o755)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
        (tmp_path / "film.mp4").write_bytes(b"\x00\x00\x00\x08free" + bytes(100))
        if "sleep 30" in decode + probe:  # another one may come to nothing for a while, on a busy machine
            monkeypatch.setattr(ffmpegchild, "SILENCE_S", 0.4)
        return str(tmp_path / "film.mp4")
    return make


def children():
    """Of this process, those that have ended and were not waited for among them."""
    found = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())], stdout=subprocess.PIPE).stdout.decode()
    return [line for line in found.split("\n") if line.strip() and "ps" not in line.split()[-1:]]


def test_a_program_that_crashes_leaves_what_it_has_decoded_and_is_reported(broken):
    frames, source = read_film(broken("show 0; show 1; show 2; kill -SEGV $$"))
    assert [f.seq for f in frames] == [0, 1, 2] and source.lost == 1
    assert "FFmpeg crashed in it (signal 11): 3 of 3 frames could be decoded" in source.warning


def test_a_line_that_another_thread_began_hides_no_frame(broken):
    glued = "echo -n '[ffv1 @ 0x2] [error] slice CRC mismatch 1!n: 1 pts: 1 pts_time:0 fmt:yuv420p sar:0/1 s:16x16 i:P' >&2"
    frames, source = read_film(broken("show 0; {}; echo ' at 1 s' >&2; head -c 768 /dev/zero; show 2".format(glued)))
    assert [f.seq for f in frames] == [0, 1, 2] and source.lost == 0
    assert frames[1].time_s == pytest.approx(0.1)


PIXELS = "head -c 768 /dev/zero"  # of a frame whose line is missing
BROKEN_OFF = "echo -n 'n: 1 pts: 1 pts_ti' >&2"


@pytest.mark.parametrize("decode, times", [
    ("show 0; {0}; show 2; show 3", [0, 1, 2, 3]), ("show 0; {0}; {0}; show 3; show 4", [0, 1, 2, 3, 4]),
    ("show 0; {1}; {0}; show 2; show 3", [0, 1, 2, 3]), ("show 0; {1}; echo >&2; {0}; show 2; {0}", [0, 1, 2, 3]),
    ("say 'n: 1 pts: 1 '; {0}; show 1; show 2", [0, 1, 2]), ("{0}; {0}; show 2", [0, 1, 2]), ("show 0; {0}; {0}", [0, 1, 2]),
    ("show 0; head -c 5000 /dev/zero | tr '\\0' '\\r' >&2; show 1; show 2", [0, 1, 2]),
    ("show 0; show 1; show 0; show 1", [0, 1, 2, 3]),  # the filters were made anew
    ("show 0; show 1; {0}; say 'n: 3 pts: 13 fmt:yuv420p s:16x16 i:P'; {0}", [0, 1, 7, 13]),
])
def test_a_line_that_is_broken_off_joined_or_missing_shifts_no_time_and_no_frame(broken, decode, times):
    frames, source = read_film(broken(decode.format(PIXELS, BROKEN_OFF)))
    assert [f.time_s for f in frames] == pytest.approx([0.1 * tenth for tenth in times])
    assert [f.seq for f in frames] == list(range(len(times))) and source.lost == 0 and source.warning == ""


@pytest.mark.parametrize("ahead_bytes", [1 << 20, 64 << 20])
def test_pixels_whose_line_is_missing_do_not_block_the_lines_behind_them(broken, monkeypatch, ahead_bytes):
    """More than a pipe holds: until they are read, nothing else is written."""
    monkeypatch.setattr(decoder, "AHEAD_BYTES", ahead_bytes)
    large = "say n: {0} pts: {0} pts_time:0 s:1600x900 i:P; {1}"
    pixels = "head -c 4320000 /dev/zero"
    parts = [large.format(0, pixels), pixels, large.format(2, pixels), large.format(3, pixels), pixels]
    frames, source = read_film(broken("; ".join(parts)))
    assert [f.time_s for f in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4]) and source.lost == 0
    assert all(f.image.shape == (900, 1600, 3) for f in frames)


def test_a_missing_line_of_another_size_does_not_shift_the_pixels(broken):
    """Each frame holds its own number. Behind a change of size the filters count anew."""
    pixels = "head -c {} /dev/zero | tr '\\0' '\\{}'".format
    parts = ["show 0", "say 'n: 1 pts: 1 fmt:yuv420p s:16x16 i:P'", pixels(768, 1), pixels(3072, 2),
             "say 'n: 1 pts: 3 fmt:yuv420p s:32x32 i:P'", pixels(3072, 3)]
    frames, _ = read_film(broken("; ".join(parts)))
    assert [(f.image.shape[0], set(f.image.ravel())) for f in frames] == [(16, {0}), (16, {1}), (32, {2}), (32, {3})]


def test_while_nobody_reads_ffmpeg_writes_no_reports_of_its_own(tmp_path):
    """Twice a second, they made one endless line, which hid that of a frame."""
    path = films.make(tmp_path / "a.avi", ("-c:v", "mjpeg", "-vf", "scale=640:480"), frames=160)
    source = make_source(SourceOptions(spec=path))
    source.open()
    source.read(10.0)  # and what memory allows ahead of it
    lines, told = source._recording._decoder._child._process.stderr, ""
    give_up = time.monotonic() + 60
    while "showinfo" not in told and time.monotonic() < give_up:
        time.sleep(0.1)
        told += (lines.read(1 << 16) or b"").decode()
    time.sleep(1.5)
    told += (lines.read(1 << 16) or b"").decode()
    source.close()
    assert "showinfo" in told and "fps=" not in told


def test_a_hang_is_waited_for_once_not_at_each_frame_that_is_ready(monkeypatch):
    class Child:
        has_packet_lines, frames, waits, give_up = True, 5, 0, None

        def __init__(self, argv, memory_bytes, on_line, on_packet_line):
            for number in range(self.frames):
                on_line("n: {0} pts: {0} pts_time:0 s:16x16 i:P".format(number))

        def pump(self, buffer, lines_first=False):
            if not self.frames or lines_first:
                self.waits += 1
                raise ffmpegchild.FfmpegHangs()
            self.frames -= 1
            return len(buffer)

    monkeypatch.setattr(decoder, "FfmpegChild", Child)
    one = decoder.Decoder(Ffmpeg("ffmpeg", (9, 0)), decoder.Wanted("a.avi", 0, "mjpeg", 10 ** 6, 100))
    for _ in range(5):
        assert one.next().image.shape == (16, 16, 3)
    with pytest.raises(ffmpegchild.FfmpegHangs):
        one.next()
    assert one._child.waits == 1


@pytest.mark.parametrize("decode, probe, part", [
    ("", "sleep 30", "hangs"), ("sleep 30", "", "hangs"), ("show 0; show 1; show 2; sleep 30", "", "hangs in it after"),
    ("exit 1", "", "no picture in it can be decoded"), ("kill -SEGV $$", "", "no picture in it can be decoded"),
    ("", "kill -SEGV $$", "no video that FFmpeg 9.0 can read"), ("head -c 30000000 /dev/zero >&2", "", "no picture"),
    ("", "head -c 3000000 /dev/zero | tr '\\0' '\\n' >&2", "no picture in it can be decoded"),
])
def test_a_program_that_does_no_good_is_one_line_and_is_gone(broken, decode, probe, part):
    before = children()
    assert part in refusal(broken(decode, probe))
    assert children() == before


def test_another_thread_can_close_what_hangs(broken, monkeypatch):
    monkeypatch.setattr(ffmpegchild, "SILENCE_S", 60.0)
    source = make_source(SourceOptions(spec=broken("show 0; show 1; show 2; sleep 60")))
    source.open()
    closer = threading.Timer(0.3, source.close)
    closer.start()
    began = time.monotonic()
    with pytest.raises(EOFError):
        while True:
            source.read(0.1)
    closer.join()
    assert time.monotonic() - began < 30 and not children()


def test_where_there_is_no_ffmpeg_the_cure_is_reported(tmp_path, monkeypatch):
    path = films.make(tmp_path / "a.mp4", X264)
    monkeypatch.setattr("edge.host.ffmpeg.find", lambda: None)
    assert "-m pip install 'imageio-ffmpeg" in refusal(path)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    assert "unset IMAGEIO_FFMPEG_EXE" in refusal(path)


def test_a_larger_film_than_is_allowed_is_refused_before_it_is_decoded(tmp_path):
    path = films.make(tmp_path / "a.mp4", X264)
    assert "128x48 is larger than source.max_pixels, 4096" in refusal(path, max_pixels=4096)
    path = films.make(tmp_path / "a.gif", ("-f", "gif"))
    assert "source.max_pixels, 4096" in refusal(path, max_pixels=4096)


def test_the_program_ends_when_we_are_killed(tmp_path):
    path = films.make(tmp_path / "a.avi", ("-c:v", "mjpeg", "-vf", "scale=640:480"), frames=100)
    body = "import time; from edge.sources.choose import make_source; from edge.sources.spec import SourceOptions\n" \
           "s = make_source(SourceOptions(spec={!r})); s.open(); s.read(1.0)\n" \
           "print(s._recording._decoder._child._process.pid, flush=True); time.sleep(60)".format(path)
    here = os.path.dirname(os.path.abspath(__file__))
    paths = os.pathsep.join([os.path.join(here, "..", ".."), here])
    ours = subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=paths))
    pid = int(ours.stdout.readline())
    os.kill(pid, 0)  # it is there
    ours.send_signal(signal.SIGKILL)
    ours.wait()
    ours.stdout.close()
    give_up = time.monotonic() + 30
    while is_running(pid) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid):
    try:
        with open("/proc/{}/stat".format(pid)) as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def spoiled(path, *numbers):
    """A film of JPEGs, some of which no decoder takes."""
    data = bytearray(open(path, "rb").read())
    starts = [i for i in range(len(data) - 3) if data[i:i + 3] == b"\xff\xd8\xff"]
    for number in numbers:
        data[starts[number] + 2:starts[number] + 200] = bytes(198)
    with open(path, "wb") as f:
        f.write(bytes(data))
    return path


@pytest.mark.parametrize("bad", [(3,), (0,), (0, 1), (11,), (2, 5, 11), (0, 11)])
def test_a_frame_that_cannot_be_decoded_is_a_gap_is_counted_and_is_reported(tmp_path, bad):
    path = spoiled(films.make(tmp_path / "a.avi", MJPEG), *bad)
    source = make_source(SourceOptions(spec=path))
    meter = Meter([], 0.0)
    source.open()
    capture, seqs = Capture(source, lambda: False, meter, time.monotonic), []
    with pytest.raises(LinkClosed):
        while True:
            seqs.append(capture.get()[1].frame.seq)
    source.close()
    assert seqs == [i for i in range(films.FRAMES) if i not in bad]
    assert meter.summary(1.0)["stages"]["capture"]["dropped"] == source.lost == len(bad)
    assert source.warning == "{}: {} of 12 frames could be decoded".format(path, 12 - len(bad))


def test_a_run_that_ends_before_the_film_reports_what_was_lost_so_far(tmp_path):
    path = spoiled(films.make(tmp_path / "a.avi", MJPEG), 2)
    source = make_source(SourceOptions(spec=path))
    source.open()
    assert [source.read(1.0).seq for _ in range(5)] == [0, 1, 3, 4, 5] and source.warning == ""
    source.close()
    assert source.lost == 1 and source.warning == path + ": 5 of 6 frames could be decoded"


def test_frames_that_nobody_waits_for_any_more_are_not_lost(tmp_path):
    """close() may come from another thread while a frame is being waited for."""
    path = spoiled(films.make(tmp_path / "a.avi", MJPEG), 2)
    source = make_source(SourceOptions(spec=path))
    source.open()
    come = [source.read(1.0).seq for _ in range(3)]
    source._recording.give_up()
    with pytest.raises(EOFError):
        while True:
            come.append(source.read(1.0).seq)
    source.close()
    assert len(come) < films.FRAMES - 1 and source.lost == 1
    assert source.warning == "{}: {} of {} frames could be decoded".format(path, len(come), len(come) + 1)


def test_a_system_without_fcntl_and_resource_has_everything_but_films():
    body = "import sys; sys.modules.update(fcntl=None, resource=None); import edge.app.run, edge.cli.main; print(1)"
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    assert subprocess.check_output([sys.executable, "-c", body], cwd=root) == b"1\n"
