"""`nanoface models`: list, fetch, check or lint the networks."""
from typing import Any, TextIO

from edge.cli.command import ANY_NETWORK, Command
from edge.cli.parser import ArgumentParser
from edge.core.errors import ConfigError

ACTIONS = ("list", "fetch", "check", "lint")


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface models", "List, fetch or check the networks of $NANOFACE_HOME, or lint them for\n"
        "TensorRT 8.2.", "\n".join((
        "nanoface models fetch", "nanoface models fetch faceboxes rfb320", "nanoface models list",
        "nanoface models lint mine.onnx")))
    parser.usage = "nanoface models list|fetch|check|lint [NAME ...] [--all] [--force] [--markdown] [--verbose]"
    parser.add_argument("names", nargs="*", metavar="NAME",
                       help="networks, for lint also files; fetch without a NAME takes the default set")
    parser.add_argument("--all", action="store_true", help="fetch every network that is known")
    parser.add_argument("--force", action="store_true", help="fetch and convert again what is there")
    parser.add_argument("--markdown", action="store_true", help="lint: a table for a document")
    parser.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser


def check(args: Any) -> None:
    """Which options go with which action."""
    if args.action != "fetch" and (args.all or args.force):
        raise ConfigError("--all and --force go with nanoface models fetch, not with {}".format(args.action))
    if args.action not in ("fetch", "lint") and args.names:
        raise ConfigError("names go with nanoface models fetch and lint, not with {}".format(args.action))
    if args.action != "lint" and args.markdown:
        raise ConfigError("--markdown goes with nanoface models lint, not with {}".format(args.action))


def run(args: Any, out: TextIO) -> int:
    from edge.store.models import home_dir
    from engines.fetch import commands

    if args.action == "fetch":
        return commands.run_fetch(home_dir(), args.names, args.all, args.force, out)
    if args.action == "lint":
        from engines.lint.command import run_lint

        return run_lint(home_dir(), args.names, out, args.markdown)
    act = commands.run_list if args.action == "list" else commands.run_check
    return act(home_dir(), out)


MODELS = Command(make_parser, run, check, ACTIONS, {"NAME": ANY_NETWORK})
