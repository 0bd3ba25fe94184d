"""The commands that prepare a board and tell of it. Each writes to a stream and gives the exit code; what they do lies in
`engines/` and `calibration/`, which are imported by whoever asks for it."""
import os
from typing import Any, Callable, Dict, TextIO

from edge.config import load_config
from edge.modelstore import home_dir
from edge.words import overrides_of


def build(args: Any, out: TextIO) -> int:
    from engines.build import BuildOptions, run_build

    options = BuildOptions(
        only=tuple(args.only), networks=tuple(args.networks), force=args.force, list_only=args.list, fp32=args.fp32,
        workspace_mb=args.workspace, tactics=args.tactics)
    if args.tune:
        from engines.tune import run_tune

        return run_tune(home_dir(), options, out)
    return run_build(home_dir(), options, out)


def verify(args: Any, out: TextIO) -> int:
    from engines.verify import run_verify

    return run_verify(home_dir(), args.runtime, args.names, out)


def estimate(args: Any, out: TextIO) -> int:
    from engines.estimate import run_estimate

    return run_estimate(home_dir(), args.board, args.markdown, args.json, out)


def calibrate(args: Any, out: TextIO) -> int:
    from calibration.fp16 import run_fp16

    return run_fp16(home_dir(), args.source, args.names, args.frames, out, args.markdown)


def report(args: Any, out: TextIO) -> int:
    from engines.fieldreport import run_report

    overrides, spelled = overrides_of(args.settings)
    config = load_config(args.config, overrides, os.environ, spelled)
    return run_report(config, args.path, args.seconds, out)


COMMANDS: Dict[str, Callable[[Any, TextIO], int]] = {
    "build": build, "verify": verify, "estimate": estimate, "calibrate": calibrate, "report": report,
}
