"""`nanoface run`: track faces in a source, and print the summary."""
import sys
from typing import Any, TextIO

from edge.cli.command import Command
from edge.cli.options import NETWORK_OPTIONS, TRACKING_OPTIONS, Option, add, add_config, add_source, config_of, take_source
from edge.cli.own import note_findings
from edge.cli.parser import ArgumentParser
from edge.core.errors import SourceError
from edge.host import console
from edge.host.stop import Stop, stopped_by_signals
from edge.outputs.kinds import STDOUT, explained

OUTPUT_OPTIONS = (
    Option("--output", "outputs", "KIND:TARGET", "where the results go; may be repeated; the kinds stand below"),
    Option("--no-window", "output.window", "", "open no live picture; by itself one opens where there is a display",
           False),
    Option("--landmarks", "output.landmarks", "468|68|all", "write points too: the 468 of the mesh, iBUG's 68, or both", True,
           ("468", "68", "all")),
    Option("--shapes", "output.shapes", "", "measure the blend shapes (ARKit's names), too", True),
    Option("--coarse-shapes", "output.coarse_shapes", "", "the shapes, also those that the points tell roughly", True),
    Option("--events", "output.events", "", "tell events too: blinks, nods, looking away ...", True),
    Option("--style", "output.style", "HOW", "of pictures: mesh, or dots (every point, the networks' time and the rate)"),
    Option("--mirror", "output.mirror", "", "show pictures as in a mirror; left and right stay the subject's", True),
    Option("--status", "status.path", "PATH", "the status log; none writes no log"),
    Option("--status-interval", "status.interval_s", "S", "seconds between two status records (5)"),
)


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface run", "Track faces and write what they do.", "\n".join((
        "nanoface run portrait --output video:demo.mp4",
        "nanoface run --source 0 --size 640x480 --output window",
        "nanoface run clip.mp4 --output jsonl:clip.jsonl --landmarks",
    )))
    parser.usage = "nanoface [run] [SOURCE ...] [OPTION ...]"
    add_source(parser, alone=True)
    add(parser.add_argument_group("networks (several NAMEs, in order of preference: A,B)"), NETWORK_OPTIONS)
    add(parser.add_argument_group("tracking"), TRACKING_OPTIONS)
    group = parser.add_argument_group("output")
    add(group, OUTPUT_OPTIONS)
    group.add_argument("--quiet", action="store_true", help="print nothing but errors and what was lost of a film")
    add_config(parser)
    parser.add_argument_group("kinds of outputs, as KIND:TARGET?KEY=VALUE&KEY=VALUE (between quotes)", explained())
    return parser


def run(args: Any, out: TextIO) -> int:
    try:
        return _track(args, out)
    except KeyboardInterrupt:  # before it began: while it waited for its configuration
        return 0


def _track(args: Any, out: TextIO) -> int:
    config = config_of(args)
    stop = Stop()  # type: Any  # in the place of a threading.Event
    with stopped_by_signals(stop):
        from edge.app import run as app
        from edge.outputs.spec import parse_outputs
        from edge.telemetry.status import table

        note_findings(config, args.report)
        try:
            record = app.run(config, stop, args.report)
        finally:
            args.report.end_line()
    if not args.quiet:
        stream = console.on(sys.stderr if any(spec.target == STDOUT for spec in parse_outputs(config.outputs)) else out)
        stream.write(table.render(record, stream.width) + "\n")
    lost = record.get("lost", 0)
    if config.source.strict and lost:
        raise SourceError("{} frame{} of the source could not be read, and source.strict is true".format(
            lost, "s" if lost > 1 else ""))
    return 0


RUN = Command(make_parser, run, check=take_source, takes_signals=True)
