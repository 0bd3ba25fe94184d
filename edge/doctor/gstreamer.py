"""The elements that our GStreamer pipelines are made of, each asked for by gst-inspect-1.0."""
import re
from typing import Dict, List, Optional, Tuple

from edge.config.load import Config
from edge.doctor.machine import FAIL, OK, WARN, Finding, Machine

INSPECT = "gst-inspect-1.0"
FIRST_S, NEXT_S = 120.0, 10.0  # the first call makes a list of all plugins, on a fresh board for a minute
PLUGINS = "sudo apt install gstreamer1.0-plugins-{}"
JETPACK = "sudo apt install nvidia-l4t-gstreamer"
CURES = {  # element -> what brings it
    "appsink": PLUGINS.format("base"), "videoconvert": PLUGINS.format("base"), "v4l2src": PLUGINS.format("good"),
    "jpegdec": PLUGINS.format("good"), "rtspsrc": PLUGINS.format("good"), "rtph264depay": PLUGINS.format("good"),
    "h264parse": PLUGINS.format("bad"), "jpegparse": PLUGINS.format("bad"),
    "avdec_h264": "sudo apt install gstreamer1.0-libav",
    "nvarguscamerasrc": JETPACK, "nvvidconv": JETPACK, "nvv4l2decoder": JETPACK,
}
ALWAYS = ("appsink", "videoconvert")
# of each kind of source, on the board and elsewhere
ELEMENTS: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]] = {
    "csi": (("nvarguscamerasrc", "nvvidconv"), ()),
    "v4l2": (("v4l2src", "jpegparse", "nvv4l2decoder", "nvvidconv"), ("v4l2src", "jpegdec")),
    "rtsp": (("rtspsrc", "rtph264depay", "h264parse", "nvv4l2decoder", "nvvidconv"),
             ("rtspsrc", "rtph264depay", "h264parse", "avdec_h264")),
}


def kind_of(spec: Optional[str]) -> str:
    """The kind of pipeline that a source needs; "" where it needs none."""
    text = (spec or "").strip()
    if text.startswith("csi:"):
        return "csi"
    if not text.startswith("gst:"):
        return ""
    target = text[len("gst:"):].strip()
    if target.startswith("/dev/"):
        return "v4l2"
    return "rtsp" if target.startswith("rtsp") else "own"


def check_gstreamer(config: Config, machine: Machine, jetson: bool) -> List[Finding]:
    """Nothing on a PC whose source needs no pipeline."""
    kind = kind_of(config.source.spec)
    if not jetson and not kind:
        return []
    if machine.command(INSPECT, "--version", timeout_s=FIRST_S) is None:
        return [Finding("gstreamer", WARN, "its elements cannot be looked up: there is no " + INSPECT,
                        "sudo apt install gstreamer1.0-tools")]
    needed = _needed(config, kind, jetson)
    wanted = sorted(needed | (set(CURES) - {"avdec_h264", "jpegdec"} if jetson else set()))
    missing = [name for name in wanted if not _is_there(machine, name)]
    if not missing:
        return [Finding("gstreamer", OK, "{} elements of csi:// and gst: sources are there".format(len(wanted)))]
    findings = []
    for name in missing:
        state, why = (FAIL, "which {} needs".format(config.source.spec)) if name in needed else (WARN, "not used now")
        findings.append(Finding("gstreamer", state, "there is no {}, {}".format(name, why), _cure(name)))
    return findings


def _needed(config: Config, kind: str, jetson: bool) -> set:
    if kind == "own":
        return set(ALWAYS) | set(elements_of((config.source.spec or "")[len("gst:"):]))
    return set(ALWAYS) | set(ELEMENTS[kind][0 if jetson else 1]) if kind else set()


def elements_of(pipeline: str) -> List[str]:
    """Names of the elements of a pipeline's text: the first token between two !, unless it is caps or a pad's name."""
    names = [part.split()[0] for part in re.split(r"\s!\s|\s!$", " " + pipeline + " ") if part.split()]
    return [name for name in names if re.match(r"^[a-z][a-z0-9_-]*$", name)]


def _is_there(machine: Machine, element: str) -> bool:
    """No answer counts as yes."""
    answer = machine.command(INSPECT, "--exists", element, timeout_s=NEXT_S)
    return answer is None or answer.code in (0, None)


def _cure(element: str) -> str:
    return CURES.get(element, "gst-inspect-1.0 {} tells more; install the package that brings it".format(element))
