"""Cameras: the newest frame and no other, and no way to bring the reader down: unplugged, hanging, talking nonsense."""
import os
import threading
import time

import cv2
import numpy as np
import pytest
from patience import PATIENCE_S, stretched, wait_until

from edge.core.errors import SourceError
from edge.sources.choose import make_source
from edge.sources.live.camera import CameraOpener, FirstCamera, camera_mode, stable_link
from edge.sources.live.gstreamer import has_gstreamer
from edge.sources.live.source import MAX_HUNG, LiveSource, Mode, Opener, Timeouts
from edge.sources.picture import FrameTransform
from edge.sources.spec import SourceOptions

QUICK = Timeouts(first_frame_s=0.6, silence_s=0.15, retry_s=0.02, retry_max_s=0.05, failed_read_s=0.002)
PLAIN = FrameTransform(SourceOptions(), scale=False)


class FakeCamera:
    """Stands in for cv2.VideoCapture. `script` is called at each grab: an image, None for a failure, or it hangs."""

    def __init__(self, script, opens=True):
        self.script, self.opens = script, opens
        self.asked, self.released, self.image = [], threading.Event(), None

    def isOpened(self):
        return self.opens

    def set(self, name, value):
        self.asked.append((name, value))
        return True

    def get(self, name):
        return 0.0

    def grab(self):
        self.image = self.script()
        return self.image is not None

    def retrieve(self):
        return True, self.image

    def release(self):
        self.released.set()


class Driver:
    """The factory: hands out cameras in order, the last one again and again, and remembers what it was asked for."""

    def __init__(self, *cameras):
        self.cameras, self.asked = list(cameras), []

    def __call__(self, target, api):
        self.asked.append(target)
        made = self.cameras[min(len(self.asked), len(self.cameras)) - 1]
        return made() if callable(made) else made


def picture(value=50, size=(480, 640)):
    return np.full(size + (3,), value, np.uint8)


def steady(value=50, size=(480, 640)):
    def script():
        time.sleep(0.002)
        return picture(value, size)
    return script


@pytest.fixture
def device(tmp_path):
    """A file that stands for /dev/video0: it can be unplugged."""
    path = tmp_path / "video0"
    path.write_text("")
    return path


def live(device, driver, timeouts=QUICK, mode=None, shape=PLAIN):
    return LiveSource(CameraOpener(str(device), mode or Mode(), driver), shape, stretched(timeouts))


def next_frame(source):
    found = []
    wait_until(lambda: found.append(source.read(0.02)) or found[-1] is not None)
    return found[-1]


def test_frames_are_numbered_at_the_driver_and_only_the_newest_is_kept(device):
    count, gate = [0], threading.Semaphore(0)

    def script():
        gate.acquire()
        count[0] += 1
        return picture(count[0])
    gate.release()
    source = live(device, Driver(FakeCamera(script)))
    source.open()
    first = source.read(1.0)
    for _ in range(5):
        gate.release()
    wait_until(lambda: source._backend.number == 5)
    newest = source.read(1.0)
    assert (first.seq, newest.seq) == (0, 5) and newest.image[0, 0, 0] == 6
    assert first.time_s == 0 and newest.time_s == newest.captured_at - first.captured_at
    assert first.image[0, 0, 0] == 1 and not first.image.flags.writeable  # not overwritten by the later ones
    assert source.read(0) is None
    gate.release()
    source.close()


def test_what_the_camera_is_asked_for_comes_in_the_order_that_drivers_need(device):
    camera = FakeCamera(steady())
    source = live(device, Driver(camera))
    source.open()
    source.close()
    assert camera.asked == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*"MJPG")), (cv2.CAP_PROP_FRAME_WIDTH, 640),
        (cv2.CAP_PROP_FRAME_HEIGHT, 480), (cv2.CAP_PROP_FPS, 30), (cv2.CAP_PROP_BUFFERSIZE, 2)]


@pytest.mark.parametrize("mode, mjpg", [
    (Mode(640, 480, 30), True), (Mode(1280, 720, 30), True), (Mode(1280, 720, 60), True),
    (Mode(320, 240, 30), False), (Mode(640, 480, 15), False),
])
def test_compressed_pictures_are_asked_for_where_raw_ones_do_not_fit(device, mode, mjpg):
    camera = FakeCamera(steady())
    CameraOpener(str(device), mode, Driver(camera)).open()
    assert (cv2.CAP_PROP_FOURCC in dict(camera.asked)) is mjpg


@pytest.mark.parametrize("options, mode", [
    ({}, (640, 480, 30)), ({"width": 1280}, (1280, 960, 30)), ({"height": 240}, (320, 240, 30)),
    ({"width": 1280, "height": 720, "fps": 60}, (1280, 720, 60)), ({"fps": 15.0}, (640, 480, 15)),
])
def test_the_default_mode_and_what_one_side_means(options, mode):
    assert tuple(camera_mode(SourceOptions(**options))) == mode


def refused():
    return FakeCamera(steady(), opens=False)


def broken():
    raise cv2.error("no such ioctl")


@pytest.mark.parametrize("camera, message", [
    (refused, "cannot be opened"), (broken, "cannot be opened"),
    (lambda: FakeCamera(lambda: None), "no picture within"),
    (lambda: FakeCamera(lambda: np.zeros((0, 0, 3), np.uint8)), "no picture within"),
    (lambda: FakeCamera(lambda: np.zeros((1, 614400), np.float32)), "no picture within"),
    (lambda: FakeCamera(broken), "the driver failed"),
])
def test_a_camera_that_gives_no_picture_at_the_start_is_an_error(device, camera, message):
    source = live(device, Driver(camera))
    with pytest.raises(SourceError, match=message):
        source.open()
    wait_until(lambda: not threads_of(source))


def threads_of(source):
    return [t for t in threading.enumerate() if t.name == "capture " + source.name]


@pytest.mark.parametrize("failure", ["no answer", "error", "garbage"])
def test_an_unplugged_camera_is_opened_again_and_nothing_is_raised(device, failure):
    plugged = threading.Event()
    plugged.set()

    def script():
        if plugged.is_set():
            return steady()()
        if failure == "error":
            broken()
        return np.zeros((0, 0), np.uint8) if failure == "garbage" else None
    made = []
    driver = Driver(lambda: made.append(FakeCamera(script)) or made[-1])
    source = live(device, driver)
    source.open()
    before = next_frame(source)
    plugged.clear()
    device.unlink()
    wait_until(lambda: source.read(0.01) is None and source.lost_since is not None)
    assert source.lost_since >= before.captured_at
    wait_until(lambda: made[0].released.is_set())
    assert all(source.read(0.005) is None for _ in range(50))
    device.write_text("")
    plugged.set()
    after = next_frame(source)
    assert source.lost_since is None and after.seq > before.seq and after.time_s > before.time_s
    source.close()
    wait_until(lambda: made[-1].released.is_set())


def hanging():
    """A script that gives one picture, then hangs until the event is set."""
    free, given = threading.Event(), []

    def script():
        if given:
            free.wait()
            return None
        given.append(1)
        return picture(200)
    return script, free


def test_close_comes_back_although_the_driver_hangs(device):
    script, free = hanging()
    camera = FakeCamera(script)
    source = live(device, Driver(camera))
    source.open()
    source.close()
    assert not free.is_set() and not camera.released.is_set()
    with pytest.raises(EOFError):
        source.read(1.0)
    free.set()
    assert camera.released.wait(PATIENCE_S)  # the thread frees the device when the driver lets go of it


def test_a_hanging_camera_is_given_up_and_another_opening_goes_on(device):
    script, free = hanging()
    stuck = FakeCamera(script)
    source = live(device, Driver(stuck, FakeCamera(steady(100))))
    source.open()
    assert next_frame(source).image[0, 0, 0] == 200
    frame = next_frame(source)
    assert frame.image[0, 0, 0] == 100 and frame.seq == 1 and source.hung == 1
    free.set()
    assert stuck.released.wait(PATIENCE_S)
    wait_until(lambda: source.hung == 0)
    source.close()


def test_threads_that_hang_are_few(device):
    free, started = threading.Event(), []

    def never():
        if len(started) > 1:
            free.wait()
        started.append(1)
        return picture()
    driver = Driver(lambda: FakeCamera(never))
    source = live(device, driver, QUICK._replace(first_frame_s=0.05))
    source.open()
    wait_until(lambda: source.read(0.01) is None and source.hung == MAX_HUNG)
    opened = len(driver.asked)
    assert all(source.read(0.01) is None for _ in range(20)) and len(driver.asked) == opened == MAX_HUNG
    free.set()
    assert next_frame(source) is not None
    source.close()


def test_each_failure_doubles_the_pause_up_to_the_longest(monkeypatch):
    now, gone, opened_at = [1000.0], threading.Event(), []
    monkeypatch.setattr("edge.core.clock.monotonic", lambda: now[0])

    class Door(Opener):
        name = "door"

        def open(self):
            opened_at.append(now[0])
            if gone.is_set():
                raise SourceError("gone")
            return FakeCamera(lambda: None if gone.is_set() else steady()())
    source = LiveSource(Door(), PLAIN, Timeouts(silence_s=2.0, retry_s=0.5, retry_max_s=5.0, failed_read_s=0.001))
    source.open()
    gone.set()
    source.read(0)
    while len(opened_at) < 8:
        now[0] += 0.0625
        source.read(0)
        if now[0] > 1002.25:
            wait_until(lambda: not threads_of(source))  # the attempt has failed
    pauses = np.diff(opened_at)
    assert pauses[0] == pytest.approx(2.5, abs=0.2)  # silence, then the first pause
    assert pauses[1:] == pytest.approx([1, 2, 4, 5, 5, 5], abs=0.2)
    source.close()


def test_a_replugged_camera_is_found_under_its_new_number(tmp_path):
    links = tmp_path / "by-id"
    links.mkdir()
    for number in (0, 1):
        (tmp_path / "video{}".format(number)).write_text("")
    (links / "usb-Maker-Cam").symlink_to(tmp_path / "video0")
    link = stable_link(str(tmp_path / "video0"), str(links))
    assert link == str(links / "usb-Maker-Cam") == stable_link(link, str(links))
    assert stable_link(str(tmp_path / "video1"), str(links)) is None
    driver = Driver(FakeCamera(steady()))
    opener = CameraOpener(link, Mode(), driver)
    opener._link = link
    opener.open()
    (links / "usb-Maker-Cam").unlink()
    (links / "usb-Maker-Cam").symlink_to(tmp_path / "video1")
    opener.open()
    assert [os.path.basename(target) for target in driver.asked] == ["video0", "video1"]


def test_the_first_camera_that_gives_a_picture_is_taken(tmp_path):
    devices = [str(tmp_path / "video{}".format(n)) for n in range(3)]
    for path in devices[1:]:
        open(path, "w").close()
    driver = Driver(refused, FakeCamera(steady(9)))
    source = FirstCamera(lambda device: live(device, driver), devices=devices)
    source.open()
    assert source.name == devices[2] and next_frame(source).image[0, 0, 0] == 9 and source.lost_since is None
    source.close()


def test_where_no_camera_works_each_reason_is_reported_and_the_demo_named(tmp_path):
    devices = [str(tmp_path / "video{}".format(n)) for n in range(2)]
    open(devices[1], "w").close()
    source = FirstCamera(lambda device: live(device, Driver(refused)), devices=devices)
    with pytest.raises(SourceError, match="there is no camera .*video0.*video1 cannot be opened.*--source portrait"):
        source.open()
    source.close()


@pytest.fixture
def ribbon(monkeypatch):
    """Devices whose names end in 0 are the raw nodes of ribbon cameras."""
    monkeypatch.setattr("edge.sources.live.device.ribbon_source", lambda path: "csi://0" if path.endswith("0") else "")


def test_the_raw_node_of_a_ribbon_camera_names_the_source_that_reads_it(device, ribbon):
    driver = Driver(refused)
    with pytest.raises(SourceError, match="raw node of a ribbon camera, which is read as --source csi://0"):
        live(device, driver).open()
    opener = make_source(SourceOptions("gst:/dev/video0"), lambda *_: FakeCamera(steady(), opens=False))._opener
    opener._device = str(device)
    with pytest.raises(SourceError, match="csi://0" if has_gstreamer() else "GStreamer"):
        opener.open()
    assert not driver.asked
    waiting = LiveSource(CameraOpener(str(device), Mode(), driver), PLAIN, QUICK, wait=True)
    waiting.open()
    wait_until(lambda: waiting.read(0.05) is None and waiting.absent)
    assert "csi://0" in waiting.warning, "to wait does not help"
    waiting.close()


@pytest.mark.parametrize("wait", [False, True])
def test_the_first_camera_is_none_that_only_another_source_reads_and_that_is_reported(tmp_path, ribbon, wait):
    devices = [str(tmp_path / "video{}".format(n)) for n in range(2)]
    for path in devices:
        open(path, "w").close()
    source = FirstCamera(lambda device: live(device, Driver(FakeCamera(steady(9)))), devices=devices, wait=wait)
    source.open()
    assert next_frame(source) is not None and source.name == devices[1] and "--source csi://0" in source.warning
    source.close()
    alone = FirstCamera(lambda device: live(device, Driver(refused)), devices=devices[:1], wait=wait)
    if wait:
        alone.open()
        wait_until(lambda: alone.read(0.01) is None and "--source csi://0" in alone.trouble)
        assert alone.absent and alone.warning == ""
    else:
        with pytest.raises(SourceError, match="no camera works .*--source csi://0"):
            alone.open()
    alone.close()


def test_another_size_than_asked_for_is_reported(device):
    source = live(device, Driver(FakeCamera(steady(size=(120, 160)))), mode=Mode(1280, 720, 30))
    assert source.warning == ""
    source.open()
    assert source.warning == "the camera gives 160x120 instead of 1280x720"
    assert next_frame(source).image.shape == (120, 160, 3)
    source.close()


def test_a_camera_that_hangs_upside_down(device):
    image = picture(0)
    image[:5, :5] = 255
    turned = FrameTransform(SourceOptions(rotate=180), scale=False)
    source = live(device, Driver(FakeCamera(lambda: image.copy())), shape=turned)
    source.open()
    assert next_frame(source).image[-1, -1].min() == 255
    source.close()
