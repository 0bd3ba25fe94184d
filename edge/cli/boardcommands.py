"""The commands that prepare a board and tell of it. Each writes to a stream and gives the exit code; what they do lies in
`engines/` and `calibration/`, which are imported by whoever asks for it."""
import os
from typing import Any, Callable, Dict, TextIO

from edge.cli.parser import overrides_of
from edge.config.load import Config, load_config
from edge.core.roles import NETWORKS, OFF
from edge.store.models import home_dir


def build(args: Any, out: TextIO) -> int:
    from engines.build.command import BuildOptions, run_build

    config = _config(args)
    models = config.models._asdict()
    options = BuildOptions(
        only=tuple(args.only), networks=tuple(args.networks), all_networks=args.all_networks, fp32=args.fp32,
        workspace_mb=args.workspace, tactics=args.tactics, force=args.force, list_only=args.list, lint=not args.no_lint,
        timeout_s=60.0 * args.timeout, untuned=args.untuned,
        candidates={role: models[role] for role in NETWORKS if models[role] != (OFF,)}, named=config.chosen)
    if args.unattended:
        from engines.build.unattended import run_unattended

        return run_unattended(home_dir(), config, options, os.environ, out, args.verbose)
    if args.tune:
        from engines.build.tune import run_tune

        return run_tune(home_dir(), options, out, args.verbose)
    return run_build(home_dir(), options, out, args.verbose)


def verify(args: Any, out: TextIO) -> int:
    from engines.verify.verify import run_verify

    return run_verify(home_dir(), args.runtime, args.names, out)


def estimate(args: Any, out: TextIO) -> int:
    from engines.estimate.command import run_estimate

    return run_estimate(home_dir(), args.board, args.markdown, args.json, out)


def calibrate(args: Any, out: TextIO) -> int:
    from calibration.fp16.fp16 import run_fp16

    return run_fp16(home_dir(), args.source, args.names, args.frames, out, args.markdown, args.write)


def report(args: Any, out: TextIO) -> int:
    from engines.report.command import run_report

    return run_report(_config(args), args.path, args.seconds, out)


def _config(args: Any) -> Config:
    overrides, spelled = overrides_of(args.settings)
    return load_config(args.config, overrides, os.environ, spelled)


COMMANDS: Dict[str, Callable[[Any, TextIO], int]] = {
    "build": build, "verify": verify, "estimate": estimate, "calibrate": calibrate, "report": report,
}
