"""Films and pictures that were written can be opened again, with everything in them."""
import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

from edge.core.packet import Face, Frame, Packet, Roi
from edge.errors import OutputError
from edge.outputs.overlay import Style
from edge.outputs.spec import parse_output
from edge.outputs.video import VideoOutput, fitted

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FACE = Face(1, Roi(30.0, 30.0, 40.0, 0.0), 0.9, (10.0, 10.0, 50.0, 50.0))


def packet(seq, size=(64, 48), time_s=None, level=90):
    image = np.full((size[1], size[0], 3), level, np.uint8)
    return Packet(Frame(seq, 1.0 + seq, seq / 25.0 if time_s is None else time_s, image), (FACE,))


def opened(path, blocking=True, fps=25.0):
    output = VideoOutput(parse_output("video:" + str(path)), blocking, Style(), lambda: fps)
    output.open()
    return output


def read_back(path):
    """Frames of a film, and its frames per second."""
    film = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = film.read()
        if not ok:
            break
        frames.append(frame)
    fps = film.get(cv2.CAP_PROP_FPS)
    film.release()
    return frames, fps


@pytest.mark.parametrize("size, found", [((64, 48), (64, 48)), ((65, 49), (64, 48)), ((320, 240), (320, 240))])
def test_every_frame_of_a_file_is_in_the_film_once(tmp_path, size, found):
    path = tmp_path / "new" / "a.mp4"
    output = opened(path)
    for i in range(12):
        output.emit(packet(i, size))
    output.close()
    frames, fps = read_back(path)
    assert len(frames) == 12 and fps == pytest.approx(25.0)
    assert {frame.shape for frame in frames} == {(found[1], found[0], 3)}


@pytest.mark.parametrize("fps, found", [
    (None, 30.0), (float("nan"), 30.0), (0.0, 30.0), (-5.0, 30.0), (29.97, 29.97), (1e9, 240.0)])
def test_a_rate_that_is_not_known_becomes_a_usual_one(tmp_path, fps, found):
    output = opened(tmp_path / "a.mp4", fps=fps)
    output.emit(packet(0))
    output.close()
    assert read_back(tmp_path / "a.mp4")[1] == pytest.approx(found, abs=0.01)


def test_frames_of_another_size_are_fitted_between_bars(tmp_path):
    output = opened(tmp_path / "a.mp4")
    for i, size in enumerate([(64, 48), (48, 96), (640, 480)]):
        output.emit(packet(i, size))
    output.close()
    frames, _ = read_back(tmp_path / "a.mp4")
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


@pytest.mark.parametrize("times, count", [
    ([0.0, 0.1, 0.2, 0.3], 4),  # a camera at the film's rate
    ([0.0, 0.2, 0.4, 0.6], 7),  # every other frame was dropped
    ([i * 0.05 for i in range(9)], 5),  # a camera that is twice as fast
    ([0.0, 0.1, 100.0, 100.1], 4),  # the source was gone for a while
    ([5.0, 5.1, 0.0, 0.1], 4),  # it was opened again and counts from zero
])
def test_a_film_of_a_camera_keeps_the_time(tmp_path, times, count):
    output = opened(tmp_path / "a.mp4", blocking=False, fps=10.0)
    for i, time_s in enumerate(times):
        output.emit(packet(i, time_s=time_s))
    output.close()
    assert len(read_back(tmp_path / "a.mp4")[0]) == count


def test_a_run_without_a_frame_leaves_no_film_not_even_an_old_one(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("old")
    opened(path).close()
    assert not path.exists()


@pytest.mark.parametrize("make", [lambda d: d / "folder.mp4", lambda d: d / "file" / "a.mp4"])
def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path, make):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as caught:
        opened(make(tmp_path))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_writer_that_does_not_open_is_an_error(tmp_path):
    folder = tmp_path / "gone"
    output = opened(folder / "a.mp4")
    folder.rmdir()
    with pytest.raises(OutputError, match="cannot write MP4"):
        output.emit(packet(0))
    output.close()


def test_a_film_that_cannot_be_played_is_an_error(tmp_path):
    path = tmp_path / "a.mp4"
    output = opened(path)
    output.emit(packet(0))
    path.unlink()
    with pytest.raises(OutputError, match="free some space"):
        output.close()
    output.close()


STOPPED = """
import signal, sys, threading
import numpy as np
from edge.core.packet import Frame, Packet
from edge.outputs.overlay import Style
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_output
from edge.outputs.video import VideoOutput

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
sender = Sender(VideoOutput(parse_output("video:" + sys.argv[1]), True, Style(), lambda: 30.0), capacity=4)
sender.start()
sent = 0
while not stop.is_set():
    sent += sender.put(Packet(Frame(sent, 0.0, sent / 30.0, np.full((48, 64, 3), sent % 256, np.uint8))))
    if sent == 20:
        print("running", flush=True)
assert sender.close(10.0) and sender.error is None, sender.error
print(sent, flush=True)
"""


def test_a_film_can_be_played_after_sigterm(tmp_path):
    path = tmp_path / "a.mp4"
    child = subprocess.Popen([sys.executable, "-c", STOPPED, str(path)], cwd=ROOT, stdout=subprocess.PIPE,
                             env=dict(os.environ, PYTHONPATH=ROOT))
    assert child.stdout.readline() == b"running\n"
    child.send_signal(signal.SIGTERM)
    sent = int(child.communicate()[0])
    assert child.returncode == 0 and sent >= 20
    assert len(read_back(path)[0]) == sent
