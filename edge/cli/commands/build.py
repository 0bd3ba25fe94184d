"""`nanoface build`: make the TensorRT engines of this board; what it does lies in engines/build/."""
import argparse
import os
from typing import Any, TextIO, Tuple

from edge.cli.command import ANY_NETWORK, Command
from edge.cli.options import add_config, config_of
from edge.cli.parser import ArgumentParser, count
from edge.core.errors import ConfigError
from edge.core.interface import is_file
from edge.core.roles import NETWORKS, OFF
from edge.store.models import home_dir

LIBRARIES = ("cublas", "cudnn")


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface build", "Make the TensorRT engines (plans) of this board, one after the other.", "\n".join((
        "nanoface build", "nanoface build --only align", "nanoface build --tune", "nanoface build --list")))
    parser.usage = "nanoface build [OPTION ...]"
    group = parser.add_argument_group("what is built")
    group.add_argument("--only", action="append", default=[], metavar="NAME",
                       help="a role (detect, align, pose, iris) or a network; may be repeated")
    group.add_argument("--networks", nargs="+", default=[], metavar="NAME",
                       help="these instead of what their roles would use; with --tune the candidates")
    group.add_argument("--all-networks", action="store_true", help="with --tune: every network of a role that was fetched")
    group.add_argument("--force", action="store_true", help="also what is up to date")
    modes = group.add_mutually_exclusive_group()
    modes.add_argument("--tune", action="store_true",
                      help="build each variant, 16 and 32 bits, with and without cuDNN, and each way to points and irises; "
                           "keep the cheapest that is right")
    modes.add_argument("--unattended", action="store_true",
                      help="what does not fit, as nanoface-engines.service does it: progress to systemd, a failure noted")
    modes.add_argument("--list", action="store_true", help="only list what there is, and what is stale and why")
    group = parser.add_argument_group("how")
    group.add_argument("--fp32", action="store_true", help="in 32 bits, to compare with")
    group.add_argument("--workspace", type=count(4096), default=256, metavar="MB",
                       help="memory that a layer may use while it works (256)")
    group.add_argument("--timeout", type=count(1440), default=30, metavar="MINUTES",
                       help="that one network may take, or one variant of it with --tune; then it is ended (30)")
    group.add_argument("--tactics", type=_tactics, metavar="LIST",
                       help="libraries that may be used: cublas,cudnn, one of them, or none (as tuned, else both)")
    group.add_argument("--untuned", action="store_true", help="forget what --tune found")
    group.add_argument("--no-lint", action="store_true", help="also from a network with faults, or that was not linted")
    add_config(parser)
    return parser


def run(args: Any, out: TextIO) -> int:
    from engines.build.command import BuildOptions, run_build

    config = config_of(args)
    models = config.models._asdict()
    own = [role for role in NETWORKS if config.models.own(role)]
    for word in args.only + args.networks:
        if is_file(word) or word in own:
            raise ConfigError("{}: engines are built of nanoface's own networks only; one of your own runs on the "
                              "processor".format(config.models.own(word) if word in own else word))
    options = BuildOptions(
        only=tuple(args.only), networks=tuple(args.networks), all_networks=args.all_networks, fp32=args.fp32,
        workspace_mb=args.workspace, tactics=args.tactics, force=args.force, list_only=args.list, lint=not args.no_lint,
        timeout_s=60.0 * args.timeout, untuned=args.untuned,
        candidates={role: models[role] for role in NETWORKS if models[role] != (OFF,) and role not in own},
        named=config.chosen)
    if args.unattended:
        from engines.build.unattended import run_unattended

        return run_unattended(home_dir(), config, options, os.environ, out, args.verbose)
    if args.tune:
        from engines.build.tune import run_tune

        return run_tune(home_dir(), options, out, args.verbose)
    return run_build(home_dir(), options, out, args.verbose)


def _tactics(text: str) -> Tuple[str, ...]:
    """For argparse: "cublas,cudnn"; none are ()."""
    names = tuple(part.strip() for part in text.split(","))
    if names == ("none",):
        return ()
    if not all(name in LIBRARIES for name in names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError("{!r} is not of cublas, cudnn, cublas,cudnn or none".format(text))
    return names


BUILD = Command(make_parser, run, offers={"--only": tuple(NETWORKS) + ANY_NETWORK, "--networks": ANY_NETWORK})
