"""Small files and texts from outside: none may block the process, fill the memory, or break a parser.

Everything here raises OSError or ValueError, with a text of a few words, see reason().
"""
import json
import math
import os
import stat
from typing import Any

from edge.host.ownership import UnsafePath
from edge.host.safeopen import open_read

ENCODING = "utf-8-sig"  # of texts: with or without the mark that some editors write first
LARGEST_BYTES = 1 << 20  # of JSON: 2 MB of brackets would be 170 MB of lists and dicts
LONGEST_LINE = 4096
MOST_DIGITS = 300  # of a whole number: more do not go into a float, and thousands take Python minutes


def reason(error: Exception) -> str:
    """What went wrong, on one line and without the file's name."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def read_small(path: str, most: int = LARGEST_BYTES) -> bytes:
    """The content of a regular file, see open_read(); a pipe or device is not waited for."""
    with os.fdopen(open_read(path), "rb") as f:
        return at_most(f, most)


def at_most(file: Any, most: int) -> bytes:
    """What is left of a file that may be too long, or without an end."""
    data: bytes = file.read(most + 1)
    if len(data) > most:
        raise ValueError("it has more than {} bytes".format(most))
    return data


def single_line(path: str, most: int = LONGEST_LINE) -> str:
    """The only line of a small file, such as a password's."""
    with os.fdopen(open_read(path), "rb") as f:
        data = f.read(most + 1)
    lines = data.strip().splitlines()
    if len(data) > most or len(lines) != 1:
        raise ValueError("it is empty" if not lines else "it holds more than one line")
    try:
        text = lines[0].decode(ENCODING).strip()
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise ValueError("it is no text in UTF-8")
    return text


def readable_by_all(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False


def open_regular(path: str) -> int:
    """A regular file that its user named, wherever links lead: no pipe that makes us wait."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnsafePath("it is no regular file")
    return fd


def is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):  # reading it will raise the error
        return False


def can_be_name(text: str) -> bool:
    """Of a file: no NUL, no half of a character, and in a locale without Unicode no more than that knows."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def parse_json(data: bytes, finite: bool = True) -> Any:
    """Values of bounded depth. `finite`: all numbers are, so that what is no JSON in the sense of RFC 8259 is a ValueError."""
    try:
        return json.loads(data.decode(ENCODING), parse_int=_whole, parse_float=_finite if finite else float,
                          parse_constant=_no_number if finite else float)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: str, most: int = LARGEST_BYTES) -> Any:
    """Of a file whose texts may become paths, so that all are such as a file's name can hold."""
    data = read_small(path, most)
    value = parse_json(data)
    if b"\\u" in data:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError("a number has {} digits".format(len(text)))
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _no_number(text: str) -> Any:
    raise ValueError("{} is no number".format(text[:20]))


def bytes_of(path: str) -> bytes:
    """The content of a file of ours; nothing where there is none that can be read."""
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""
