"""What every file of edge/cli/commands/ gives to the table."""
from typing import Any, Callable, Mapping, NamedTuple, Sequence, TextIO

from edge.cli.parser import ArgumentParser, shown
from edge.core.errors import ConfigError
from edge.core.roles import NETWORKS

ANY_NETWORK = tuple(name for names in NETWORKS.values() for name in names)


def anything_goes(args: Any) -> None:
    """No check beyond what the parser did."""


def no_more_words(args: Any) -> None:
    """Nothing stands behind the action. Raises ConfigError."""
    if args.names:
        raise ConfigError("nanoface {} {} takes no word {}".format(args.command, args.action, shown(args.names[0])))


class Command(NamedTuple):
    """One command. Nothing heavy is imported before run() or by make_parser(): help and completion make all parsers."""

    make_parser: Callable[[], ArgumentParser]
    run: Callable[[Any, TextIO], int]  # args and standard output; the exit code. Raises EdgeErrors
    check: Callable[[Any], None] = anything_goes  # of several options together; raises ConfigError
    actions: Sequence[str] = ()  # one of them has to stand directly behind the command; it becomes args.action
    offers: Mapping[str, Sequence[str]] = {}  # completion: an option, or the metavar of words without one -> its words
    usual: str = ""  # the action where none is named; "": one has to be
    takes_signals: bool = False  # run() ends by itself on SIGINT and SIGTERM; others get a KeyboardInterrupt
