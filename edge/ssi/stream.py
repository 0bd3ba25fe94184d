"""Reading a stream. Raises OSError or ValueError, with a text to stand behind the name."""
import os
from typing import Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from edge.host.reading import open_regular
from edge.ssi.header import ASCII, DATA, TYPES, Header, read_header

MOST_BYTES = 64 << 20  # of data: boxes of 30 hours
BATCH = 4096  # lines of text that are numbers at a time


class Stream(NamedTuple):
    header: Header
    values: np.ndarray  # (N, dim), read-only
    starts: Tuple[Tuple[float, int, int], ...]  # of each chunk: its time, its first row, and the row behind its last one
    half: bool = False  # there was half a sample behind them, as where the writer was killed

    @property
    def end_s(self) -> float:
        """When the last sample is over."""
        return max(from_s + (end - first) / self.header.rate for from_s, first, end in self.starts)

    def row_at(self, time_s: float) -> Optional[int]:
        """The sample of this time; None where the stream has none."""
        for from_s, first, end in reversed(self.starts):
            row = first + int(round((time_s - from_s) * self.header.rate))
            if first <= row < end:
                return row
        return None


def read_stream(path: str, dim: Optional[int] = None, most: int = MOST_BYTES) -> Stream:
    """`dim`: how many values a sample must have; `most`: bytes of data."""
    header = read_header(path)
    if dim is not None and header.dim != dim:
        raise ValueError("it has {} values a sample, not {}".format(header.dim, dim))
    told = sum(chunk.num for chunk in header.chunks)
    if told == 0 and len(header.chunks) > 1:
        raise ValueError("it has several chunks without a number of samples")
    try:
        fd = open_regular(path + DATA)
    except FileNotFoundError:
        raise ValueError("its data, {}, is not there: the two files belong together".format(path + DATA))
    with os.fdopen(fd, "rb") as f:
        size = os.fstat(f.fileno()).st_size
        if size > most:
            raise ValueError("its data are {} MB; at most {} MB are read".format(size >> 20, most >> 20))
        data = f.read(most)
    values, half = _text_rows(data, header, told) if header.form == ASCII else _rows(data, header)
    if told and (len(values) != told or half):
        raise ValueError("its header counts {} samples, and there are {}{}: it is cut off, or of another stream".format(
            told, len(values), " and a part of one" if half else ""))
    values.flags.writeable = False
    starts, first = [], 0
    for chunk in header.chunks:
        end = first + chunk.num if told else len(values)
        starts.append((chunk.from_s, first, end))
        first = end
    return Stream(header, values, tuple(starts), half)


def _rows(data: bytes, header: Header) -> Tuple[np.ndarray, bool]:
    kind = np.dtype(TYPES[header.type])
    row = kind.itemsize * header.dim
    count = len(data) // row
    values = np.frombuffer(data, kind, count * header.dim).reshape(count, header.dim)
    return values, len(data) > count * row


def _text_rows(data: bytes, header: Header, told: int) -> Tuple[np.ndarray, bool]:
    """The last line is whole where it ends, or the header counts it."""
    text = data.decode("ascii")
    lines = (text if header.delim.isspace() or not header.delim else text.replace(header.delim, " ")).splitlines()
    half = bool(lines) and not text.endswith("\n") and len(lines) != told
    parts = list(_parsed(lines[:-1] if half else lines, header.dim))
    return np.concatenate(parts) if parts else np.zeros((0, header.dim)), half


def _parsed(lines: List[str], dim: int) -> Iterator[np.ndarray]:
    for at in range(0, len(lines), BATCH):
        rows = [line.split() for line in lines[at:at + BATCH]]
        odd = next((number for number, row in enumerate(rows, at + 1) if len(row) != dim), None)
        if odd is not None:
            raise ValueError("line {} of its data has {} values, not {}".format(odd, len(rows[odd - at - 1]), dim))
        yield np.array(rows, np.float64)
