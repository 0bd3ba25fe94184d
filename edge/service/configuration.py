"""/etc/nanoface/nanoface.yaml: ours where nobody has changed more than the camera, else theirs unless they agree."""
import os
from typing import Set

from edge.service import places
from edge.service.camerachoice import FIRST, choose_camera, named_in, unreadable, with_camera
from edge.service.places import Places
from edge.service.steps import Steps

NAME = os.path.basename(places.CONFIG)
OLD = ".old"


def install_config(steps: Steps, seen: Places) -> None:
    path, ours = seen.at(places.CONFIG), _bytes(os.path.join(places.shipped_folder(), NAME))
    theirs = _bytes(path)
    changed = bool(theirs) and with_camera(theirs, FIRST) not in shipped(seen)
    if changed and not steps.agreed("{} was changed. Replace it, and keep it as {}{}?".format(path, NAME, OLD)):
        steps.say("  {} stays as it is{}".format(path, unreadable(seen) if named_in(theirs) == FIRST else ""))
        return
    camera = named_in(theirs)
    ours = with_camera(ours, choose_camera(steps, seen) if camera in ("", FIRST) else camera)
    if changed:
        steps.write(path + OLD, theirs)
    if theirs != ours:
        steps.write(path, ours)


def is_ours(seen: Places) -> bool:
    """Nobody has changed it."""
    return _bytes(seen.at(places.CONFIG)) in shipped(seen)


def shipped(seen: Places) -> Set[bytes]:
    """The configurations of this version and of those that are installed."""
    found = {_bytes(os.path.join(places.shipped_folder(), NAME))}
    for version in seen.versions():
        found.add(_bytes(os.path.join(data_of(seen, version), NAME)))
    return found - {b""}


def data_of(seen: Places, version: str) -> str:
    """The folder of units and configuration of an installed version; "" where it has none."""
    folder = os.path.join(seen.program(version), places.SHARE)
    return folder if os.path.isdir(folder) else ""


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""
