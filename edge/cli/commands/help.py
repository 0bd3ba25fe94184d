"""`nanoface help` and `nanoface version`: what there is, what a command takes, and which version this is."""
from typing import Any, TextIO

from edge import __version__
from edge.cli import table
from edge.cli.command import Command
from edge.cli.parser import ArgumentParser, known_word, shown
from edge.core.errors import ConfigError


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface help", "Show the commands, or what one of them takes.",
        "nanoface help\nnanoface help models fetch")
    parser.usage = "nanoface help [COMMAND [ACTION]]"
    parser.add_argument("names", nargs="*", metavar="COMMAND", help="one of `nanoface help`, and one of its actions")
    return parser


def check(args: Any) -> None:
    if not args.names:
        return
    command, rest = known_word(args.names[0], tuple(table.COMMANDS), "nanoface"), args.names[1:]
    actions = table.load(command).actions
    if rest and actions:
        known_word(rest[0], actions, "nanoface " + command)
        rest = rest[1:]
    if rest:
        raise ConfigError("nanoface help {} takes no word {}".format(command, shown(rest[0])))


def run(args: Any, out: TextIO) -> int:
    asked = table.load(args.names[0]).make_parser() if args.names else table.top()
    out.write(asked.format_help())
    return 0


def _make_version_parser() -> ArgumentParser:
    return ArgumentParser("nanoface version", "Print the version.", "nanoface version")


def _version(args: Any, out: TextIO) -> int:
    out.write("nanoface {}\n".format(__version__))
    return 0


HELP = Command(make_parser, run, check, offers={"COMMAND": tuple(table.COMMANDS)})
VERSION = Command(_make_version_parser, _version)
