"""Camera controls: what is asked of Video4Linux2 and of the board's camera, and what is reported where a camera refuses."""
import errno
import struct

import pytest

from edge.sources.choose import make_source
from edge.sources.live import controls as c
from edge.sources.live.camera import CameraOpener
from edge.sources.live.controls import AUTO, Controls
from edge.sources.live.device import Mode
from edge.sources.live.gstreamer import CsiCamera, csi
from edge.sources.spec import SourceOptions

WEBCAM = {c.EXPOSURE_AUTO: (0, 3), c.EXPOSURE_ABSOLUTE: (3, 2047), c.GAIN: (0, 255), c.AUTO_WHITE_BALANCE: (0, 1),
          c.WHITE_BALANCE_TEMPERATURE: (2000, 7500), c.POWER_LINE_FREQUENCY: (0, 2)}


class Driver:
    """Answers ioctl as the kernel does for a camera with these controls and their limits."""

    def __init__(self, known=WEBCAM, disabled=()):
        self.known, self.disabled, self.set = known, disabled, []

    def __call__(self, descriptor, request, data):
        number = struct.unpack_from("=I", data)[0]
        if number not in self.known:
            raise OSError(errno.EINVAL, "Invalid argument")
        low, high = self.known[number]
        if request == c.QUERYCTRL:
            assert len(data) == 68
            return struct.pack("=II32siiiiI8x", number, 1, b"name", low, high, 1, low, int(number in self.disabled))
        assert request == c.S_CTRL and len(data) == 8
        value = struct.unpack("=Ii", data)[1]
        if not low <= value <= high or (number == c.EXPOSURE_AUTO and value in (0, 2)):
            raise OSError(errno.ERANGE, "Numerical result out of range")
        self.set.append((number, value))
        return data


@pytest.fixture
def device(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    path = tmp_path / "video0"
    path.write_text("")
    return str(path)


@pytest.mark.parametrize("wanted, done", [
    (Controls(), []),
    (Controls(exposure=12.5), [(c.EXPOSURE_AUTO, 1), (c.EXPOSURE_ABSOLUTE, 125)]),
    (Controls(exposure=AUTO), [(c.EXPOSURE_AUTO, 3)]),
    (Controls(gain=7.0), [(c.GAIN, 7)]),
    (Controls(white_balance=4600.0), [(c.AUTO_WHITE_BALANCE, 0), (c.WHITE_BALANCE_TEMPERATURE, 4600)]),
    (Controls(white_balance=AUTO), [(c.AUTO_WHITE_BALANCE, 1)]),
    (Controls(power_line_hz=50.0), [(c.POWER_LINE_FREQUENCY, 1)]),
    (Controls(power_line_hz=60.0), [(c.POWER_LINE_FREQUENCY, 2)]),
])
def test_what_is_set_on_a_webcam(device, wanted, done):
    driver = Driver()
    assert list(c.apply(device, wanted, driver)) == [] and driver.set == done


@pytest.mark.parametrize("wanted, told", [
    (Controls(exposure=900.0), "exposure 900 is not within what the camera has, 0.3 to 204.7"),
    (Controls(gain=256.0), "gain 256 is not within what the camera has, 0 to 255"),
    (Controls(gain=AUTO), "no automatic gain"),
    (Controls(power_line_hz=AUTO), "no anti-flicker for power_line_hz auto"),
])
def test_what_a_webcam_does_not_take_is_reported(device, wanted, told):
    driver = Driver()
    notes = c.apply(device, wanted, driver)
    assert len(notes) == 1 and told in notes[0]


def test_a_camera_without_controls_reports_each_and_fails_nothing(device):
    driver = Driver({})
    notes = c.apply(device, Controls(5.0, 1.0, 5000.0, 50.0), driver)
    assert [note.split(" for ")[1] for note in notes] == ["exposure", "gain", "white_balance", "power_line_hz 50"]
    assert len(c.apply(device, Controls(AUTO, AUTO, AUTO, AUTO), driver)) == 4 and driver.set == []


def test_a_control_that_is_disabled_is_none(device):
    assert "no control for gain" in c.apply(device, Controls(gain=1.0), Driver(disabled=(c.GAIN,)))[0]


def test_a_device_without_ioctl_or_without_a_file_is_reported(device):
    assert len(c.apply(device, Controls(gain=1.0))) == 1  # a plain file: the real ioctl
    assert "cannot be set" in c.apply(device + "x", Controls(gain=1.0))[0]


def test_the_boards_camera_gets_properties():
    text = csi(CsiCamera(0, Mode(1280, 720, 30), controls=Controls(13.0, 4.0, 5000.0, 50.0)))
    wanted = 'sensor-id=0 exposuretimerange="13000000 13000000" gainrange="4 4" wbmode=5 aeantibanding=2 ! video'
    assert wanted in text
    assert "sensor-id=0 wbmode=1 aeantibanding=1 !" in csi(CsiCamera(
        0, Mode(), controls=Controls(AUTO, AUTO, AUTO, AUTO)))
    assert "sensor-id=0 ! video" in csi(CsiCamera(0, Mode()))


class Capture:
    def __init__(self, *_):
        self.isOpened = self.release = lambda: True

    def set(self, *_):
        return True

    def get(self, _):
        return 0.0


def test_controls_are_set_with_every_opening(device, monkeypatch):
    driver = Driver()
    monkeypatch.setattr("edge.sources.live.controls._ioctl", lambda: driver)
    opener = CameraOpener(device, Mode(), Capture, Controls(exposure=900.0, gain=3.0))
    for times in (1, 2):
        opener.open()
        assert driver.set.count((c.GAIN, 3)) == times and "exposure 900" in opener.notes[0]


@pytest.mark.parametrize("spec", ["rtsp://host/s", "gst:videotestsrc"])
def test_a_source_that_has_none_says_so(spec):
    assert "cannot be set for this source" in make_source(SourceOptions(spec, controls=Controls(gain=1.0))).warning
    assert make_source(SourceOptions(spec)).warning == ""
