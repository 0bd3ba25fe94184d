"""GStreamer pipelines as text, and their opener. Element and caps names are those of JetPack 4.6 (L4T 32.7).

Every pipeline ends in an appsink that keeps one buffer and drops the older: OpenCV sets neither by itself.
"""
import re
import shlex
from typing import Any, Callable, List, NamedTuple, Optional

import cv2

from edge.core.errors import ConfigError, SourceError
from edge.core.redact import hide
from edge.core.roles import OFF
from edge.sources.live.argus import DAEMON
from edge.sources.live.controls import NO_CONTROLS, Controls, apply, argus_properties
from edge.sources.live.device import AbsentError, Mode, Opener, explain_ribbon

Factory = Callable[..., Any]
NO_SINK = "fakesrc num-buffers=1 ! fakesink"
APPSINK = "appsink drop=true max-buffers=1 sync=false"
SOFTWARE_BGR = "videoconvert ! video/x-raw, format=(string)BGR"
TO_BGR = "video/x-raw, format=(string)BGRx ! " + SOFTWARE_BGR  # nvvidconv writes no BGR
SENSOR_MODES = tuple(Mode(*m) for m in (
    (1280, 720, 60), (1640, 1232, 30), (1920, 1080, 30), (3264, 1848, 28), (3264, 2464, 21),
))  # of the IMX219
LATENCY_MS = 100  # rtspsrc's buffer against jitter
# nvvidconv's flip-method for (flip, rotation): first flipped, then rotated clockwise. Not the numbers of videoflip.
FLIP_METHODS = {
    OFF: {0: 0, 90: 3, 180: 2, 270: 1},
    "both": {0: 2, 90: 1, 180: 0, 270: 3},
    "horizontal": {0: 4, 90: 5, 180: 6, 270: 7},
    "vertical": {0: 6, 90: 7, 180: 4, 270: 5},
}
APPSINKS = ("appsink", "opencvsink")
GST_TOKEN = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|\S)+""")  # with its quotes, which gst-launch reads too
GST_ASSIGN = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|\s*=\s*""")  # or what is quoted, in which an = is none
NO_GSTREAMER = (
    "{} needs an OpenCV with GStreamer, and this one has none (wheels from pip never have): on a Jetson use "
    "JetPack's own, in an environment made with --system-site-packages and without opencv-python"
)


class CsiCamera(NamedTuple):
    """A camera on the ribbon cable. `mode` is the size before it is rotated; the sensor runs in the next larger one."""

    sensor: int
    mode: Mode
    flip: str = OFF
    rotate: int = 0
    controls: Controls = NO_CONTROLS


class GstOpener(Opener):
    """Any pipeline that ends in an appsink. Needs an OpenCV that was built with GStreamer, which passes on no buffer's
    time: a frame counts from its arrival here, after the sensor, the ISP and what the pipeline does."""

    explained = True
    preparation = "GStreamer makes a list of its plugins, once: on a fresh board it takes up to a minute"

    def __init__(self, name: str, pipeline: str, factory: Factory = cv2.VideoCapture,
                 fps: Optional[float] = None, device: str = "", controls: Controls = NO_CONTROLS) -> None:
        """`device`: of a V4L2 camera, whose `controls` are set once the pipeline runs."""
        self.name, self.pipeline, self.fps, self._factory = hide(name), pipeline, fps, factory
        self.daemon = DAEMON if "nvarguscamerasrc" in pipeline else ""
        self._device, self._controls = device, controls

    def prepare(self) -> None:
        """The list is written when GStreamer is initialized, which OpenCV does with the first pipeline, also one that has no
        appsink and so is never started. A process that is killed before leaves none, and so would each one after it."""
        if has_gstreamer():
            try:
                self._factory(NO_SINK, cv2.CAP_GSTREAMER).release()
            except cv2.error:
                pass  # open() raises the error

    def open(self) -> Any:
        if not has_gstreamer():
            raise SourceError(NO_GSTREAMER.format(self.name))
        try:
            capture = self._factory(self.pipeline, cv2.CAP_GSTREAMER)
            opened = capture.isOpened()
        except cv2.error:
            opened = False
        if not opened:
            if self._device:
                explain_ribbon(self._device, self.name)
            short = "{}: the pipeline does not start".format(self.name)
            raise AbsentError("{}; try it with: {}".format(short, launch_line(self.pipeline)), short)
        if self._device:
            self.notes = apply(self._device, self._controls)
        return capture


def has_gstreamer() -> bool:
    """Whether this OpenCV can open csi:// and gst: sources."""
    return re.search(r"GStreamer:\s+YES", cv2.getBuildInformation()) is not None


def csi(camera: CsiCamera) -> str:
    """Argus delivers NV12 in the GPU's memory; nvvidconv scales, flips and rotates it there."""
    mode = check_mode(camera.mode)
    sensor = sensor_mode(mode)
    width, height = (mode.height, mode.width) if camera.rotate in (90, 270) else (mode.width, mode.height)
    return " ! ".join((
        "nvarguscamerasrc sensor-id={}{}".format(camera.sensor, argus_properties(camera.controls)),
        "video/x-raw(memory:NVMM), width=(int){}, height=(int){}, format=(string)NV12, framerate=(fraction){}".format(
            sensor.width, sensor.height, fraction(mode.fps)),
        "nvvidconv flip-method={}".format(FLIP_METHODS[camera.flip][camera.rotate]),
        "video/x-raw, width=(int){}, height=(int){}, format=(string)BGRx".format(width, height),
        SOFTWARE_BGR,
        APPSINK,
    ))


def v4l2_mjpeg(device: str, mode: Mode, hardware: bool) -> str:
    """A USB camera's JPEG pictures, decoded by the board's decoder or by the CPU."""
    mode = check_mode(mode)
    board, cpu = "jpegparse ! nvv4l2decoder mjpeg=1 ! nvvidconv ! " + TO_BGR, "jpegdec ! " + SOFTWARE_BGR
    caps = "image/jpeg, width=(int){}, height=(int){}, framerate=(fraction){}".format(
        mode.width, mode.height, fraction(mode.fps))
    return " ! ".join(("v4l2src device={} io-mode=2".format(device), caps, board if hardware else cpu, APPSINK))


def rtsp_h264(url: str, hardware: bool, insecure: bool = False) -> str:
    """H.264 over RTSP on TCP. The URL is quoted: an & or a blank would end it. rtsps: is verified unless `insecure`."""
    board, cpu = "nvv4l2decoder enable-max-performance=1 ! nvvidconv ! " + TO_BGR, "avdec_h264 ! " + SOFTWARE_BGR
    server = 'rtspsrc location="{}" latency={} protocols=tcp'.format(url.replace('"', "%22"), LATENCY_MS)
    if insecure:
        server += " tls-validation-flags=0"
    return " ! ".join((server, "rtph264depay ! h264parse", board if hardware else cpu, APPSINK))


def with_appsink(pipeline: str) -> str:
    """A user's pipeline: as it is where it has an appsink, else with a conversion to BGR and one appended."""
    text = pipeline.strip().rstrip("! \t\n")
    if re.search(r"(?:^|[\s!])appsink\b", text) or "opencvsink" in text:
        return text
    return " ! ".join((text, SOFTWARE_BGR, APPSINK))


def launch_line(pipeline: str) -> str:
    """A command for a shell that runs the pipeline into a fakesink. Passwords are left out of it."""
    tokens: List[str] = []
    in_sink = False  # among the properties of an appsink
    for text in GST_TOKEN.findall(GST_ASSIGN.sub(lambda found: found.group(1) or "=", pipeline)):
        for token in [text] if "=" in text else re.findall("!|[^!]+", text):  # a!b are three
            in_sink = in_sink and "=" in token
            if token in APPSINKS:
                tokens, in_sink = tokens + ["fakesink"], True
            elif not in_sink:
                tokens.append(token)
    return " ".join(["gst-launch-1.0"] + [shlex.quote(hide(token)) for token in tokens])


def user_pipeline(target: str, mode: Mode, hardware: bool, insecure: bool = False) -> str:
    """`gst:` with a device or an RTSP address instead of a pipeline means the fitting one of the above."""
    if re.match(r"^/dev/[\w/.:-]+$", target):
        return v4l2_mjpeg(target, mode, hardware)
    if re.match(r"^rtsps?://\S+$", target):
        return rtsp_h264(target, hardware, insecure)
    return with_appsink(target)


def sensor_mode(mode: Mode) -> Mode:
    """The smallest mode that covers size and rate, of the same aspect if there is one: no field of view is lost."""
    fitting = [m for m in SENSOR_MODES if m.width >= mode.width and m.height >= mode.height and m.fps >= mode.fps]
    if not fitting:
        modes = ", ".join("{}x{} at {:g}".format(*m) for m in SENSOR_MODES)
        wanted = "{}x{} at {:g} fps".format(*mode)
        raise ConfigError("the camera has no mode for {}: it has {}".format(wanted, modes))
    aspect = mode.width / float(mode.height)
    same = [m for m in fitting if abs(m.width / float(m.height) - aspect) < 0.02 * aspect]
    return min(same or fitting, key=lambda m: m.width * m.height)


def check_mode(mode: Mode) -> Mode:
    """Raises ConfigError. OpenCV 4.1 reads rows without padding, and GStreamer pads BGR rows to 4 bytes."""
    if mode.width % 4 or mode.height % 2:
        raise ConfigError("size {}x{}: with GStreamer the width must be a multiple of 4 and the height even".format(
            mode.width, mode.height))
    return mode


def fraction(fps: float) -> str:
    """30.0 -> 30/1; 29.97 -> 2997/100."""
    return "{}/1".format(int(fps)) if fps == int(fps) else "{}/100".format(int(round(fps * 100)))
