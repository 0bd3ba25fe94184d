"""The log of a job: a file of bounded size, in the form that DISCOVER's clients show."""
import os
import time
from contextlib import suppress
from typing import Optional

from edge.core import redact
from edge.discover.files import NEW_FILE
from edge.host.reading import at_most

MOST_BYTES = 1 << 20
FULL = "the log is full: what follows is left out"


class JobLog:
    """Nothing is there until the first line is written."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._bytes, self._there = 0, False

    def line(self, text: str, level: str = "INFO") -> None:
        """What cannot be written is lost: the job goes on."""
        if self._bytes > MOST_BYTES:
            return
        text = redact.one_line(redact.hide(text))
        data = "{} {} {}\n".format(time.strftime("%Y-%m-%d %H:%M:%S"), level, text)
        if self._bytes + len(data) > MOST_BYTES:
            data = "{} WARNING {}\n".format(time.strftime("%Y-%m-%d %H:%M:%S"), FULL)
            self._bytes = MOST_BYTES
        encoded = data.encode("utf-8", "backslashreplace")
        self._bytes += len(encoded)
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) if self._there else NEW_FILE
        with suppress(OSError), os.fdopen(os.open(self.path, flags, 0o600), "wb") as f:
            self._there = True
            f.write(encoded)

    def text(self) -> Optional[str]:
        """None: the job has not begun."""
        if not self._there:
            return None
        try:
            with open(self.path, "rb") as f:
                return at_most(f, 2 * MOST_BYTES).decode("utf-8", "replace")
        except (OSError, ValueError):
            return ""

    def remove(self) -> None:
        with suppress(OSError):
            os.unlink(self.path)
