"""The commands, and which of them the words of a command line mean."""
import argparse
from importlib import import_module
from typing import Any, Sequence, Tuple

from edge import __version__
from edge.cli.command import Command
from edge.cli.options import DEMO, is_source
from edge.cli.parser import ArgumentParser, known_word
from edge.core.errors import ConfigError

# A name and its line in `nanoface help`, in this order. The file of this name in edge/cli/commands/ has the Command, by
# this name in capitals, and is imported on demand.
COMMANDS = {
    "run": "track faces in a camera, video, pictures or stream",
    "pose": "print yaw, pitch and roll of each face",
    "status": "show what a running tracker does",
    "models": "list, fetch, check or lint the networks",
    "bench": "measure the pipeline, each network alone, or detectors at several sizes",
    "doctor": "check this machine, with the cure for what is missing",
    "build": "make the TensorRT engines of this board",
    "verify": "compare what runs the networks with stored answers",
    "estimate": "estimate what a Jetson Nano needs for each network",
    "score": "tell how well a detector finds the known faces of WIDER FACE",
    "calibrate": "take your resting face, or find what a network loses in 16 bits",
    "profile": "list, choose or remove the resting faces that were taken",
    "outputs": "list the kinds of outputs, and try one with a moving test face",
    "report": "write one text file with all about this board",
    "service": "install, show or remove the service that starts at boot",
    "openseeface": "track with the options of OpenSeeFace's facetracker.py",
    "discover": "answer as the server of DISCOVER does, or write a module for it",
    "ailia": "track with the options of ailia-models' facemesh.py",
    "completion": "print what completes all of this in bash, zsh or fish",
    "help": "show this, or the options of a command",
    "version": "print the version",
}
ELSEWHERE = {"version": "help"}  # commands in the file of another one


def load(name: str) -> Command:
    """Of one of COMMANDS."""
    found: Any = import_module("edge.cli.commands." + ELSEWHERE.get(name, name))
    command: Command = getattr(found, name.upper())
    return command


def top() -> ArgumentParser:
    """Of `nanoface` without a command."""
    commands = "\n".join("  {:<10} {}".format(name, text) for name, text in COMMANDS.items())
    parser = ArgumentParser(
        "nanoface", "Face, head pose, gaze and blinks from a camera.\n\ncommands:\n" + commands +
        "\n\nA source without a command is tracked: `nanoface clip.mp4` is `nanoface run --source clip.mp4`.",
        "nanoface portrait --output video:demo.mp4\nnanoface help run")
    parser.usage = "nanoface [--version] [--help] COMMAND ..."
    parser.add_argument("--version", action="version", version="nanoface " + __version__)
    return parser


def read_words(argv: Sequence[str]) -> argparse.Namespace:
    """The command, its action and its options. Without a word it is `nanoface help`, exit code 0; an empty word, as of an
    unset variable in a script, is an error.

    Raises ConfigError; SystemExit once help or the version was printed.
    """
    first, rest = _command(list(argv) or ["help"])
    command = load(first)
    args = command.make_parser().read(rest)
    args.command = first
    if command.actions:
        args.action = known_word(args.names.pop(0) if args.names else command.usual, command.actions, "nanoface " + first)
    command.check(args)
    if first == "run" and rest == list(argv):
        _check_alone(args, rest[0].split("=")[0])
    return args


def _command(argv: Sequence[str]) -> Tuple[str, Sequence[str]]:
    """The command and the words behind it; a source or an option in its place is for `run`."""
    first = argv[0]
    if first.startswith("-") and first != "--":
        known = [word for entry in load("run").make_parser().entries() for word in entry.option_strings]
        if first.split("=")[0] not in known or first in ("-h", "--help"):
            top().read([first])
        return "run", argv
    if first == "--" or first not in COMMANDS and is_source(first):
        return "run", argv
    return known_word(first, tuple(COMMANDS) + (DEMO,), "nanoface"), argv[1:]


def _check_alone(args: argparse.Namespace, first: str) -> None:
    """What stands without a command has to name its source: a camera is not opened by a word too few."""
    command = next((word for word in args.names if word in COMMANDS), None)
    if command or not any(setting.key == "source.spec" for setting in args.settings or ()):
        raise ConfigError("{} stands before the command: write nanoface {} {}".format(first, command or "run", first))
