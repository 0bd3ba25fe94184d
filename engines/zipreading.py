"""ZIP files from outside (wheels, .npz): what a few of their bytes may cost is looked at before they are unpacked."""
import os
import struct
import tokenize
import zipfile
import zlib
from contextlib import contextmanager
from typing import Any, Iterator

from edge.host.reading import open_regular

BLOCK = 1 << 16
LONGEST_LIST = 1 << 22  # bytes of the list of files; MediaPipe's wheel has a hundredth
END_BYTES = 22 + (1 << 16)  # what stands behind the list, with the longest comment
MOST_UNPACKED = 1 << 26  # bytes of all arrays of an .npz
# what zipfile, zlib and numpy raise on bytes that are not what they expect
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, SyntaxError, OSError, EOFError, ValueError,
          RuntimeError, ArithmeticError, LookupError, TypeError, AttributeError, MemoryError)


@contextmanager
def open_zip(path: str) -> Iterator[zipfile.ZipFile]:
    """Raises one of DAMAGE."""
    with os.fdopen(open_regular(path), "rb") as f:
        _check_list(f)
        with zipfile.ZipFile(f) as archive:
            yield archive


def _check_list(file: Any) -> None:
    """Python keeps half a kilobyte for each file that is listed, and a list may be as long as the ZIP."""
    file.seek(max(0, os.fstat(file.fileno()).st_size - END_BYTES))
    end = file.read(END_BYTES)
    at = end.rfind(b"PK\5\6")
    if at < 0 or len(end) - at < 22:
        raise ValueError("its end is missing")
    if int.from_bytes(end[at + 12:at + 16], "little") > LONGEST_LIST:
        raise ValueError("it lists too many files")
    file.seek(0)


def unpacked(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """One file of it, block by block. Raises KeyError where there is none, else one of DAMAGE."""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is packed in an unusual way")
    with archive.open(info) as f:
        yield from iter(lambda: f.read(BLOCK), b"")


@contextmanager
def open_npz(path: str) -> Iterator[Any]:
    """numpy's archive of arrays; one that could be a program is refused. Raises one of DAMAGE, when an array is read, too."""
    with open_zip(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > MOST_UNPACKED:
            raise ValueError("it unpacks to more than {} bytes".format(MOST_UNPACKED))
    import numpy as np  # which `models list` does without
    with os.fdopen(open_regular(path), "rb") as f, np.load(f, allow_pickle=False) as arrays:
        yield arrays
