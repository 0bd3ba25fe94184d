"""`nanoface bench`: what the pipeline and each network cost here."""
from typing import Any, TextIO

from edge.cli.command import Command
from edge.cli.options import NETWORK_OPTIONS, TRACKING_OPTIONS, add, add_config, add_source, config_of, take_source
from edge.cli.parser import ArgumentParser, count

MOST_FRAMES = 100  # they are decoded up front and held in memory


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface bench", "Measure the pipeline and each network alone on frames decoded up front.",
        "nanoface bench portrait --rounds 3")
    parser.usage = "nanoface bench [SOURCE ...] [OPTION ...]"
    add_source(parser, alone=True)
    add(parser.add_argument_group("networks"), NETWORK_OPTIONS)
    add(parser.add_argument_group("tracking"), TRACKING_OPTIONS)
    group = parser.add_argument_group("measurement")
    group.add_argument("--frames", type=count(MOST_FRAMES), default=MOST_FRAMES, metavar="N",
                       help="frames of the source, at most {}".format(MOST_FRAMES))
    group.add_argument("--rounds", type=count(1000), default=5, metavar="N", help="how often all of them are run (5)")
    group.add_argument("--json", action="store_true", help="the figures as JSON")
    add_config(parser)
    return parser


def run(args: Any, out: TextIO) -> int:
    config = config_of(args)
    from edge.bench.command import run_bench

    run_bench(config, args.frames, args.rounds, args.json, out)
    return 0


BENCH = Command(make_parser, run, check=take_source)
