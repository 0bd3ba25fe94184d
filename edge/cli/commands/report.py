"""`nanoface report`: one text file with all about this board."""
from typing import Any, TextIO

from edge.cli.command import Command
from edge.cli.options import add_config, add_source, config_of
from edge.cli.parser import ArgumentParser, count

LONGEST_S = 3600


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface report", "Write one text file with all about this board, to be pasted into an issue.",
        "nanoface report\nnanoface report board.txt --seconds 20 --source portrait\n"
        "nanoface report --recording run.nfr")
    parser.usage = "nanoface report [PATH] [OPTION ...]"
    parser.add_argument("path", nargs="?", default="nanoface-report.txt", metavar="PATH",
                       help="where it is written (nanoface-report.txt)")
    parser.add_argument("--seconds", type=count(LONGEST_S), default=60, metavar="S",
                       help="seconds of tracking (60)")
    parser.add_argument("--recording", metavar="FILE", default="",
                       help="a run of --output record:FILE that goes along: points of faces, no pictures")
    add_source(parser)
    add_config(parser)
    return parser


def run(args: Any, out: TextIO) -> int:
    from engines.report.command import run_report

    return run_report(config_of(args), args.path, args.seconds, out, recording=args.recording)


REPORT = Command(make_parser, run)
