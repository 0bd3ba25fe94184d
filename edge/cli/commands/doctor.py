"""`nanoface doctor`: what this machine has, and the cure for what is missing."""
import json
import os
from typing import Any, TextIO

from edge.cli.command import Command
from edge.cli.options import add_config, config_of
from edge.cli.parser import ArgumentParser

UNFIT = 1  # something stops a run or the service


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(
        "nanoface doctor", "Check this machine, with the cure for what is missing.",
        "nanoface doctor\nnanoface doctor --json --config /etc/nanoface/nanoface.yaml")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    add_config(parser)
    return parser


def run(args: Any, out: TextIO) -> int:
    """1 where something stops a run or the service, else 0."""
    config = config_of(args)
    from edge.doctor import examine, machine, packages

    here = machine.Machine(os.environ)
    findings = [examine.check_config(args.config, here)] + examine.examine(config, here, packages.this_software())
    report = examine.as_json(findings)
    out.write((json.dumps(report, indent=1) if args.json else "\n".join(examine.lines(findings))) + "\n")
    return 0 if report["can_run"] else UNFIT


DOCTOR = Command(make_parser, run)
