"""Reading a stream. Raises OSError or ValueError, with a text to stand behind the name."""
import io
import os
from itertools import islice
from typing import List, NamedTuple, Optional, Tuple

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
        data = f.read(size)
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
    parts: List[np.ndarray] = []
    lines = enumerate(io.TextIOWrapper(io.BytesIO(data), "ascii"), 1)
    for batch in iter(lambda: list(islice(lines, BATCH)), []):
        number, last = batch[-1]
        half = not last.endswith("\n") and number != told
        parts.append(_parsed(batch[:-1] if half else batch, header))
        if half:
            return np.concatenate(parts), True
    return np.concatenate(parts) if parts else np.zeros((0, header.dim)), False


def _parsed(lines: List[Tuple[int, str]], header: Header) -> np.ndarray:
    delim, dim = header.delim, header.dim
    rows = []
    for number, line in lines:
        line = line if delim.isspace() or not delim else line.replace(delim, " ")
        row = line.split(None, dim)  # no more, however long the line is
        if len(row) > dim or len(row) < dim:
            raise ValueError("line {} of its data has {} values, not {}".format(
                number, "more" if len(row) > dim else len(row), dim))
        try:
            rows.append(list(map(float, row)))
        except ValueError:
            raise ValueError("line {} of its data: could not convert {!r} to numbers".format(number, line[:40])) from None
    return np.array(rows, np.float64).reshape(-1, dim)
