"""The commands and their options, and what these set in the configuration."""
import argparse
from typing import Sequence, Tuple

from edge import __version__
from edge.cli import boardoptions, serviceoptions
from edge.cli.parser import (
    DEMO,
    ArgumentParser,
    Option,
    add,
    add_config,
    add_source,
    count,
    is_source,
    known_word,
    shown,
    take_source,
)
from edge.core.errors import ConfigError
from edge.core.roles import NETWORKS
from edge.outputs.kinds import explained, forms

COMMANDS = {
    "run": "track faces in a camera, video, pictures or stream",
    "status": "show what a running tracker does",
    "models": "list, fetch, check or lint the networks",
    "bench": "measure the pipeline and each network alone",
    "doctor": "say what this machine has, and the cure for what is missing",
    **boardoptions.COMMANDS,
    **serviceoptions.COMMANDS,
    "completion": "print what completes all of this in bash, zsh or fish",
    "help": "show this, or the options of a command",
    "version": "say which version this is",
}
SHELLS = ("bash", "zsh", "fish")
MODELS_ACTIONS = ("list", "fetch", "check", "lint")
MOST_BENCH_FRAMES = 100  # they are decoded up front and held in memory


NETWORK_OPTIONS = (
    Option("--detector", "models.detect", "NAME", ", ".join(NETWORKS["detect"])),
    Option("--aligner", "models.align", "NAME", ", ".join(NETWORKS["align"])),
    Option("--pose", "models.pose", "NAME", "mb05, or none: no head pose"),
    Option("--iris", "models.iris", "NAME", "iris_landmark, or none: no iris, blink or gaze"),
    Option("--runtime", "models.runtime", "NAME", "auto, openvino, onnxruntime or tensorrt"),
)
TRACKING_OPTIONS = (
    Option("--max-faces", "tracking.max_faces", "N", "faces tracked at once, 1 to 4"),
    Option("--no-smoothing", "smoothing.enabled", "", "values as measured in each frame", False),
    Option("--workers", "pipeline.workers", "GROUPS", 'threads, such as "detect+align | pose+iris+express"'),
)
OUTPUT_OPTIONS = (
    Option("--output", "outputs", "KIND:TARGET", forms() + "; may be repeated; see below"),
    Option("--no-window", "output.window", "", "open no live picture; by itself one opens where there is a display",
           False),
    Option("--landmarks", "output.landmarks", "", "write the 468 points too", True),
    Option("--mirror", "output.mirror", "", "show pictures as in a mirror; left and right stay the subject's", True),
    Option("--status", "status.path", "PATH", "the status log; none writes no log"),
    Option("--status-interval", "status.interval_s", "S", "seconds between two status records (5)"),
)


def _run() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface run", "Track faces and write what they do.", "\n".join((
        "nanoface run portrait --output video:demo.mp4",
        "nanoface run --source 0 --size 640x480 --output window",
        "nanoface run clip.mp4 --output jsonl:clip.jsonl --landmarks",
    )))
    words.usage = "nanoface [run] [SOURCE ...] [OPTION ...]"
    add_source(words, alone=True)
    add(words.add_argument_group("networks (several NAMEs, in order of preference: A,B)"), NETWORK_OPTIONS)
    add(words.add_argument_group("tracking"), TRACKING_OPTIONS)
    group = words.add_argument_group("output")
    add(group, OUTPUT_OPTIONS)
    group.add_argument("--quiet", action="store_true", help="print nothing but errors and what was lost of a film")
    add_config(words)
    words.add_argument_group("kinds of outputs, as KIND:TARGET?KEY=VALUE&KEY=VALUE (between quotes)", explained())
    return words


def _status() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface status", "Show the last record of the status log as a table.",
                  "nanoface status --follow\nnanoface status --json out/status.jsonl")
    words.add_argument("path", nargs="?", metavar="PATH", help="the status log; else that of the configuration")
    words.add_argument("--follow", action="store_true", help="go on with each new record until Ctrl-C")
    words.add_argument("--json", action="store_true", help="the record itself, one line each")
    add_config(words)
    return words


def _models() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface models", "List, fetch or check the networks of $NANOFACE_HOME, or say what TensorRT 8.2\n"
                  "would make of them.", "\n".join((
                      "nanoface models fetch", "nanoface models fetch faceboxes rfb320", "nanoface models list",
                      "nanoface models lint mine.onnx")))
    words.usage = "nanoface models list|fetch|check|lint [NAME ...] [--all] [--force] [--markdown] [--verbose]"
    words.add_argument("names", nargs="*", metavar="NAME",
                       help="networks, for lint also files; fetch without a NAME takes the default set")
    words.add_argument("--all", action="store_true", help="fetch every network that is known")
    words.add_argument("--force", action="store_true", help="fetch and convert again what is there")
    words.add_argument("--markdown", action="store_true", help="lint: a table for a document")
    words.add_argument("--verbose", action="store_true", help="log to standard error")
    return words


def _bench() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface bench", "Measure the pipeline and each network alone on frames decoded up front.",
                  "nanoface bench portrait --rounds 3")
    words.usage = "nanoface bench [SOURCE ...] [OPTION ...]"
    add_source(words, alone=True)
    add(words.add_argument_group("networks"), NETWORK_OPTIONS)
    add(words.add_argument_group("tracking"), TRACKING_OPTIONS)
    group = words.add_argument_group("measurement")
    group.add_argument("--frames", type=count(MOST_BENCH_FRAMES), default=MOST_BENCH_FRAMES, metavar="N",
                       help="frames of the source, at most {}".format(MOST_BENCH_FRAMES))
    group.add_argument("--rounds", type=count(1000), default=5, metavar="N", help="how often all of them are run (5)")
    group.add_argument("--beside", metavar="PYTHON", help="a Python that has mediapipe: measure its FaceMesh beside")
    group.add_argument("--json", action="store_true", help="the figures as JSON")
    add_config(words)
    return words


def _doctor() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface doctor", "Say what this machine has, and the cure for what is missing.",
                  "nanoface doctor\nnanoface doctor --json --config /etc/nanoface/nanoface.yaml")
    words.add_argument("--json", action="store_true", help="the findings as JSON")
    add_config(words)
    return words


def _completion() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface completion", "Print a script that lets a shell complete commands, options and values. To switch "
                  "it on:\n\n  bash   eval \"$(nanoface completion bash)\" in ~/.bashrc\n"
                  "  zsh    eval \"$(nanoface completion zsh)\" in ~/.zshrc, behind compinit\n"
                  "  fish   nanoface completion fish > ~/.config/fish/completions/nanoface.fish", "nanoface completion bash")
    words.usage = "nanoface completion bash|zsh|fish"
    words.add_argument("names", nargs="*", metavar="SHELL", help="bash, zsh or fish")
    return words


def _help() -> ArgumentParser:
    words = ArgumentParser(
        "nanoface help", "Show the commands, or what one of them takes.",
                  "nanoface help\nnanoface help models fetch")
    words.usage = "nanoface help [COMMAND [ACTION]]"
    words.add_argument("names", nargs="*", metavar="COMMAND", help="one of `nanoface help`, and one of its actions")
    return words


def _version() -> ArgumentParser:
    return ArgumentParser("nanoface version", "Say which version this is.", "nanoface version")


def top() -> ArgumentParser:
    commands = "\n".join("  {:<11}{}".format(name, text) for name, text in COMMANDS.items())
    words = ArgumentParser("nanoface", "Face, head pose, gaze and blinks from a camera.\n\ncommands:\n" + commands +
                  "\n\nA source without a command is tracked: `nanoface clip.mp4` is `nanoface run --source clip.mp4`.",
                  "nanoface portrait --output video:demo.mp4\nnanoface help run")
    words.usage = "nanoface [--version] [--help] COMMAND ..."
    words.add_argument("--version", action="version", version="nanoface " + __version__)
    return words


MAKERS = {
    "run": _run, "status": _status, "models": _models, "bench": _bench, "doctor": _doctor, **boardoptions.MAKERS,
    **serviceoptions.MAKERS, "completion": _completion, "help": _help, "version": _version,
}
ACTIONS = {"models": MODELS_ACTIONS, "calibrate": boardoptions.CALIBRATIONS, "service": serviceoptions.ACTIONS,
           "completion": SHELLS}
TAKE_SOURCE = ("run", "bench")


def read_words(argv: Sequence[str]) -> argparse.Namespace:
    """The command and its options. Without a word it is `nanoface help`, which ends with 0: somebody looks what there is;
    a script whose word came out empty gets an error.

    Raises ConfigError; SystemExit once help or the version was printed.
    """
    first, rest = _command(list(argv) or ["help"])
    args = MAKERS[first]().read(rest)
    args.command = first
    if first == "help":
        _show_help(args.names)
    if first == "version":
        top().read(["--version"])
    if first in TAKE_SOURCE:
        take_source(args)
        if rest == list(argv):
            _check_command(args, rest[0].split("=")[0])
    if first in ("models", "completion"):
        args.action = known_word(args.names.pop(0) if args.names else "", ACTIONS[first], "nanoface " + first)
    if first == "models":
        _check_models(args)
    elif first == "completion" and args.names:
        raise ConfigError("nanoface completion {} takes no word {}".format(args.action, shown(args.names[0])))
    boardoptions.check(first, args)
    serviceoptions.check(first, args)
    return args


def _command(argv: Sequence[str]) -> Tuple[str, Sequence[str]]:
    """The command and the words behind it; a source or an option in its place is for `run`."""
    first = argv[0]
    if first.startswith("-") and first != "--":
        known = [word for entry in _run().entries() for word in entry.option_strings]
        if first.split("=")[0] not in known or first in ("-h", "--help"):
            top().read([first])
        return "run", argv
    if first == "--" or first not in COMMANDS and is_source(first):
        return "run", argv
    return known_word(first, tuple(COMMANDS) + (DEMO,), "nanoface"), argv[1:]


def _check_command(args: argparse.Namespace, first: str) -> None:
    """What stands without a command has to name its source: a camera is not opened by a word too few."""
    command = next((word for word in args.names if word in COMMANDS), None)
    if command or not any(setting.key == "source.spec" for setting in args.settings or ()):
        raise ConfigError("{} stands before the command: write nanoface {} {}".format(first, command or "run", first))


def _show_help(names: Sequence[str]) -> None:
    """Raises SystemExit."""
    if not names:
        top().read(["--help"])
    command, rest = known_word(names[0], tuple(COMMANDS), "nanoface"), names[1:]
    if rest and command in ACTIONS:
        known_word(rest[0], ACTIONS[command], "nanoface " + command)
        rest = rest[1:]
    if rest:
        raise ConfigError("nanoface help {} takes no word {}".format(command, shown(rest[0])))
    MAKERS[command]().read(["--help"])


def _check_models(args: argparse.Namespace) -> None:
    """Which words go with which action."""
    if args.action != "fetch" and (args.all or args.force):
        raise ConfigError("--all and --force go with nanoface models fetch, not with {}".format(args.action))
    if args.action not in ("fetch", "lint") and args.names:
        raise ConfigError("names go with nanoface models fetch and lint, not with {}".format(args.action))
    if args.action != "lint" and args.markdown:
        raise ConfigError("--markdown goes with nanoface models lint, not with {}".format(args.action))
