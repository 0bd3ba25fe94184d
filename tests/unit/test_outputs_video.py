"""Films and pictures that were written can be opened again, with everything in them."""
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from films_back import frames_of, times_of

from edge.core.errors import OutputError
from edge.core.packet import Face, Frame, Packet, Roi
from edge.host import ffmpeg
from edge.outputs.pictures import video
from edge.outputs.pictures.films import encoder, film
from edge.outputs.pictures.overlay import Overlay
from edge.outputs.pictures.video import FilmClock, VideoOutput, fitted
from edge.outputs.spec import parse_output

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FACE = Face(1, Roi(30.0, 30.0, 40.0, 0.0), 0.9, (10.0, 10.0, 50.0, 50.0))


def packet(seq, size=(64, 48), time_s=None, level=90):
    image = np.full((size[1], size[0], 3), level, np.uint8)
    return Packet(Frame(seq, 1.0 + seq, seq / 25.0 if time_s is None else time_s, image), (FACE,))


def opened(path, blocking=True, fps=25.0):
    output = VideoOutput(parse_output("video:" + str(path)), blocking, Overlay(), lambda: fps)
    output.open()
    return output


def write(path, packets, fps=25.0):
    output = opened(path, fps=fps)
    for item in packets:
        output.emit(item)
    output.close()
    output.close()


def boxes(path):
    """The names of its outermost boxes."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        names.append(data[at + 4:at + 8])
        length = int.from_bytes(data[at:at + 4], "big")
        at += int.from_bytes(data[at + 8:at + 16], "big") if length == 1 else length
    return names


@pytest.mark.parametrize("size, found", [((64, 48), (64, 48)), ((65, 49), (64, 48)), ((320, 240), (320, 240)),
                                         ((1, 1), (2, 2)), ((7, 333), (6, 332)), ((5000, 2), (5000, 2))])
def test_every_frame_of_a_file_is_in_the_film_once(tmp_path, size, found):
    path = tmp_path / "new" / "a.mp4"
    write(path, [packet(i, size) for i in range(12)])
    times, end = times_of(path)
    assert times == pytest.approx([i / 25.0 for i in range(12)], abs=1e-4) and end == pytest.approx(12 / 25.0, abs=1e-4)
    frames = frames_of(path)
    assert len(frames) == 12 and {frame.shape for frame in frames} == {(found[1], found[0], 3)}
    assert os.listdir(str(path.parent)) == ["a.mp4"]


@pytest.mark.parametrize("most, names", [(1 << 24, [b"ftyp", b"moov", b"mdat"]), (0, [b"ftyp", b"mdat", b"moov"])],
                         ids=["a short one", "a long one"])
def test_a_whole_film_has_an_index_and_is_what_browsers_play(tmp_path, monkeypatch, most, names):
    monkeypatch.setattr(film, "MOST_COPIED", most)
    path = tmp_path / "a.mp4"
    write(path, [packet(i) for i in range(60)])
    assert boxes(path) == names and len(frames_of(path)) == 60
    times, end = times_of(path)
    assert times == pytest.approx([i / 25.0 for i in range(60)], abs=1e-4) and end == pytest.approx(2.4, abs=1e-4)
    assert b"avc1" in path.read_bytes()
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.frames) == ("h264", "yuv420p", 60)
        assert container.duration == pytest.approx(2.4e6, abs=2000) and stream.duration == 144000
        keys = [float(p.pts * p.time_base) for p in container.demux(stream) if p.is_keyframe and p.pts is not None]
    assert keys == pytest.approx([0.0, 1.0, 2.0])


@pytest.mark.parametrize("fps, times", [
    (25.0, [0.0, 0.04, 0.05, 0.2, 0.21, 1.9]),  # a variable rate
    (0.05, [0.0, 20.0, 40.0, 60.0]),
    (240.0, [i / 240.0 for i in range(50)]),
    (29.97, [i * 1001 / 30000.0 for i in range(40)]),
    (30.0, [0.0, 0.0333, 12.0, 12.0333]),  # nothing for twelve seconds
    (30.0, [7200.0, 7200.5]),  # from the middle of a film
], ids=["variable", "0.05 fps", "240 fps", "29.97 fps", "a gap", "later"])
def test_a_film_has_the_times_of_its_source(tmp_path, fps, times):
    write(tmp_path / "a.mp4", [packet(i, time_s=time_s) for i, time_s in enumerate(times)], fps=fps)
    found, end = times_of(tmp_path / "a.mp4")
    assert found == pytest.approx([time_s - times[0] for time_s in times], abs=0.001)
    assert end == pytest.approx(times[-1] - times[0] + 1.0 / fps, abs=0.001)


@pytest.mark.parametrize("fps, step_s", [
    (None, 1 / 30.0), (float("nan"), 1 / 30.0), (0.0, 1 / 30.0), (-5.0, 1 / 30.0), (29.97, 1 / 29.97), (1e9, 1 / 240.0)])
def test_a_rate_that_is_not_known_becomes_a_usual_one(tmp_path, fps, step_s):
    write(tmp_path / "a.mp4", [packet(0)], fps=fps)
    assert times_of(tmp_path / "a.mp4") == ([0.0], pytest.approx(step_s, abs=1e-4))


@pytest.mark.parametrize("times, found", [
    ([5.0, 5.1, 100.0], [0.0, 0.1, 95.0]),  # the source was gone for a while
    ([5.0, 5.1, 0.0, 0.1], [0.0, 0.1, 0.2, 0.3]),  # it was opened again and counts from zero
    ([0.0, 0.0, 0.0], [0.0, 0.1, 0.2]),
    ([0.0, 1e6, 1e6 + 0.1], [0.0, 0.1, 0.2]),
])
def test_the_time_of_a_film_never_goes_back(times, found):
    clock = FilmClock(0.1)
    assert [clock.time(time_s) for time_s in times] == pytest.approx(found)


def test_frames_of_another_size_are_fitted_between_bars(tmp_path):
    write(tmp_path / "a.mp4", [packet(i, size) for i, size in enumerate([(64, 48), (48, 96), (640, 480)])])
    frames = frames_of(tmp_path / "a.mp4")
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3
    assert frames[1][:, :14].mean() < 20 and frames[1][:, -14:].mean() < 20 and frames[1][40:, 28:36].mean() > 60


@pytest.mark.parametrize("width, height", [(64, 48), (65, 49), (48, 64), (200, 10), (1, 1), (1000, 1001)])
def test_a_picture_is_fitted_without_changing_its_shape(width, height):
    picture = np.full((height, width, 3), 200, np.uint8)
    out = fitted(picture, (64, 48))
    rows, columns = np.where(out.max(axis=2) > 0)
    h, w = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
    assert out.shape == (48, 64, 3) and (w == 64 or h == 48)
    assert abs(w - h * width / height) <= max(1.0, width / height)


def test_the_colours_are_those_of_the_frames(tmp_path):
    image = np.zeros((240, 320, 3), np.uint8)
    image[:, :160], image[:, 160:] = (40, 60, 200), (180, 120, 30)
    write(tmp_path / "a.mp4", [Packet(Frame(i, 0.0, i / 25.0, image), ()) for i in range(3)])
    last = frames_of(tmp_path / "a.mp4")[-1]
    assert np.abs(last[180:, 20:140].mean(axis=(0, 1)) - (40, 60, 200)).max() < 8
    assert np.abs(last[180:, 180:300].mean(axis=(0, 1)) - (180, 120, 30)).max() < 8


@pytest.mark.parametrize("codec", encoder.CODECS, ids=[codec.encoder for codec in encoder.CODECS])
def test_every_encoder_that_this_ffmpeg_has_makes_a_film(tmp_path, monkeypatch, codec):
    monkeypatch.setattr(encoder, "CODECS", (codec,))
    monkeypatch.setattr(video, "codec_of", encoder.codec_of.__wrapped__)
    if encoder.codec_of.__wrapped__(ffmpeg.find()) is None:
        pytest.skip("this ffmpeg has no {}".format(codec.encoder))
    output = opened(tmp_path / "a.mp4")
    for i in range(40):
        output.emit(packet(i, (160, 120)))
    output.close()
    assert times_of(tmp_path / "a.mp4")[0] == pytest.approx([i / 25.0 for i in range(40)], abs=0.001)
    assert len(frames_of(tmp_path / "a.mp4")) == 40
    assert (codec.title in output.note) == (codec.title != "H.264")


def test_frames_that_no_film_can_hold_are_one_clear_line(tmp_path):
    output = opened(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match="frames of 16386x2 are too large for H.264.*16384.*images:FOLDER"):
        output.emit(packet(0, (16386, 2)))
    output.close()
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("name", ["12:30.mp4", "a,b.mp4", "two  blanks .mp4", "%d.mp4", "a\nb.mp4", "-x.mp4", "'q'.mp4",
                                  "x" * 251 + ".mp4", "\udce9.mp4"])
def test_any_name_is_the_name_of_the_film(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # and again, over the older one
        write(name, [packet(i) for i in range(3)])
        assert os.listdir(".") == [name]
    os.rename(name, "a.mp4")
    assert len(frames_of("a.mp4")) == 3


def test_an_older_film_stays_until_the_new_one_plays(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("old")
    opened(path).close()
    assert path.read_text() == "old", "a run without a frame"
    output = opened(path)
    output.emit(packet(0))
    assert path.read_text() == "old"
    output.emit(packet(1))
    end = time.monotonic() + 30.0
    while path.read_bytes() == b"old" and time.monotonic() < end:
        output.emit(packet(output._sent))
        time.sleep(0.01)
    assert os.listdir(str(tmp_path)) == ["a.mp4"] and len(frames_of(path)) > 0
    sent = output._sent
    output.close()
    assert len(frames_of(path)) == sent and os.listdir(str(tmp_path)) == ["a.mp4"]


def test_what_makes_ffmpeg_write_reports_is_not_passed_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FFREPORT", "file=report.log:level=48")
    output = opened(tmp_path / "a.mp4")
    output.emit(packet(0))
    output.close()
    assert os.listdir(str(tmp_path)) == ["a.mp4"]


def test_a_run_without_a_frame_leaves_no_film(tmp_path):
    opened(tmp_path / "a.mp4").close()
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("older", [False, True])
def test_an_encoder_that_does_not_work_leaves_what_was_there(tmp_path, monkeypatch, older):
    if older:
        (tmp_path / "a.mp4").write_text("old")
    monkeypatch.setattr(encoder, "command", lambda *_: ["sh", "-c", "echo '[x @ 1] bad luck' >&2; exit 7"])
    output = opened(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match="the encoder ended with 7: bad luck; use --output images:FOLDER"):
        for i in range(200):
            output.emit(packet(i))
    output.close()
    assert [p.read_text() for p in tmp_path.iterdir()] == (["old"] if older else [])


def test_an_encoder_that_cannot_be_started_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(encoder, "command", lambda *_: [str(tmp_path / "gone")])
    output = opened(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match="No such file"):
        output.emit(packet(0))
    output.close()
    assert os.listdir(str(tmp_path)) == []


def test_without_ffmpeg_the_line_names_the_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "find", lambda: None)
    with pytest.raises(OutputError, match="pip install 'imageio-ffmpeg.*images:FOLDER"):
        opened(tmp_path / "a.mp4")
    monkeypatch.setattr(ffmpeg, "find", lambda: ffmpeg.Ffmpeg("/bin/true", (4, 0)))
    with pytest.raises(OutputError, match="/bin/true has no encoder"):
        opened(tmp_path / "a.mp4")
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("make", [lambda d: d / "folder.mp4", lambda d: d / "file" / "a.mp4"])
def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path, make):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as caught:
        opened(make(tmp_path))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_film_goes_through_a_pipe(tmp_path):
    path = tmp_path / "pipe.mp4"
    os.mkfifo(str(path))
    with open(str(tmp_path / "copy.mp4"), "wb") as copy:
        reader = subprocess.Popen(["cat", str(path)], stdout=copy)
    write(path, [packet(i) for i in range(20)])
    assert reader.wait() == 0 and stat.S_ISFIFO(path.stat().st_mode)
    assert len(frames_of(tmp_path / "copy.mp4")) == 20


def test_what_is_written_comes_soon_at_any_rate(tmp_path):
    """A frame that was sent is on the disk once the next one is: then an encoder that is killed loses one."""
    path = tmp_path / "a.mp4"
    output = opened(path, fps=0.5)
    for i in range(5):
        output.emit(packet(i, time_s=2.0 * i))
        assert i == 0 or times_of(path)[0][-1] >= 2.0 * (i - 1) - 0.001
    output.close()


STOPPED = """
import signal, sys, threading
import numpy as np
from edge.core.packet import Frame, Packet
from edge.outputs.pictures.overlay import Overlay
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_output
from edge.outputs.pictures.video import VideoOutput

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
output = VideoOutput(parse_output("video:" + sys.argv[1]), True, Overlay(), lambda: 30.0)
sender = Sender(output, capacity=4)
sender.start()
sent = 0
while not stop.is_set():
    sent += sender.put(Packet(Frame(sent, 0.0, sent / 30.0, np.full((48, 64, 3), sent % 256, np.uint8))))
    if sent == 20:
        print(output._encoder.pid, flush=True)
assert sender.close(60.0) and sender.error is None, sender.error
print(sent, flush=True)
"""


def test_a_film_is_whole_after_sigterm_to_us_and_to_the_encoder(tmp_path):
    path = tmp_path / "a.mp4"
    child = subprocess.Popen([sys.executable, "-c", STOPPED, str(path)], cwd=ROOT, stdout=subprocess.PIPE,
                             env=dict(os.environ, PYTHONPATH=ROOT))
    os.kill(int(child.stdout.readline()), signal.SIGTERM)  # as systemd does
    time.sleep(0.2)
    child.send_signal(signal.SIGTERM)
    sent = int(child.communicate()[0])
    assert child.returncode == 0 and sent >= 20
    assert len(frames_of(path)) == sent
