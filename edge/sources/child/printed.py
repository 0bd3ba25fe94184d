"""What libraries print in the process that reads a camera, such as why a pipeline of the board's camera does not start."""
import re
from typing import Optional

from edge.core.redact import hide
from edge.host import commands
from edge.host.child.printed import LONGEST_LINE, PrintedLines

# a printed line -> what it means and what helps; the first that fits a line counts
CAUSES = tuple((re.compile(pattern, re.IGNORECASE), cause) for pattern, cause in (
    ("no cameras available", "no sensor answers: switch off, look at the ribbon cable and its contacts"),
    ("failed to create capturesession|alreadyallocated",
     "another program holds the sensor, or one that died did: sudo systemctl restart nvargus-daemon"),
    ("connecting to nvargus-daemon failed|cannot (connect|create).*nvargus|failed to create cameraprovider",
     "nvargus-daemon does not answer: sudo systemctl restart nvargus-daemon"),
    ("invalid camera device", "there is no such sensor: csi://0 is the first one"),
    ("frame ?rate specified is greater|requested frame ?rate", "the sensor has no such mode: a lower --fps"),
    ("error timeout|waitcsiframestart|timed out.*sensor", "the sensor has stopped: look at the ribbon cable and the supply"),
    ("static tls", "the loader has no room for that library: export LD_PRELOAD as docs/jetson-nano.md says"),
    ("no (such )?element", "the package that brings it is missing: {doctor}"),
    ("insufficientmemory|cannot allocate memory|out of memory", "memory ran out: end other programs"),
))
REASON = re.compile(r"error|fail|cannot|could not|unable|invalid|refused|denied|not (found|supported|negot)", re.IGNORECASE)
HARMLESS = re.compile(r"EGL display|nvbuf_utils|Gtk|XDG_RUNTIME_DIR|cannot query video position", re.IGNORECASE)
# what stands before the message: OpenCV's "[ WARN:0] global FILE (711) open OpenCV | GStreamer warning: ", NVIDIA's
# "Error generated. FILE, execute:557 " and "(Argus) "
PREFIX = re.compile(r"^.*GStreamer warning: |^Error generated\. [^,]*, \w+:\d+ |^\(Argus\) ")


class CameraLines(PrintedLines):
    """Those of the capture process."""

    def reason(self) -> str:
        """The last line that names an error, with its cause where that is known; else ""."""
        lines = [_stripped(line) for line in self.lines()]
        known = [(line, cause) for line, cause in ((line, cause_of(line)) for line in lines) if cause]
        if known:
            return "{} ({})".format(*known[-1])
        reasons = [line for line in lines if REASON.search(line) and not HARMLESS.search(line)]
        return reasons[-1] if reasons else ""


def cause_of(line: str) -> Optional[str]:
    if HARMLESS.search(line):
        return None
    cause = next((cause for pattern, cause in CAUSES if pattern.search(line)), None)
    return None if cause is None else cause.format(doctor=commands.command("doctor"))


def _stripped(line: str) -> str:
    """Without the place in the library's source."""
    return hide(PREFIX.sub("", " ".join(line.split()))[:LONGEST_LINE])
