"""`nanoface models`: list, fetch, check, lint or export the networks."""
from typing import Any, TextIO

from edge.cli.command import ANY_NETWORK, Command
from edge.cli.parser import ArgumentParser, count
from edge.core.errors import ConfigError

ACTIONS = ("list", "fetch", "check", "lint", "export")


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface models", "List, fetch or check the networks of $NANOFACE_HOME, lint them for\n"
        "TensorRT 8.2, or write one as an ONNX file for other programs.", "\n".join((
        "nanoface models fetch", "nanoface models fetch faceboxes rfb320", "nanoface models list",
        "nanoface models lint mine.onnx", "nanoface models export facemesh_pth --opset 9 --names image,preds,confs")))
    parser.usage = "nanoface models list|fetch|check|lint|export [NAME ...] [OPTION ...]"
    parser.add_argument("names", nargs="*", metavar="NAME",
                       help="networks, for lint also files; fetch without a NAME takes the default set")
    parser.add_argument("--all", action="store_true", help="fetch every network that is known")
    parser.add_argument("--force", action="store_true", help="fetch and convert again what is there; export: over a file")
    parser.add_argument("--markdown", action="store_true", help="lint: a table for a document")
    parser.add_argument("--opset", type=count(99), metavar="N", help="export: of ONNX, 7 to 15 (its own)")
    parser.add_argument("--names", dest="tensors", metavar="A,B,C", help="export: of the inputs, then the outputs (its own)")
    parser.add_argument("--out", metavar="FILE", help="export: the file (NAME.onnx, in this folder)")
    parser.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser


def check(args: Any) -> None:
    """Which options go with which action."""
    exports = args.action == "export"
    if args.action != "fetch" and (args.all or args.force and not exports):
        raise ConfigError("--all and --force go with nanoface models fetch, not with {}".format(args.action))
    if args.action not in ("fetch", "lint", "export") and args.names:
        raise ConfigError("names go with nanoface models fetch and lint, not with {}".format(args.action))
    if not exports and (args.opset, args.tensors, args.out) != (None, None, None):
        raise ConfigError("--opset, --names and --out go with nanoface models export, not with {}".format(args.action))
    if exports and len(args.names) != 1:
        raise ConfigError("nanoface models export takes the name of one network, such as facemesh_pth")
    if exports and "" in (args.tensors, args.out):
        raise ConfigError("a value is empty: is a variable not set?")
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
    if args.action == "export":
        from engines.export.command import ExportOptions, run_export

        tensors = tuple(name.strip() for name in args.tensors.split(",")) if args.tensors else ()
        return run_export(home_dir(), args.names[0], ExportOptions(args.opset, tensors, args.out, args.force), out)
    act = commands.run_list if args.action == "list" else commands.run_check
    return act(home_dir(), out)


MODELS = Command(make_parser, run, check, ACTIONS, {"NAME": ANY_NETWORK})
