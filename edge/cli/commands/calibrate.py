"""`nanoface calibrate`: what a network loses in 16 bits, and which of its layers are to be kept in 32."""
from typing import Any, TextIO

from edge.cli.command import ANY_NETWORK, Command
from edge.cli.parser import ArgumentParser, count
from edge.store.models import home_dir


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface calibrate", "Run networks on real frames in 32 and in 16 bits; show what is lost, and which\n"
        "layers are to be kept in 32 bits.", "\n".join((
        "nanoface calibrate fp16 mb05 --source clip.mp4", "nanoface calibrate fp16 --write")))
    parser.usage = "nanoface calibrate fp16 [NAME ...] [OPTION ...]"
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks; without a NAME those that were fetched")
    parser.add_argument("--source", default="portrait", metavar="SPEC", help="where the frames come from (portrait)")
    parser.add_argument("--frames", type=count(100), default=6, metavar="N", help="how many, spread over the source (6)")
    parser.add_argument("--write", action="store_true", help="to where nanoface build reads it, not to out/")
    parser.add_argument("--markdown", action="store_true", help="a table for a document")
    parser.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser


def run(args: Any, out: TextIO) -> int:
    from calibration.fp16.fp16 import run_fp16

    return run_fp16(home_dir(), args.source, args.names, args.frames, out, args.markdown, args.write)


CALIBRATE = Command(make_parser, run, actions=("fp16",), offers={"NAME": ANY_NETWORK})
