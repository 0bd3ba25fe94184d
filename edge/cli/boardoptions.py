"""The options of the commands that prepare a board and tell of it: build, verify, estimate, calibrate, report."""
import argparse
from typing import Any, Tuple

from edge.cli.parser import ArgumentParser, add_config, add_source, count, known_word

COMMANDS = {
    "build": "make the TensorRT engines of this board",
    "verify": "compare what runs the networks with stored answers",
    "estimate": "say what a Jetson Nano would need for each network",
    "calibrate": "find what a network loses in 16 bits",
    "report": "write one text file that tells all of this board",
}
BOARDS = ("nano", "nano-5w")
CALIBRATIONS = ("fp16",)
TACTICS = ("cublas", "cudnn", "none")
LONGEST_REPORT_S = 3600


def tactics(text: str) -> Tuple[str, ...]:
    """For argparse: "cublas,cudnn"; none are ()."""
    names = tuple(part.strip() for part in text.split(","))
    if names == ("none",):
        return ()
    if not all(name in TACTICS[:2] for name in names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError("{!r} is not of cublas, cudnn, cublas,cudnn or none".format(text))
    return names


def build() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface build", "Make the TensorRT engines (plans) of this board, one after the other.", "\n".join((
        "nanoface build", "nanoface build --only align", "nanoface build --tune", "nanoface build --list")))
    words.usage = "nanoface build [OPTION ...]"
    group = words.add_argument_group("what is built")
    group.add_argument("--only", action="append", default=[], metavar="NAME",
                       help="a role (detect, align, pose, iris) or a network; may be repeated")
    group.add_argument("--networks", nargs="+", default=[], metavar="NAME",
                       help="these instead of what their roles would use; with --tune the candidates")
    group.add_argument("--all-networks", action="store_true", help="with --tune: every network of a role that was fetched")
    group.add_argument("--force", action="store_true", help="also what is up to date")
    ways = group.add_mutually_exclusive_group()
    ways.add_argument("--tune", action="store_true",
                      help="build each way, 16 and 32 bits, with and without cuDNN; keep the fastest that is right")
    ways.add_argument("--unattended", action="store_true",
                      help="what does not fit, as nanoface-engines.service does it: systemd is told, a failure noted")
    ways.add_argument("--list", action="store_true", help="only say what there is, and what is stale and why")
    group = words.add_argument_group("how")
    group.add_argument("--fp32", action="store_true", help="in 32 bits, to compare with")
    group.add_argument("--workspace", type=count(4096), default=256, metavar="MB",
                       help="memory that a layer may use while it works (256)")
    group.add_argument("--timeout", type=count(1440), default=30, metavar="MINUTES",
                       help="that one network may take, or one way of it with --tune; then it is ended (30)")
    group.add_argument("--tactics", type=tactics, metavar="LIST",
                       help="libraries that may be used: cublas,cudnn, one of them, or none (as tuned, else both)")
    group.add_argument("--untuned", action="store_true", help="forget what --tune found")
    group.add_argument("--no-lint", action="store_true", help="also from a network with faults, or that was not linted")
    add_config(words)
    return words


def verify() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface verify", "Compare what runs the networks here with ONNX Runtime's answers to stored pictures.",
                  "nanoface verify\nnanoface verify face_landmark --runtime tensorrt")
    words.usage = "nanoface verify [NAME ...] [--runtime NAME] [--verbose]"
    words.add_argument("names", nargs="*", metavar="NAME", help="networks; without a NAME those of the default set")
    words.add_argument("--runtime", default="auto", choices=("auto", "openvino", "onnxruntime", "tensorrt"),
                       help="auto, openvino, onnxruntime or tensorrt")
    words.add_argument("--verbose", action="store_true", help="log to standard error")
    return words


def estimate() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface estimate", "Estimate latency and memory on a Jetson Nano from the graphs. Nothing is measured.",
                  "nanoface estimate\nnanoface estimate --board nano-5w")
    words.usage = "nanoface estimate [--board NAME] [--markdown | --json] [--verbose]"
    words.add_argument("--board", default=BOARDS[0], choices=BOARDS, help="nano (10 W, the default) or nano-5w")
    group = words.add_mutually_exclusive_group()
    group.add_argument("--markdown", action="store_true", help="tables for a document")
    group.add_argument("--json", action="store_true", help="the figures as JSON")
    words.add_argument("--verbose", action="store_true", help="log to standard error")
    return words


def calibrate() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface calibrate", "Run networks on real frames in 32 and in 16 bits; say what is lost, and which\n"
                  "layers are to be kept in 32 bits.", "\n".join((
                      "nanoface calibrate fp16 mb05 --source clip.mp4", "nanoface calibrate fp16 --write")))
    words.usage = "nanoface calibrate fp16 [NAME ...] [OPTION ...]"
    words.add_argument("names", nargs="*", metavar="NAME", help="networks; without a NAME those that were fetched")
    words.add_argument("--source", default="portrait", metavar="SPEC", help="where the frames come from (portrait)")
    words.add_argument("--frames", type=count(100), default=6, metavar="N", help="how many, spread over the source (6)")
    words.add_argument("--write", action="store_true", help="to where nanoface build reads it, not to out/")
    words.add_argument("--markdown", action="store_true", help="a table for a document")
    words.add_argument("--verbose", action="store_true", help="log to standard error")
    return words


def report() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface report", "Write one text file that tells all of this board, to be pasted into an issue.",
                  "nanoface report\nnanoface report board.txt --seconds 20 --source portrait")
    words.usage = "nanoface report [PATH] [OPTION ...]"
    words.add_argument("path", nargs="?", default="nanoface-report.txt", metavar="PATH",
                       help="where it is written (nanoface-report.txt)")
    words.add_argument("--seconds", type=count(LONGEST_REPORT_S), default=60, metavar="S",
                       help="seconds of tracking (60)")
    add_source(words)
    add_config(words)
    return words


MAKERS = {"build": build, "verify": verify, "estimate": estimate, "calibrate": calibrate, "report": report}


def check(first: str, args: Any) -> None:
    """What no single option can tell. Takes the kind of calibration out of the names."""
    if first == "calibrate":
        args.kind = known_word(args.names.pop(0) if args.names else "", CALIBRATIONS, "nanoface calibrate")
