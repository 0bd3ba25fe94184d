"""Exposure, gain, white balance and anti-flicker of a camera, through Video4Linux2 or as properties of the board's camera.

None leaves a control as it is; AUTO gives it to the camera. They are set at every opening.
"""
import os
import struct
import sys
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

Value = Union[None, str, float]
AUTO = "auto"


class Controls(NamedTuple):
    """The configured values: numbers, AUTO or None."""

    exposure: Value = None  # milliseconds
    gain: Value = None  # USB: the camera's own number; ribbon camera: a factor
    white_balance: Value = None  # kelvin
    power_line_hz: Value = None  # of the lamps: 50 or 60


NO_CONTROLS = Controls()
NOT_HERE = ("exposure, gain, white balance and anti-flicker cannot be set for this source",)

# linux/v4l2-controls.h and linux/videodev2.h
AUTO_WHITE_BALANCE, AUTOGAIN, GAIN = 0x98090c, 0x980912, 0x980913
POWER_LINE_FREQUENCY, WHITE_BALANCE_TEMPERATURE = 0x980918, 0x98091a
EXPOSURE_AUTO, EXPOSURE_ABSOLUTE = 0x9a0901, 0x9a0902
MANUAL_EXPOSURE, AUTO_EXPOSURES = 1, (3, 0)  # aperture priority, which webcams know, before fully automatic
POWER_LINES: Dict[Value, int] = {50.0: 1, 60.0: 2, AUTO: 3}
EXPOSURES_PER_MS = 10  # EXPOSURE_ABSOLUTE counts in 0.1 ms
S_CTRL, QUERYCTRL = 0xc008561c, 0xc0445624
CONTROL = struct.Struct("=Ii")  # struct v4l2_control
QUERY = struct.Struct("=II32siiiiI8x")  # struct v4l2_queryctrl
DISABLED = 1

# nvarguscamerasrc
ANTIBANDING: Dict[Value, int] = {AUTO: 1, 50.0: 2, 60.0: 3}
LIGHTS = ((2850.0, 2), (3000.0, 4), (4000.0, 3), (5500.0, 5), (6500.0, 6), (7500.0, 8))  # kelvin, wbmode

Call = Callable[[int, int, bytes], bytes]


def asked(controls: Controls) -> bool:
    return controls != NO_CONTROLS


def apply(device: str, controls: Controls, call: Optional[Call] = None) -> Sequence[str]:
    """Set the controls of a V4L2 device that is open already; a line for each that it refused."""
    if not asked(controls):
        return ()
    if not sys.platform.startswith("linux"):
        return NOT_HERE
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    except OSError as e:
        return ("the controls of {} cannot be set: {}".format(device, e.strerror),)
    try:
        return _Device(descriptor, call or _ioctl()).set_all(controls)
    finally:
        os.close(descriptor)


def argus_properties(controls: Controls) -> str:
    """What follows nvarguscamerasrc in its pipeline; begins with a blank where there is something."""
    parts: List[str] = []
    if isinstance(controls.exposure, float):
        parts.append('exposuretimerange="{0} {0}"'.format(int(round(controls.exposure * 1e6))))  # nanoseconds
    if isinstance(controls.gain, float):
        parts.append('gainrange="{0:g} {0:g}"'.format(controls.gain))
    if controls.white_balance == AUTO:
        parts.append("wbmode=1")
    elif isinstance(controls.white_balance, float):
        kelvin = controls.white_balance
        parts.append("wbmode={}".format(min(LIGHTS, key=lambda light: abs(light[0] - kelvin))[1]))
    if controls.power_line_hz is not None:
        parts.append("aeantibanding={}".format(ANTIBANDING[controls.power_line_hz]))
    return "".join(" " + part for part in parts)


def _ioctl() -> Call:
    import fcntl

    return fcntl.ioctl


class _Device:
    """One open device. A control that it does not have or refuses is a line in `notes`."""

    def __init__(self, descriptor: int, call: Call) -> None:
        self._descriptor, self._call = descriptor, call
        self.notes: List[str] = []

    def set_all(self, controls: Controls) -> List[str]:
        exposure, gain, white, lamps = controls
        if exposure == AUTO:
            if not any(self._set(EXPOSURE_AUTO, value) for value in AUTO_EXPOSURES):
                self.notes.append("the camera has no automatic exposure")
        elif isinstance(exposure, float):
            self._set(EXPOSURE_AUTO, MANUAL_EXPOSURE)
            self._number("exposure", EXPOSURE_ABSOLUTE, exposure, EXPOSURES_PER_MS)
        if gain == AUTO:
            if not self._set(AUTOGAIN, 1):
                self.notes.append("the camera has no automatic gain of its own")
        elif isinstance(gain, float):
            self._set(AUTOGAIN, 0)
            self._number("gain", GAIN, gain)
        if white == AUTO:
            if not self._set(AUTO_WHITE_BALANCE, 1):
                self.notes.append("the camera has no automatic white balance")
        elif isinstance(white, float):
            self._set(AUTO_WHITE_BALANCE, 0)
            self._number("white_balance", WHITE_BALANCE_TEMPERATURE, white)
        if lamps is not None and not self._set(POWER_LINE_FREQUENCY, POWER_LINES[lamps]):
            self.notes.append("the camera has no anti-flicker for power_line_hz {}".format(_text(lamps)))
        return self.notes

    def _number(self, name: str, control: int, wanted: float, scale: int = 1) -> None:
        limits = self._range(control)
        if limits is None:
            self.notes.append("the camera has no control for {}".format(name))
            return
        low, high = limits
        value = int(round(wanted * scale))
        if not low <= value <= high:
            self.notes.append("{} {:g} is not within what the camera has, {:g} to {:g}".format(
                name, wanted, low / float(scale), high / float(scale)))
        elif not self._set(control, value):
            self.notes.append("the camera did not take {} {:g}".format(name, wanted))

    def _range(self, control: int) -> Optional[Tuple[int, int]]:
        try:
            answer = self._call(self._descriptor, QUERYCTRL, QUERY.pack(control, 0, b"", 0, 0, 0, 0, 0))
        except OSError:
            return None
        fields = QUERY.unpack(answer)
        return None if fields[7] & DISABLED else (fields[3], fields[4])

    def _set(self, control: int, value: int) -> bool:
        try:
            self._call(self._descriptor, S_CTRL, CONTROL.pack(control, value))
        except OSError:
            return False
        return True


def _text(value: Value) -> str:
    return value if isinstance(value, str) else "{:g}".format(value or 0)
