"""What the user sees while networks are fetched: a line for each, and on a terminal how far the current one is."""
from typing import Callable, TextIO

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

    def __init__(self, out: TextIO, log_interval_s: float = float("inf")) -> None:
        """`log_interval_s`: between lines of progress where there is no terminal."""
        self._out = console.on(out)
        self._line = console.ProgressLine(self._out, log_interval_s, REDRAW_S)

    def line(self, text: str) -> None:
        """A line break in it is shown as \\n: a name can hold anything."""
        self.block(one_line(text))

    def block(self, text: str) -> None:
        """Lines, such as those of a table."""
        self._line.end()
        self._out.write(text + "\n")

    def show(self, text: str) -> None:
        """How far it is: one line of a terminal that is redrawn at most ten times a second."""
        self._line.show(text)

    def progress(self, title: str, total: int) -> Callable[[int], None]:
        """A function that takes the bytes so far."""
        def update(done: int) -> None:
            self.show("{}: {} of {}, {:.0f} %".format(title, size_text(done), size_text(total), 100.0 * done / total))
        return update
