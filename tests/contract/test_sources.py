"""What every source promises the pipeline, kept by each of them."""
import threading
import time

import cv2
import numpy as np
import pytest
from patience import PATIENCE_S, wait_until

from edge.core.contracts import Source
from edge.core.errors import SourceError
from edge.core.packet import Frame
from edge.sources.choose import make_source
from edge.sources.spec import SourceOptions

FRAMES = 12


class Camera:
    """A working cv2.VideoCapture of 100 pictures a second that overwrites nothing but hands out fresh arrays."""

    def __init__(self, *_):
        self.count = 0

    def isOpened(self):
        return True

    def set(self, *_):
        return True

    def get(self, _):
        return 100.0

    def grab(self):
        time.sleep(0.01)
        self.count += 1
        return True

    def retrieve(self):
        return True, np.full((48, 64, 3), self.count % 256, np.uint8)

    def release(self):
        self.count = -1


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Kind of source -> a source of at least FRAMES pictures."""
    monkeypatch.setattr("edge.sources.live.gstreamer.has_gstreamer", lambda: True)
    (tmp_path / "video0").write_text("")
    monkeypatch.setattr("edge.sources.live.camera.present_cameras", lambda: [str(tmp_path / "video0")])
    monkeypatch.setattr("edge.sources.live.camera.explain_absence", lambda device, name: None)
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 100, (64, 48))
    (tmp_path / "folder").mkdir()
    for i in range(FRAMES):
        image = np.full((48, 64, 3), 20 * i, np.uint8)
        writer.write(image)
        cv2.imwrite(str(tmp_path / "folder" / "{:02}.png".format(i)), image)
    writer.release()
    writer = cv2.VideoWriter(str(tmp_path / "long.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 100, (64, 48))
    for i in range(200):  # two seconds: also who gets no turn for a while sees some of them
        writer.write(np.full((48, 64, 3), i, np.uint8))
    writer.release()
    options = {
        "video": SourceOptions(str(tmp_path / "v.avi")),
        "video, realtime": SourceOptions(str(tmp_path / "long.avi"), pace="realtime"),
        "video, turned": SourceOptions(str(tmp_path / "v.avi"), rotate=90, flip="horizontal", width=32),
        "folder": SourceOptions(str(tmp_path / "folder")),
        "folder, looped": SourceOptions(str(tmp_path / "folder"), loop=True),
        "portrait": SourceOptions("portrait"),
        "portrait, realtime": SourceOptions("portrait", pace="realtime", fps=100),
        "camera": SourceOptions("0"), "first camera": SourceOptions(), "stream": SourceOptions("rtsp://host/s"),
        "ribbon camera": SourceOptions("csi://0", flip="both"), "pipeline": SourceOptions("gst:videotestsrc"),
    }

    def build(kind):
        recorded = kind.split(",")[0] in ("video", "folder", "portrait")
        return make_source(options[kind]) if recorded else make_source(options[kind], Camera)
    return build


RECORDED = ["video", "video, turned", "folder", "folder, looped", "portrait"]
LIVE = ["video, realtime", "portrait, realtime", "camera", "first camera", "stream", "ribbon camera", "pipeline"]
every_kind = pytest.mark.parametrize("kind", RECORDED + LIVE)


def take(source, count):
    """That many frames, or all there are."""
    frames, give_up = [], time.time() + 20
    while len(frames) < count and time.monotonic() < give_up:
        try:
            frame = source.read(0.2)
        except EOFError:
            break
        if frame is not None:
            frames.append(frame)
    return frames


@every_kind
def test_frames_are_numbered_timed_and_sealed(make, kind):
    source = make(kind)
    assert isinstance(source, Source) and source.live is (kind in LIVE)
    source.open()
    frames = take(source, 6)
    source.close()
    assert len(frames) >= 3 and all(isinstance(f, Frame) for f in frames)
    seqs = [f.seq for f in frames]
    assert seqs[0] >= 0 and all(b > a for a, b in zip(seqs, seqs[1:]))
    assert all(b.time_s > a.time_s and b.captured_at >= a.captured_at for a, b in zip(frames, frames[1:]))
    for frame in frames:
        image = frame.image
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
        assert image.flags.c_contiguous and not image.flags.writeable


@every_kind
def test_a_frame_is_never_overwritten_by_a_later_one(make, kind):
    source = make(kind)
    source.open()
    first = take(source, 1)[0]
    copy = first.image.copy()
    later = take(source, 5)
    source.close()
    assert np.array_equal(first.image, copy)
    assert later and not any(np.shares_memory(first.image, f.image) for f in later)


@pytest.mark.parametrize("kind", RECORDED)
def test_a_recorded_source_drops_nothing_and_begins_at_zero(make, kind):
    source = make(kind)
    source.open()
    frames = take(source, FRAMES + 3)
    source.close()
    assert [f.seq for f in frames] == list(range(len(frames))) and frames[0].time_s == 0
    assert len(frames) == (FRAMES + 3 if kind in ("portrait", "folder, looped") else FRAMES)


@pytest.mark.parametrize("kind", ["video", "folder", "video, realtime"])
def test_the_end_is_the_end_every_time(make, kind):
    source = make(kind)
    source.open()
    take(source, 1000)
    for _ in range(3):
        with pytest.raises(EOFError):
            source.read(0)
    source.close()


@every_kind
def test_close_may_come_twice_early_and_from_another_thread(make, kind):
    never_opened = make(kind)
    never_opened.close()
    source = make(kind)
    source.open()
    take(source, 2)
    closer = threading.Thread(target=source.close)
    closer.start()
    take(source, 1000000 if kind not in RECORDED else 1)
    closer.join(PATIENCE_S)
    assert not closer.is_alive()
    source.close()
    with pytest.raises(EOFError):
        source.read(0)


@every_kind
def test_the_status_and_the_pipeline_can_ask_every_source_the_same(make, kind):
    source = make(kind)
    source.open()
    assert isinstance(source.name, str) and source.name and "\n" not in source.name
    assert source.warning == "" or kind in ("camera", "first camera", "ribbon camera")
    assert source.lost_since is None and source.stills in (True, False)
    assert source.frame_count is None or source.frame_count >= FRAMES
    assert source.fps is None or source.fps > 0
    source.close()


@pytest.mark.parametrize("kind", ["camera", "stream", "pipeline"])
def test_what_does_not_open_leaves_nothing_behind(make, kind, monkeypatch):
    monkeypatch.setattr(Camera, "isOpened", lambda self: False)
    source = make(kind)
    with pytest.raises(SourceError) as error:
        source.open()
    assert "\n" not in str(error.value)
    wait_until(lambda: not any(t.name == "capture " + source.name for t in threading.enumerate()))
