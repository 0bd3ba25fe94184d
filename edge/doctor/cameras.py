"""The cameras of this machine, and which of them the configured source is."""
import os
from glob import glob
from typing import List, Optional

from edge.doctor.machine import OK, VIDEO_GROUP, WARN, Finding, Machine
from edge.sources.live.v4l2 import by_number, ribbon_source, text_of


def check_cameras(machine: Machine, spec: Optional[str] = None) -> List[Finding]:
    """One finding for each capture device, or one that there is none. `spec`: the source that is configured."""
    findings = []
    for path in by_number(glob(machine.path("/dev/video*"))):
        name = "/dev/" + os.path.basename(path)
        try:
            camera = machine.ask_camera(path)
        except PermissionError:
            findings.append(Finding("camera", WARN, "{} may not be opened by this user".format(name), VIDEO_GROUP))
            continue
        except OSError as e:
            findings.append(Finding("camera", WARN, "{}: {}".format(name, e.strerror or e),
                                    "close the program that uses it, or unplug the camera and plug it in again"))
            continue
        if camera is not None and camera.raw:
            findings.append(_ribbon(machine, name, camera.name, (spec or "").strip()))
        elif camera is not None:
            modes = "; " + text_of(camera.modes) if camera.modes else ""
            findings.append(Finding("camera", OK, "{}: {}{}".format(name, camera.name, modes)))
    if not findings:
        findings.append(Finding("camera", WARN, "none is connected",
                                "plug in a USB camera, or try without one: nanoface run --source portrait"))
    return findings


def _ribbon(machine: Machine, device: str, name: str, spec: str) -> Finding:
    """A warning where the source that is configured, or looked for, is this node, which OpenCV cannot read."""
    source = ribbon_source(machine.path(device), machine.ask_camera)
    text = "{}: {}, a ribbon camera, which is read as {}".format(device, name, source)
    named = "/dev/video" + spec if spec.isdigit() else spec or device
    if os.path.realpath(machine.path(named)) != os.path.realpath(machine.path(device)):
        return Finding("camera", OK, text)
    return Finding("camera", WARN, text, "nanoface run --source {0}; for the service source.spec: {0}".format(source))
