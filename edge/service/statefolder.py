"""The folders that the service may write to. Root trusts neither their content nor the names in them.

As root they are only handed to the service's user, and closed when that user is removed.
"""
import errno
import os
import shlex
import stat
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from edge.host.disk import own_folder
from edge.host.safeopen import folder_of
from edge.service import places
from edge.service.acting import Account, acting_as, owner_of
from edge.service.places import Places
from edge.service.steps import ServiceError, Steps, remove_folder

Inode = Tuple[int, int]
NAMED = 3  # of what is unexpected; the others are counted
OPEN, CLOSED = 0o755, 0o700
NOBODY = -1
DEEPEST = 40  # folders in folders
FOLDER = getattr(os, "O_DIRECTORY", 0) | os.O_RDONLY


class Entries(NamedTuple):
    """Of a folder: what its entries are themselves, and its descriptor."""

    path: str
    found: List[Tuple[str, os.stat_result]]
    fd: int


def check_state(tree: Places) -> None:
    """Raises ServiceError where something lies in the homes of the versions that the service has not put there."""
    home = tree.at(places.HOME)
    owner = owner_of(home)
    if owner is not None:
        try:
            with acting_as(owner):
                bad = _unexpected(home, owner.uid or NOBODY)[0]
        except OSError as e:
            raise ServiceError("{} cannot be looked at: {}".format(e.filename or home, e.strerror or e))
        _refuse(bad)


def hand_over(steps: Steps, path: str) -> None:
    """Make a folder for the service's user, or give it what an uninstallation has left."""
    user = steps.user
    there = os.path.exists(path)
    if user is not None and there and os.stat(path).st_uid == user.uid:
        return
    if user is not None or steps.dry:
        steps.do("give {} to {}".format(path, places.USER) if there else "make {}".format(path),
                 lambda: None if user is None else _give(path, user))


def close(steps: Steps, path: str) -> None:
    """To all but root, as it is: the number of a user that is gone may become another's."""
    steps.do("close {} to all but root".format(path), lambda: _own(path, 0 if os.geteuid() == 0 else -1, -1, CLOSED))


def remove_home(steps: Steps, path: str) -> None:
    """What its user may not remove stays, and is reported."""
    if os.path.isdir(path):
        try:
            steps.as_user("remove {}".format(path), lambda: remove_folder(path))
        except ServiceError as e:
            steps.say("  it stays: {}".format(e))


def _own(path: str, uid: int, gid: int, mode: int) -> None:
    with folder_of(path) as folder:
        fd = os.open(folder.at("."), FOLDER, dir_fd=folder.fd)
    try:
        os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _give(path: str, user: Account) -> None:
    """What lies in it first, so that after a power cut it is done again. Only what was looked at is given away."""
    if os.path.exists(path):
        _own(path, 0 if os.geteuid() == 0 else -1, -1, CLOSED)
    own_folder(path).__exit__()
    bad, known = _unexpected(path, NOBODY)
    _refuse(bad)
    for _, names, fd in _entries(path):
        for name, info in names:
            if stat.S_ISREG(info.st_mode):
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
                try:
                    found = os.fstat(file)
                    if (found.st_dev, found.st_ino) in known:
                        os.fchown(file, user.uid, user.gid)
                finally:
                    os.close(file)
        os.fchown(fd, user.uid, user.gid)
    _own(path, user.uid, user.gid, OPEN)


def _entries(path: str) -> Iterator[Entries]:
    """Each folder below, the innermost first."""
    with folder_of(path) as top:
        fd = os.open(top.at("."), FOLDER, dir_fd=top.fd)
    yield from _below(path, fd, 0)


def _below(path: str, fd: int, depth: int) -> Iterator[Entries]:
    try:
        if depth > DEEPEST:
            raise OSError(errno.ELOOP, "its folders lie too deep", path)
        looked = [(name, _look(name, fd)) for name in sorted(os.listdir(fd))]
        found = [(name, info) for name, info in looked if info is not None]
        for name, info in found:
            if stat.S_ISDIR(info.st_mode):
                inner = os.path.join(path, name)
                try:
                    inner_fd = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=fd)
                except OSError as e:
                    raise OSError(e.errno, e.strerror, inner)
                yield from _below(inner, inner_fd, depth + 1)
        yield Entries(path, found, fd)
    finally:
        os.close(fd)


def _look(name: str, fd: int) -> Optional[os.stat_result]:
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None  # the service goes on meanwhile


def _unexpected(path: str, uid: int) -> Tuple[List[str], Set[Inode]]:
    """What is there beside folders and files, and files that have names elsewhere and are not of `uid`; then all other files.

    A link of root's is the administrator's: it is neither followed nor touched.
    """
    bad: List[str] = []
    several: Dict[Inode, List[str]] = {}
    links: Dict[Inode, int] = {}
    known: Set[Inode] = set()
    for place, names, _ in _entries(path):
        for name, info in names:
            inode, entry = (info.st_dev, info.st_ino), os.path.join(place, name)
            if stat.S_ISREG(info.st_mode):
                known.add(inode)
                if info.st_nlink > 1 and info.st_uid != uid:
                    links[inode] = info.st_nlink
                    several.setdefault(inode, []).append(entry)
            elif not stat.S_ISDIR(info.st_mode) and not (stat.S_ISLNK(info.st_mode) and info.st_uid == 0):
                bad.append(entry)
    for inode, entries in several.items():
        if len(entries) < links[inode]:
            bad += entries
            known.discard(inode)
    return sorted(bad), known


def _refuse(bad: List[str]) -> None:
    if bad:
        more = " and {} more".format(len(bad) - NAMED) if len(bad) > NAMED else ""
        raise ServiceError("{}{}: a link, pipe or device where the service puts only files of its own. Whoever had the "
                           "account {} may have put it there; look at it, and remove it: sudo rm {}".format(
                               ", ".join(bad[:NAMED]), more, places.USER, " ".join(shlex.quote(one) for one in bad[:NAMED])))
