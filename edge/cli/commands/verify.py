"""`nanoface verify`: compare what runs the networks here with stored answers."""
from typing import Any, TextIO

from edge.cli.command import ANY_NETWORK, Command
from edge.cli.parser import ArgumentParser
from edge.core.roles import AUTO, RUNTIMES
from edge.store.models import home_dir


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface verify", "Compare what runs the networks here with ONNX Runtime's answers to stored pictures.",
        "nanoface verify\nnanoface verify face_landmark --runtime tensorrt")
    parser.usage = "nanoface verify [NAME ...] [--runtime NAME] [--verbose]"
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks; without a NAME those of the default set")
    parser.add_argument("--runtime", default=AUTO, choices=(AUTO,) + RUNTIMES,
                       help="{}, {} or {}".format(AUTO, ", ".join(RUNTIMES[:-1]), RUNTIMES[-1]))
    parser.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser


def run(args: Any, out: TextIO) -> int:
    from engines.verify.verify import run_verify

    return run_verify(home_dir(), args.runtime, args.names, out)


VERIFY = Command(make_parser, run, offers={"NAME": ANY_NETWORK})
