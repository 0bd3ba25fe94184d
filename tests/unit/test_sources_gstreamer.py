"""Pipelines as text: those for a Jetson, and one clear line where this OpenCV has no GStreamer."""
import cv2
import numpy as np
import pytest

from edge.core.errors import ConfigError, SourceError
from edge.sources.choose import make_source
from edge.sources.live import gstreamer
from edge.sources.live.gstreamer import CsiCamera
from edge.sources.live.source import Mode
from edge.sources.spec import SourceOptions

END = " ! video/x-raw, format=(string)BGR ! appsink drop=true max-buffers=1 sync=false"


def test_the_ribbon_camera():
    assert gstreamer.csi(CsiCamera(0, Mode(1280, 720, 30))) == (
        "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM), width=(int)1280, height=(int)720, "
        "format=(string)NV12, framerate=(fraction)30/1 ! nvvidconv flip-method=0 ! "
        "video/x-raw, width=(int)1280, height=(int)720, format=(string)BGRx ! videoconvert" + END)


@pytest.mark.parametrize("mode, sensor", [
    (Mode(640, 480, 30), (1640, 1232)), (Mode(640, 480, 60), (1280, 720)), (Mode(640, 360, 30), (1280, 720)),
    (Mode(1280, 720, 30), (1280, 720)), (Mode(1920, 1080, 30), (1920, 1080)), (Mode(1640, 1232, 30), (1640, 1232)),
    (Mode(3264, 2464, 20), (3264, 2464)),
])
def test_the_sensor_runs_in_the_smallest_mode_that_keeps_the_field_of_view(mode, sensor):
    text = gstreamer.csi(CsiCamera(1, mode))
    assert "sensor-id=1 ! video/x-raw(memory:NVMM), width=(int){}, height=(int){},".format(*sensor) in text
    assert "video/x-raw, width=(int){}, height=(int){}, format=(string)BGRx".format(mode.width, mode.height) in text


def turned(flip, rotate):
    """What flip, then rotation do to a small picture, by OpenCV."""
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    codes = {"horizontal": 1, "vertical": 0, "both": -1}
    turns = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
    image = cv2.flip(image, codes[flip]) if flip in codes else image
    return cv2.rotate(image, turns[rotate]) if rotate else image


NVVIDCONV = {  # what each flip-method does, by its documentation
    0: lambda a: a, 1: lambda a: np.rot90(a), 2: lambda a: np.rot90(a, 2), 3: lambda a: np.rot90(a, 3),
    4: lambda a: a[:, ::-1], 5: lambda a: np.rot90(a, 2).T, 6: lambda a: a[::-1], 7: lambda a: a.T,
}


@pytest.mark.parametrize("flip", ["none", "horizontal", "vertical", "both"])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_the_board_flips_and_rotates_as_opencv_does(flip, rotate):
    text = gstreamer.csi(CsiCamera(0, Mode(640, 360, 30), flip, rotate))
    method = int(text.split("flip-method=")[1].split(" ")[0])
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(NVVIDCONV[method](image), turned(flip, rotate))
    assert ("width=(int)360, height=(int)640" in text) is (rotate in (90, 270))


@pytest.mark.parametrize("mode, message", [
    (Mode(642, 480, 30), "multiple of 4"), (Mode(640, 481, 30), "height even"),
    (Mode(4000, 3000, 30), "no mode for 4000x3000"),
    (Mode(640, 480, 240), "no mode for"), (Mode(1920, 1080, 60), "it has 1280x720 at 60"),
])
def test_a_mode_that_no_sensor_has_is_a_usage_error(mode, message):
    with pytest.raises(ConfigError, match=message):
        gstreamer.csi(CsiCamera(0, mode))


@pytest.mark.parametrize("text, expected", [
    (gstreamer.v4l2_mjpeg("/dev/video0", Mode(1280, 720, 30), hardware=True),
     "v4l2src device=/dev/video0 io-mode=2 ! image/jpeg, width=(int)1280, height=(int)720, framerate=(fraction)30/1 ! "
     "jpegparse ! nvv4l2decoder mjpeg=1 ! nvvidconv ! video/x-raw, format=(string)BGRx ! videoconvert" + END),
    (gstreamer.v4l2_mjpeg("/dev/video1", Mode(640, 480, 29.97), hardware=False),
     "v4l2src device=/dev/video1 io-mode=2 ! image/jpeg, width=(int)640, height=(int)480, "
     "framerate=(fraction)2997/100 ! jpegdec ! videoconvert" + END),
    (gstreamer.rtsp_h264("rtsp://h/s?a=1&b=2", hardware=True),
     'rtspsrc location="rtsp://h/s?a=1&b=2" latency=100 protocols=tcp ! rtph264depay ! h264parse ! '
     "nvv4l2decoder enable-max-performance=1 ! nvvidconv ! video/x-raw, format=(string)BGRx ! videoconvert" + END),
    (gstreamer.rtsp_h264('rtsp://h/"x', hardware=False),
     'rtspsrc location="rtsp://h/%22x" latency=100 protocols=tcp ! rtph264depay ! h264parse ! '
     "avdec_h264 ! videoconvert" + END),
])
def test_usb_cameras_and_streams(text, expected):
    assert text == expected


@pytest.mark.parametrize("given, expected", [
    ("videotestsrc", "videotestsrc ! videoconvert" + END),
    ("videotestsrc ! ", "videotestsrc ! videoconvert" + END),
    ("videotestsrc ! appsink", "videotestsrc ! appsink"),
    ("a !appsink name=s", "a !appsink name=s"),
    ("a ! fakesink name=opencvsink", "a ! fakesink name=opencvsink"),
    ("filesrc location=appsinks.mp4 ! decodebin", "filesrc location=appsinks.mp4 ! decodebin ! videoconvert" + END),
    ("/dev/video2", gstreamer.v4l2_mjpeg("/dev/video2", Mode(), False)),
    ("rtsp://h/s", gstreamer.rtsp_h264("rtsp://h/s", False)),
])
def test_a_users_pipeline_gets_the_end_that_it_lacks(given, expected):
    assert gstreamer.user_pipeline(given, Mode(), hardware=False) == expected


def test_rtsps_is_verified_unless_configured_otherwise():
    assert "tls-validation" not in gstreamer.user_pipeline("rtsps://h/s", Mode(), hardware=False)
    assert " tls-validation-flags=0 ! rtph264depay" in gstreamer.user_pipeline("rtsps://h/s", Mode(), False, insecure=True)


@pytest.mark.parametrize("information, has", [
    ("    GStreamer:                   NO\n", False), ("    GStreamer:                   YES (1.14.5)\n", True),
    ("", False),
])
def test_whether_opencv_has_gstreamer(monkeypatch, information, has):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: information)
    assert gstreamer.has_gstreamer() is has


@pytest.mark.parametrize("spec", ["csi://0", "gst:videotestsrc", "gst:/dev/video0"])
def test_without_gstreamer_the_cure_is_named(monkeypatch, spec):
    monkeypatch.setattr(gstreamer, "has_gstreamer", lambda: False)
    source = make_source(SourceOptions(spec=spec))
    with pytest.raises(SourceError, match="JetPack's own"):
        source.open()


class Pipeline:
    """A cv2.VideoCapture that is a working pipeline of upright pictures, or one that does not start."""

    def __init__(self, text, api):
        assert api == cv2.CAP_GSTREAMER
        self.good = "broken" not in text

    def isOpened(self):
        return self.good

    def grab(self):
        return True

    def retrieve(self):
        image = np.zeros((480, 640, 3), np.uint8)
        image[0, 0] = 255
        return True, image

    def release(self):
        self.good = False


@pytest.mark.parametrize("spec, corner", [("csi://0", (0, 0)), ("gst:videotestsrc", (-1, -1))])
def test_the_ribbon_cameras_picture_is_not_turned_twice(monkeypatch, spec, corner):
    monkeypatch.setattr(gstreamer, "has_gstreamer", lambda: True)
    source = make_source(SourceOptions(spec=spec, rotate=180), Pipeline)
    source.open()
    assert source.read(5.0).image[corner].min() == 255
    source.close()


def test_gstreamers_list_of_plugins_is_made_before_the_first_opening(monkeypatch):
    monkeypatch.setattr(gstreamer, "has_gstreamer", lambda: True)
    asked = []
    source = make_source(SourceOptions(spec="csi://0"), lambda text, api: asked.append(text) or Pipeline(text, api))
    source.open()
    source.close()
    assert source._opener.preparation and len(asked) == 2 and "nvarguscamerasrc" in asked[1]
    assert "appsink" not in asked[0] and "nvargus" not in asked[0]  # OpenCV starts no pipeline without an appsink


def test_a_pipeline_that_does_not_start_is_shown(monkeypatch):
    monkeypatch.setattr(gstreamer, "has_gstreamer", lambda: True)
    source = make_source(SourceOptions(spec="gst:brokensrc"), Pipeline)
    with pytest.raises(SourceError, match="does not start; try it with: gst-launch-1.0 brokensrc '!' .* fakesink$"):
        source.open()
