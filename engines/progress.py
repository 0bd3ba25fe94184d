"""What the user sees while networks are fetched: a line for each, and on a terminal how far the current one is."""
from typing import Callable, TextIO

from edge.core import clock
from edge.core.redact import one_line
from edge.host import console

REDRAW_S = 0.1


def size_text(count: int) -> str:
    """Bytes as a person reads them."""
    if count < 1000:
        return "{} B".format(count)
    if count < 1000 * 1000:
        return "{:.0f} kB".format(count / 1e3)
    return "{:.1f} MB".format(count / 1e6)


class Report:
    """Writes to a text stream: nothing but whole lines where it is not a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = console.on(out)
        self._drawn = 0  # columns that a progress line takes now
        self._drawn_at = -REDRAW_S

    def line(self, text: str) -> None:
        """A line break in it is shown as \\n: a name can hold anything."""
        self.block(one_line(text))

    def block(self, text: str) -> None:
        """Lines, such as those of a table."""
        self._erase()
        self._out.write(text + "\n")

    def progress(self, title: str, total: int) -> Callable[[int], None]:
        """A function that takes the bytes so far. On a terminal it redraws one line, at most ten times a second."""
        def update(done: int) -> None:
            now = clock.monotonic()
            if self._out.steers and now - self._drawn_at >= REDRAW_S:
                self._drawn_at = now
                share = "{} of {}, {:.0f} %".format(size_text(done), size_text(total), 100.0 * done / total)
                self._draw("{}: {}".format(title, share))
        return update

    def _draw(self, text: str) -> None:
        self._out.draw(text, after=" " * (self._drawn - len(text)))
        self._drawn = len(text)

    def _erase(self) -> None:
        if self._drawn:
            self._out.draw("", "\r" + " " * self._drawn, "\r")
            self._drawn = 0
