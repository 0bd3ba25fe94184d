"""Which camera the configuration of the service names: the user is asked where there is a choice; upgrades keep it."""
import json
import os
import re
from glob import glob
from typing import List, NamedTuple

from edge.service.places import Places
from edge.service.steps import Steps
from edge.sources.live import v4l2

SPEC = re.compile(rb"^(  spec: +)([^\s#][^\n]*?)(?=[ \t]+#|[ \t\r]*$)", re.MULTILINE)  # in what is shipped, and its like
FIRST = "0"  # what is shipped
STABLE = ("/dev/v4l/by-id", "/dev/v4l/by-path")  # names that stay with a camera, or with a socket


class Choice(NamedTuple):
    spec: str
    text: str  # shown to the user


LATER = Choice(FIRST, "/dev/video0, as soon as a USB camera is there")


def named_in(config: bytes) -> str:
    """The camera that a configuration names, as YAML; "" where that cannot be tree."""
    found = SPEC.search(config)
    return found.group(2).decode("utf-8", "surrogateescape") if found else ""


def with_camera(config: bytes, spec: str) -> bytes:
    return SPEC.sub(lambda found: found.group(1) + spec.encode("utf-8", "surrogateescape"), config, count=1)


def choose_camera(steps: Steps, tree: Places) -> str:
    """What the configuration is to name, as YAML; the first choice where nobody can be asked."""
    choices = cameras(tree)
    if not choices or choices[0].spec == FIRST:
        return FIRST
    choices.append(LATER)
    chosen = choices[steps.choose("Which camera is the service to read?", [choice.text for choice in choices])]
    steps.say("  the configuration names the camera {}".format(chosen.text))
    return chosen.spec if chosen.spec.isdigit() else json.dumps(chosen.spec)


def cameras(tree: Places) -> List[Choice]:
    """USB cameras before ribbon cameras. A single one at /dev/video0 keeps that number, so it can be replaced."""
    usb, ribbon, first = [], [], False
    for path in v4l2.by_number(glob(tree.at("/dev/video[0-9]*"))):
        try:
            camera = v4l2.look(path)
        except OSError:
            continue
        source = v4l2.ribbon_source(path, v4l2.look)
        if source:
            ribbon.append(Choice(source, "{} (ribbon cable)".format(source)))
        elif camera is not None:
            spec, first = _stable(tree, path), first or path.endswith("/video0")
            usb.append(Choice(spec, "{} ({})".format(spec, camera.name)))
    if len(usb) == 1 and not ribbon and first:
        return [usb[0]._replace(spec=FIRST)]
    return usb + ribbon


def unreadable(tree: Places) -> str:
    """The hint where a kept configuration names /dev/video0, which is a ribbon camera; else ""."""
    source = v4l2.ribbon_source(tree.at("/dev/video0"), v4l2.look)
    return ", but source.spec 0 is a ribbon camera here: write " + source if source else ""


def _stable(tree: Places, path: str) -> str:
    for folder in STABLE:
        for link in sorted(glob(tree.at(folder) + "/*")):
            if os.path.realpath(link) == os.path.realpath(path):
                return "{}/{}".format(folder, os.path.basename(link))
    return "/dev/" + os.path.basename(path)
