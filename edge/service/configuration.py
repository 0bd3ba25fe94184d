"""/etc/nanoface/nanoface.yaml: replaced by that of this version, unless the user changed more than the camera and says no."""
import os
import stat
from typing import Set

from edge.host.reading import bytes_of
from edge.host.safeopen import open_read
from edge.service import places
from edge.service.camerachoice import FIRST, choose_camera, named_in, unreadable, with_camera
from edge.service.places import Places
from edge.service.steps import Steps

NAME = os.path.basename(places.CONFIG)
OLD = ".old"
MODE = 0o640  # the service reads it, of its group; it may hold the password of a camera


def install_config(steps: Steps, tree: Places) -> None:
    path = tree.at(places.CONFIG)
    group = steps.user.gid if steps.user is not None else -1
    _put(steps, path, group, tree)
    for name in (path, path + OLD):
        protect(steps, name, group)


def protect(steps: Steps, path: str, group: int) -> None:
    """Readable by root and this group alone. A stricter mode is kept."""
    try:
        info = os.stat(path)
    except OSError:
        return
    mode, owner = info.st_mode & MODE, 0 if os.geteuid() == 0 else info.st_uid
    if (stat.S_IMODE(info.st_mode), info.st_uid) != (mode, owner) or info.st_gid != group >= 0:
        steps.do("protect {} ({:04o})".format(path, mode), lambda: _set(path, owner, group, mode))


def _set(path: str, owner: int, group: int, mode: int) -> None:
    fd = open_read(path)
    try:
        os.fchown(fd, owner, group)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _put(steps: Steps, path: str, group: int, tree: Places) -> None:
    theirs = bytes_of(path)
    changed = bool(theirs) and with_camera(theirs, FIRST) not in shipped(tree)
    if changed and not steps.agreed("{} was changed. Replace it, and keep it as {}{}?".format(path, NAME, OLD)):
        steps.say("  {} stays as it is{}".format(path, unreadable(tree) if named_in(theirs) == FIRST else ""))
        return
    camera = named_in(theirs)
    ours = with_camera(bytes_of(os.path.join(places.shipped_folder(), NAME)),
                       choose_camera(steps, tree) if camera in ("", FIRST) else camera)
    mode = os.stat(path).st_mode & MODE if theirs else MODE
    if changed:
        steps.write(path + OLD, theirs, mode, group)
    if theirs != ours:
        steps.write(path, ours, mode, group)


def is_ours(tree: Places) -> bool:
    """It is as it was shipped."""
    return bytes_of(tree.at(places.CONFIG)) in shipped(tree)


def shipped(tree: Places) -> Set[bytes]:
    """The configurations of this version and of those that are installed."""
    found = {bytes_of(os.path.join(places.shipped_folder(), NAME))}
    for version in tree.versions():
        found.add(bytes_of(os.path.join(data_of(tree, version), NAME)))
    return found - {b""}


def data_of(tree: Places, version: str) -> str:
    """The folder of units and configuration of an installed version; "" where it has none."""
    folder = os.path.join(tree.program(version), places.SHARE)
    return folder if os.path.isdir(folder) else ""
