"""Command lines of other programs: their options as words, and what commands that take them share."""
import argparse
import os
import re
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, TextIO

from edge.cli.commands import run as tracking
from edge.cli.options import Option
from edge.cli.parser import shown
from edge.outputs.kinds import forms

LARGEST = 10 ** 6
FILM = ".mp4"  # what films are written as
OF_RUN = (
    Option("--output", "outputs", "KIND:TARGET", "one more: {}; see nanoface run --help".format(forms())),
    Option("--status", "status.path", "PATH", "the status log; none writes no log"),
    Option("--max-frames", "source.max_frames", "N", "stop after so many frames"),
)


def number(kind: Callable[[str], Any], low: float, high: float) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError("{} is not {} from {:.0f} to {:.0f}".format(shown(text), what, low, high))
        return value

    return read


SWITCH, INTEGER, SHARE = number(int, 0, LARGEST), number(int, -LARGEST, LARGEST), number(float, 0, 1)


class Word(NamedTuple):
    """An option of another program. `read` None: it takes no value."""

    flags: str
    metavar: str
    read: Optional[Callable[[str], Any]]
    text: str
    more: bool = False  # it takes several values


def add_words(group: Any, words: Sequence[Word]) -> None:
    for word in words:
        if word.read is None:
            group.add_argument(*word.flags.split(), action="store_true", help=word.text)
        else:
            group.add_argument(*word.flags.split(), type=word.read, metavar=word.metavar, help=word.text,
                               nargs="+" if word.more else None)


def left_out(args: Any, words: Sequence[Word]) -> List[str]:
    """A note that names those of `words` which were given, or nothing."""
    given = [word.flags.split()[-1] for word in words
             if getattr(args, word.flags.split()[-1][2:].replace("-", "_")) is not (None if word.read else False)]
    return ["left out, as there is nothing here that they would change: " + ", ".join(given)] if given else []


def as_film(option: str, path: str, notes: List[str]) -> str:
    """The name that a film is written by; a note where it is another one."""
    if path.lower().endswith(FILM):
        return path
    film = os.path.splitext(path)[0] + FILM
    notes.append("{} {}: it is written as {}".format(option, path, film))
    return film


def output_text(kind: str, path: str, options: str = "", neutral: str = "") -> str:
    """The text of an --output to a file or folder of any name. `neutral`: an option of that kind which changes nothing, for
    a name that would be read as one with options."""
    options = options or (neutral if "?" in path else "")
    path = re.sub("[%&?]", lambda mark: "%{:02X}".format(ord(mark.group())), path) if options else path
    return "{}:{}{}".format(kind, path, options and "?" + options)


def run_noted(args: Any, out: TextIO) -> int:
    """As `nanoface run`, with `args.notes` told before."""
    for note in args.notes:
        args.report("note", note)
    return tracking.run(args, out)
