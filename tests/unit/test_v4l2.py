"""Modes of cameras, as the kernel's ioctls give them; the ioctls are fakes here."""
import os
import struct

import pytest

from edge.sources.live import v4l2
from edge.sources.live.v4l2 import Camera, Mode, look, ribbon_source, text_of

# format -> size -> intervals
WEBCAM = {b"MJPG": {(1280, 720): [(1, 30), (1, 15)], (640, 480): [(1, 60)]}, b"YUYV": {(640, 480): [(1, 30), (2, 15)]}}
SENSOR = {b"RG10": {(3264, 2464): [(1000000, 21000000)], (1280, 720): [(1000000, 60000000)]}}


class Driver:
    """ioctl() of a camera with these formats; answers as linux/videodev2.h lays them out."""

    def __init__(self, formats, capabilities=0x84A00001, own=0x04200001, ranges=False):
        self.formats, self.capabilities, self.own, self.ranges = formats, capabilities, own, ranges
        self.kinds = set()

    def __call__(self, device, request, buffer):
        assert len(buffer) == request >> 16 & 0x3FFF, "the size is part of the request"
        answer = {v4l2.VIDIOC_QUERYCAP: self.capability, v4l2.VIDIOC_ENUM_FMT: self.format,
                  v4l2.VIDIOC_ENUM_FRAMESIZES: self.size, v4l2.VIDIOC_ENUM_FRAMEINTERVALS: self.interval}[request](buffer)
        assert len(answer) == len(buffer)
        return answer

    def capability(self, buffer):
        return struct.pack("16s32s32s3I12x", b"uvcvideo", b"HD Webcam", b"usb", 0x50000, self.capabilities, self.own)

    def format(self, buffer):
        index, kind = struct.unpack_from("2I", buffer)
        self.kinds.add(kind)
        return struct.pack("3I32s4s4x12x", index, kind, 0, b"told", self.nth(sorted(self.formats), index))

    def size(self, buffer):
        index, code = struct.unpack_from("I4s", buffer)
        if self.ranges:
            self.nth([0], index)
            return struct.pack("I4sI6I8x", index, code, 3, 32, 1920, 2, 16, 1080, 2)
        return struct.pack("I4sI2I16x8x", index, code, 1, *self.nth(sorted(self.formats[code]), index))

    def interval(self, buffer):
        index, code, width, height = struct.unpack_from("I4s2I", buffer)
        if self.ranges:
            return struct.pack("I4s3I6I8x", index, code, width, height, 2, 1, 25, 1, 5, 1, 1)
        return struct.pack("I4s3I2I16x8x", index, code, width, height, 1, *self.nth(self.formats[code][width, height], index))

    def nth(self, things, index):
        if index >= len(things):
            raise OSError(22, "Invalid argument")
        return things[index]


@pytest.fixture
def ask(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "video0").write_text("")

    def act(driver):
        monkeypatch.setattr(fcntl, "ioctl", driver)
        return look(str(tmp_path / "video0"))

    return act


def test_every_mode_of_a_camera_is_reported(ask):
    assert ask(Driver(WEBCAM)) == Camera("HD Webcam", (
        Mode("MJPG", 640, 480, 60.0), Mode("MJPG", 1280, 720, 30.0), Mode("YUYV", 640, 480, 30.0)))


def test_a_sensor_with_planes_is_asked_as_such(ask):
    driver = Driver(SENSOR, own=0x1000)
    assert [mode.fps for mode in ask(driver).modes] == [60.0, 21.0] and driver.kinds == {v4l2.PLANES}


@pytest.mark.parametrize("formats, driver, raw", [
    (WEBCAM, b"uvcvideo", False), (SENSOR, b"tegra-video", True), (SENSOR, b"sun6i-csi", True), ({}, b"tegra-video", True),
    ({}, b"uvcvideo", False), ({b"UYVY": {}}, b"tegra-video", False),  # an HDMI bridge on the ribbon
    ({b"RG10": {}, b"YUYV": {}}, b"sun6i-csi", False),
] + [({code: {}}, b"any", True) for code in (
    b"BA81", b"RGGB", b"GB10", b"BA10", b"pRAA", b"pgAA", b"aBA8", b"bRA8", b"RG12", b"pBCC", b"GR14", b"BYR2", b"RG16")]
    + [({code: {}}, b"any", False) for code in (b"Y10 ", b"GREY", b"RGB3", b"BGR3", b"H264", b"MJPG")])
def test_a_node_that_gives_only_a_mosaic_is_raw(ask, formats, driver, raw):
    played = Driver(formats)
    played.capability = lambda buffer: struct.pack("16s32s32s3I12x", driver, b"cam", b"bus", 1, 0x1, 0)
    assert ask(played).raw is raw


def test_sensors_are_counted_as_argus_counts_them(tmp_path):
    raw = {"video0": True, "video1": False, "video2": None, "video9": True, "video10": True}
    for name in raw:
        (tmp_path / name).write_text("")
    (tmp_path / "second").symlink_to(tmp_path / "video9")

    def ask(path):
        told = raw[os.path.basename(path)]
        return None if told is None else Camera("cam", raw=told)
    sources = [ribbon_source(str(tmp_path / name), ask) for name in ["video0", "video1", "video2", "second", "video10"]]
    assert sources == ["csi://0", "", "", "csi://1", "csi://2"]
    assert ribbon_source(str(tmp_path / "gone")) == ribbon_source(str(tmp_path / "video0")) == ""  # a file is no camera


def test_a_range_is_reported_by_its_largest_size_and_rate(ask):
    assert ask(Driver({b"NV12": {}}, ranges=True)).modes == (Mode("NV12", 1920, 1080, 25.0),)


def test_a_camera_that_reports_no_modes_is_one_all_the_same(ask):
    assert ask(Driver({})) == Camera("HD Webcam", ())


def test_an_enumeration_without_an_end_is_cut(ask):
    driver = Driver({b"MJPG": {(640, 480): [(1, 30)]}})
    driver.nth = lambda things, index: things[0]
    assert len(ask(driver).modes) == v4l2.MOST ** 2


@pytest.mark.parametrize("capabilities, own, camera", [
    (0x84A00001, 0x04200001, True), (0x84A00001, 0x04A00000, False), (0x00000001, 0, True), (0x80001000, 0x1000, True),
    (0, 0, False),
])
def test_only_a_node_that_captures_is_a_camera(ask, capabilities, own, camera):
    found = ask(Driver(WEBCAM, capabilities, own))
    assert (found is not None) == camera and (not camera or found.name == "HD Webcam")


def test_file_that_is_no_camera_is_not_one(tmp_path):
    path = tmp_path / "video0"
    path.write_text("")
    with pytest.raises(OSError):
        look(str(path))


def test_modes_as_text_are_the_largest_of_each_format():
    modes = [Mode("MJPG", 160 * n, 120 * n, 30.0) for n in range(1, 7)] + [Mode("YUYV", 640, 480, 30000 / 1001.0)]
    text = text_of(tuple(modes) + (Mode("GREY", 64, 48, None),))
    assert text == "GREY 64x48, MJPG 960x720@30 800x600@30 640x480@30 480x360@30 ..., YUYV 640x480@30"
