"""The parts of a live source, each alone: the reader of a device, shared memory, stillness, the camera daemon, waiting."""
import os
import threading
import time

import cv2
import numpy as np
import pytest
from patience import PATIENCE_S, wait_until

from edge.core.errors import SourceError
from edge.host.ring import HEADER, SLOTS, STAMP, WRITING, RingReader, RingWriter, shared_file
from edge.sources.child.parent import ChildBackend
from edge.sources.choose import make_source
from edge.sources.live import argus
from edge.sources.live.backend import MAX_HUNG, ThreadBackend
from edge.sources.live.camera import CameraOpener, FirstCamera
from edge.sources.live.device import AbsentError, Mode, Opener, Reader, Timeouts
from edge.sources.live.source import LiveSource
from edge.sources.live.watch import FrozenFrameDetector
from edge.sources.picture import FrameTransform
from edge.sources.spec import SourceOptions

PLAIN = FrameTransform(SourceOptions(), scale=False)
QUICK = Timeouts(first_frame_s=0.5, again_s=0.5, silence_s=0.2, retry_s=0.02, retry_max_s=0.05, failed_read_s=0.002)


class Script(Opener):
    """Gives the pictures in turn, the last again and again; None cannot be grabbed. `stamps`: of POS_MSEC, in s."""

    name = "script"

    def __init__(self, pictures, stamps=()):
        self.pictures, self.stamps, self.stamped, self.count = list(pictures), list(stamps), bool(stamps), 0

    def open(self):
        return self

    def grab(self):
        time.sleep(0.001)
        self.count += 1
        return self.pictures[min(self.count, len(self.pictures)) - 1] is not None

    def get(self, name):
        assert name == cv2.CAP_PROP_POS_MSEC
        return 1000.0 * self.stamps[min(self.count, len(self.stamps)) - 1]

    def retrieve(self):
        return True, self.pictures[min(self.count, len(self.pictures)) - 1]

    def release(self):
        pass


def picture(value=50, size=(24, 32)):
    return np.full(size + (3,), value, np.uint8)


def read_all(script, count, timeouts=QUICK):
    """What a reader delivers until that many pictures came."""
    told, stop = [], threading.Event()

    def deliver(at, image, size):
        told.append((at, image, size))
        if len(told) >= count:
            stop.set()

    Reader(script, PLAIN, timeouts, deliver).run(script, stop)
    return told


def test_the_time_of_capture_is_the_drivers_where_it_is_of_our_clock():
    now = time.monotonic()
    told = read_all(Script([picture()], [now - 0.02, now - 0.01]), 2)
    assert [at for at, _, _ in told] == [pytest.approx(now - 0.02), pytest.approx(now - 0.01)]


@pytest.mark.parametrize("stamp", [0.0, -1.0, time.time(), 1e300, float("nan")])
def test_a_time_of_another_clock_is_not_believed(stamp):
    before = time.monotonic()
    assert before <= read_all(Script([picture()], [stamp]), 1)[0][0] <= time.monotonic()


def test_times_never_go_back():
    now = time.monotonic()
    times = [at for at, _, _ in read_all(Script([picture()], [now - 0.01, now - 0.5, now - 0.01]), 4)]
    assert all(b > a for a, b in zip(times, times[1:]))


def test_pictures_that_cannot_be_used_are_reported_once_there_was_a_good_one():
    told = read_all(Script([picture()[:0], picture(1), np.zeros((1, 99), np.float32), picture(2, (8, 8)), picture(3)]), 4)
    assert [None if image is None else image[0, 0, 0] for _, image, _ in told] == [1, None, None, 3]
    assert {size for _, _, size in told} == {(32, 24)}


def test_another_size_that_stays_ends_the_opening():
    with pytest.raises(SourceError, match="script: the picture changed from 32x24 to 8x16"):
        read_all(Script([picture(), picture(size=(16, 8))]), 10 ** 6, QUICK._replace(changed_s=0.05))


def test_pictures_cross_shared_memory_whole_or_not_at_all():
    with shared_file() as file:
        writer, reader = RingWriter(file.fileno()), RingReader(file.fileno())
        places = [writer.put(picture(n)) for n in range(SLOTS + 1)]
        assert reader.take(places[0]) is None  # its slot was written again
        copies = [reader.take(place) for place in places[1:]]
        assert [copy[3, 4, 2] for copy in copies] == list(range(1, SLOTS + 1))
        assert not any(copy.flags.writeable for copy in copies)
        larger = writer.put(picture(77, (480, 640)))  # the memory grows
        assert (reader.take(larger) == 77).all() and (copies[0] == 1).all()
        STAMP.pack_into(writer._map, larger["at"], WRITING)
        assert reader.take(larger) is None  # being written just now
        assert reader.take(dict(larger, at=10 ** 9)) is None and HEADER % 64 == 0
        reader.close()
        reader.close()


def test_shared_memory_that_is_full_is_one_clear_line(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with shared_file() as file:
        with pytest.raises(SourceError, match="no room for pictures of 32x24 in .*--size"):
            RingWriter(file.fileno()).put(picture())


def test_a_frozen_picture_is_the_same_to_the_bit():
    still, image = FrozenFrameDetector(), picture()
    assert [still.add(image.copy(), at) for at in (1.0, 2.0, 3.5)] == [0.0, 1.0, 2.5]
    image[5, 7, 1] += 1  # a pixel that the sample does not see
    assert still.add(image.copy(), 4.0) == 0.0 and still.add(image, 5.0) == 1.0
    assert still.add(picture(51), 6.0) == 0.0


def test_the_same_picture_before_and_after_a_loss_stands_not_still():
    still = FrozenFrameDetector()
    still.add(picture(), 1.0)
    still.interrupted()
    assert still.add(picture(), 9.0) == 0.0 and still.add(picture(), 9.5) == 0.5


def test_the_daemon_is_asked_to_restart_after_three_failures_and_rarely(tmp_path):
    now, request = [0.0], tmp_path / "restart-argus"
    cure = argus.ArgusRestart({argus.VARIABLE: str(request)}, lambda: now[0])
    assert [cure.failed(False), cure.failed(False)] == ["", ""] and not request.exists()
    assert cure.failed(False) == argus.ASKED and request.exists()
    request.unlink()
    now[0] = argus.RARELY_S - 1
    assert cure.failed(False) == argus.ASKED and not request.exists()
    now[0] = argus.RARELY_S + 1
    cure.worked()
    assert cure.failed(True) == argus.BY_HAND and not request.exists()  # its client was killed: said at once
    cure.failed(True)
    assert cure.failed(True) == argus.ASKED and request.exists()


def test_where_nobody_would_see_the_request_the_cure_is_reported(tmp_path):
    cure = argus.ArgusRestart({argus.VARIABLE: str(tmp_path / "nowhere" / "x")})
    assert [cure.failed(False) for _ in range(3)] == ["", "", argus.BY_HAND]


class Door(Script):
    """Closed until `there` is set."""

    def __init__(self, there):
        super().__init__([picture(1), picture(2)])
        self.there = there

    def open(self):
        if not self.there.is_set():
            raise AbsentError("there is no camera door: plug one in", "no camera at door")
        self.count = 0
        return self


def test_a_source_that_waits_says_so_and_begins_when_its_device_comes():
    there = threading.Event()
    source = LiveSource(Door(there), PLAIN, QUICK, wait=True)
    source.open()
    wait_until(lambda: source.read(0.01) is None and source.absent)
    assert source.trouble == "no camera at door" and source.lost_since is None
    there.set()
    wait_until(lambda: source.read(0.05) is not None)
    assert not source.absent and source.trouble == ""
    source.close()


def test_a_driver_that_keeps_what_tried_it_is_reported(monkeypatch):
    monkeypatch.setattr(ThreadBackend, "hung", MAX_HUNG)
    source = LiveSource(Door(threading.Event()), PLAIN, QUICK, wait=True)
    source.open()
    wait_until(lambda: source.read(0.01) is None and "restart the machine" in source.trouble)
    assert source.absent
    source.close()


def test_close_ends_an_opening_without_an_error():
    there, feed = threading.Event(), []

    class Stuck(Door):
        def open(self):
            feed.append(there.wait(PATIENCE_S))
            raise SourceError("late")

    source = LiveSource(Stuck(there), PLAIN, QUICK._replace(first_frame_s=PATIENCE_S))
    threading.Timer(0.05, source.close).start()
    source.open()  # comes back, and there is nothing to read
    with pytest.raises(EOFError):
        source.read(0.1)
    there.set()


def test_the_daemons_camera_says_what_may_be_wrong_with_it(monkeypatch, tmp_path):
    monkeypatch.setenv(argus.VARIABLE, str(tmp_path / "restart-argus"))
    door = Door(threading.Event())
    door.daemon = argus.DAEMON
    source = LiveSource(door, PLAIN, QUICK, wait=True)
    source.open()
    wait_until(lambda: source.read(0.05) is None and argus.ASKED in source.trouble)
    assert (tmp_path / "restart-argus").exists() and "no camera at door" in source.trouble
    source.close()


def test_a_first_camera_that_waits_takes_the_one_that_works():
    there, devices, made = threading.Event(), [], []

    def make(device):
        source = LiveSource(Door(there), PLAIN, QUICK)
        source.name = device
        made.append(source)
        return source

    source = FirstCamera(make, 30.0, devices, wait=True)
    source.open()
    assert source.absent and source.trouble == "no camera is plugged in" and source.read(0.05) is None
    source._search_at = 0.0
    devices += ["one", "two"]
    wait_until(lambda: source.read(0.05) is None and len(made) >= 2)
    there.set()
    wait_until(lambda: setattr(source, "_search_at", 0.0) or source.read(0.05) is not None)
    assert source.name in devices and not source.absent and source.trouble == source.doubt == "" and source.fps == 30.0
    source.close()
    with pytest.raises(EOFError):
        source.read(0.1)


def test_a_first_camera_that_does_not_wait_raises():
    source = FirstCamera(lambda device: None, devices=[])
    with pytest.raises(SourceError, match="no camera was found"):
        source.open()


@pytest.mark.parametrize("spec", ["0", "rtsp://host/s", "csi://0", "gst:videotestsrc"])
@pytest.mark.parametrize("process, feed", [("thread", ThreadBackend), ("auto", ChildBackend), ("child", ChildBackend)])
def test_which_backend_reads_the_device(spec, process, feed, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    source = make_source(SourceOptions(spec, process=process, wait=True))
    assert type(source._backend) is feed and source._wait
    source.close()


def test_elsewhere_than_on_linux_a_thread_reads(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert type(make_source(SourceOptions("0", process="auto"))._backend) is ThreadBackend
    with pytest.raises(SourceError.__mro__[1], match="needs Linux"):
        make_source(SourceOptions("0", process="child"))


def test_a_camera_that_was_absent_is_remembered_by_its_lasting_name(tmp_path, monkeypatch):
    links = tmp_path / "by-id"
    links.mkdir()
    monkeypatch.setattr("edge.sources.live.camera.stable_link.__defaults__", (str(links),))
    opener = CameraOpener(str(tmp_path / "video0"), Mode())
    assert opener._link is None
    (tmp_path / "video0").write_text("")
    (links / "usb-Cam").symlink_to(tmp_path / "video0")
    opener.remember()
    assert opener._link == str(links / "usb-Cam")
