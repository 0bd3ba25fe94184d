"""Which files a request may read and write, and where uploads, results and logs lie."""
import os
import re
import shutil
import stat
from random import SystemRandom
from string import ascii_lowercase
from typing import IO, Iterable, List, NamedTuple, Tuple

from edge.host.reading import reason

UPLOADS = "uploads"  # below the data folder
MOST_UPLOADS, LARGEST_UPLOAD, SPARE_BYTES = 200, 8 << 30, 256 << 20
STREAM, DATA = ".stream", "~"  # a stream is two files: NAME.stream and NAME.stream~
BEGINS = (b"<stream", b"<?xml")
EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,10})\Z")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)


class Places(NamedTuple):
    data: str  # what relative paths begin at
    tmp: str  # results, a folder for each job
    log: str

    @property
    def uploads(self) -> str:
        return os.path.join(self.data, UPLOADS)


def source(places: Places, uri: str) -> str:
    """The absolute path of a file to be read. Raises ValueError."""
    if not uri:
        raise ValueError("an input has no uri")
    path = _absolute(places, uri)
    if not os.path.lexists(path) and not os.path.isabs(uri) and os.path.basename(uri) == uri:
        path = os.path.join(os.path.realpath(places.uploads), uri)
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as e:
        raise ValueError("{} cannot be read: {}".format(path, reason(e)))
    if not stat.S_ISREG(mode):
        raise ValueError("{} is no file".format(path))
    if path.lower().endswith(".txt"):
        raise ValueError("{} is no film or picture".format(path))
    return path


def target(places: Places, uri: str, inputs: Iterable[str]) -> str:
    """The absolute path of a stream to be written: never over an input, a link, or anything that is no stream. Raises
    ValueError."""
    path = _absolute(places, uri)
    if not path.endswith(STREAM) or os.path.basename(path) == STREAM:
        raise ValueError("an output is written to NAME{}, not to {!r}".format(STREAM, uri[:200]))
    if not os.path.isdir(os.path.dirname(path)):
        raise ValueError("there is no folder {}".format(os.path.dirname(path)))
    for one in (path, path + DATA):
        if not os.path.lexists(one):
            continue
        if not stat.S_ISREG(os.lstat(one).st_mode):
            raise ValueError("{} is a link or a device, and no stream: nothing is written there".format(one))
        for read in inputs:
            if any(os.path.exists(name) and os.path.samefile(one, name) for name in (read, read + DATA)):
                raise ValueError("{} is read by this job, and cannot be written".format(one))
        if one == path and not _is_stream(path):
            raise ValueError("{} is there and is no stream: nothing is written over it".format(one))
    return path


def _absolute(places: Places, uri: str) -> str:
    """Relative ones stay below the data folder. Raises ValueError."""
    if "://" in uri:
        raise ValueError("{} is an address: name a file".format(uri[:200]))
    if os.path.isabs(uri):
        return os.path.normpath(uri) if os.path.basename(uri) not in ("", ".", "..") else uri
    root = os.path.realpath(places.data)
    path = os.path.join(root, uri)
    if not os.path.realpath(path).startswith(root + os.sep):
        raise ValueError("{} leads out of the data folder: name the whole path".format(uri[:200]))
    return path


def _is_stream(path: str) -> bool:
    try:
        with open(path, "rb") as f:
            head = f.read(16)
    except OSError:
        return False
    return not head or head.startswith(BEGINS)


def plain(name: str, instead: str) -> str:
    """A name of a request as that of a file or folder, where it is harmless. A stream keeps its extension."""
    name = name if NAME.match(name) else instead
    return name + STREAM if instead.endswith(STREAM) and not name.endswith(STREAM) else name


def has_room(places: Places, size: int) -> bool:
    return shutil.disk_usage(places.uploads).free - size > SPARE_BYTES


def new_upload(places: Places, file_name: str, size: int) -> Tuple[IO[bytes], str]:
    """A file of a random name, with the extension of `file_name`, and that name. Raises ValueError, OSError."""
    os.makedirs(places.uploads, mode=0o700, exist_ok=True)
    if len(os.listdir(places.uploads)) >= MOST_UPLOADS:
        raise ValueError("{} files were uploaded: remove some of {}".format(MOST_UPLOADS, places.uploads))
    if size > LARGEST_UPLOAD or not has_room(places, size):
        raise ValueError("there is no room for {} MB in {}".format(size >> 20, places.uploads))
    extension = EXTENSION.search(file_name)
    dice = SystemRandom()
    name = "".join(dice.choice(ascii_lowercase) for _ in range(6)) + "." + (extension.group(1) if extension else "bin")
    return os.fdopen(os.open(os.path.join(places.uploads, name), NEW_FILE, 0o600), "wb"), name


def files_below(folder: str) -> List[str]:
    """Paths from `folder`, sorted; none that is hidden or a link."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (os.path.join(root, name) for name in names if not name.startswith("."))
        found += [os.path.relpath(path, folder) for path in paths if stat.S_ISREG(os.lstat(path).st_mode)]
    return sorted(found)
