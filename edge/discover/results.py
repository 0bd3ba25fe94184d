"""What is fetched of a job: its only file, or a zip of all, made while it is sent."""
import os
import zipfile
from mimetypes import guess_type
from typing import IO, Iterator, List, NamedTuple, Sequence, Union

from edge.discover.files import NAME
from edge.host.reading import open_regular


class Result(NamedTuple):
    name: str  # of the download
    folder: str
    names: Sequence[str]  # of the files, from there
    inside: str  # their folder in a zip


def result(folder: str, names: Sequence[str], key: str) -> Result:
    """Named after the job, where that is a harmless name."""
    inside = key if NAME.match(key) else "job"
    return Result(inside + ".zip" if len(names) > 1 else os.path.basename(names[0]), folder, names, inside)


def content_type(name: str) -> str:
    return guess_type(name)[0] or "application/octet-stream"


def pieces(found: Result, size: int) -> Iterator[bytes]:
    """Raises OSError."""
    if len(found.names) == 1:
        with _open(found, found.names[0]) as f:
            yield from iter(lambda: f.read(size), b"")
        return
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as made:  # type: ignore[call-overload]
        for name in found.names:
            place = "/".join([found.inside] + name.split(os.sep))
            with _open(found, name) as f, made.open(place, "w", force_zip64=True) as inside:
                for piece in iter(lambda: f.read(size), b""):
                    inside.write(piece)
                    yield sink.take()
    yield sink.take()


def _open(found: Result, name: str) -> IO[bytes]:
    return os.fdopen(open_regular(os.path.join(found.folder, name)), "rb")


class _Sink:
    """A file that is taken away piece by piece, and cannot be gone back in."""

    def __init__(self) -> None:
        self._held: List[bytes] = []

    def write(self, data: Union[bytes, bytearray, memoryview]) -> int:
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def take(self) -> bytes:
        data = b"".join(self._held)
        self._held.clear()
        return data
