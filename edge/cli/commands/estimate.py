"""`nanoface estimate`: what a Jetson Nano would need for each network, and for all of a frame."""
from typing import Any, TextIO

from edge.cli.command import Command
from edge.cli.parser import ArgumentParser
from edge.store.models import home_dir

BOARDS = ("nano", "nano-5w")


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface estimate", "Estimate latency and memory on a Jetson Nano from the graphs. Nothing is measured.",
        "nanoface estimate\nnanoface estimate --board nano-5w")
    parser.usage = "nanoface estimate [--board NAME] [--markdown | --json] [--verbose]"
    parser.add_argument("--board", default=BOARDS[0], choices=BOARDS, help="nano (10 W, the default) or nano-5w")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--markdown", action="store_true", help="tables for a document")
    group.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser


def run(args: Any, out: TextIO) -> int:
    from engines.estimate.command import run_estimate

    return run_estimate(home_dir(), args.board, args.markdown, args.json, out)


ESTIMATE = Command(make_parser, run)
