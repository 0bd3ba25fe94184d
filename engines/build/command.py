"""`nanoface build`: from the converted networks to TensorRT plans for this board, one fresh process for each.

A plan takes its place only after it was loaded again and gave ONNX Runtime's answers. What fails costs one plan.
"""
import os
import sys
from typing import Any, Dict, Optional, TextIO

from edge.core.errors import ModelError
from edge.host.disk import StorageError
from edge.store.plans import CHOICE, plans_dir
from engines.build.context import BuildContext, build_context, build_one, crop_kernel, network_of, remove, selected
from engines.build.listing import run_list
from engines.build.report import BuildReport, built_text
from engines.build.selection import BuildOptions, Wanted, config_of
from engines.build.target import Target, install, last_build_s, stale, target_of
from engines.lint.gate import lint_gate
from engines.manifest.entries import Manifest
from engines.manifest.read import read_manifest

__all__ = ["BuildOptions", "run_build"]

RUNS = 50  # that are measured after a build


def run_build(home: str, options: BuildOptions, out: Optional[TextIO] = None, verbose: bool = False,
              report: Optional[BuildReport] = None) -> int:
    """Build what is not up to date; with options.list_only only list what is. 0, or 4 where a plan could not be made.
    Lines go to `report`, else to `out`.

    Raises ConfigError for unknown names, EngineError where there is no TensorRT or no GPU, StorageError where the disk
    refuses, and KeyboardInterrupt after SIGINT, SIGTERM or SIGHUP. Main thread only.
    """
    home, manifest = os.path.abspath(home), read_manifest()
    report = report or BuildReport(out or sys.stdout, verbose)
    wanted = selected(home, manifest, options)
    if options.list_only:
        return run_list(home, manifest, options, wanted, report)
    with build_context(home, options, report) as context:
        if options.untuned:
            _forget_choice(home)
        failed = [one for number, one in enumerate(wanted, 1)
                  if not _ensure(context, manifest, one, "{}/{}".format(number, len(wanted)))]
        crop_kernel(context)
    ready = len(wanted) - len(failed)
    report.line("{} of {} {} ready in {}".format(ready, len(wanted), "plan is" if len(wanted) == 1 else "plans are",
                                                plans_dir(home)))
    return ModelError.exit_code if failed else 0


def _ensure(context: BuildContext, manifest: Manifest, wanted: Wanted, which: str) -> bool:
    """Build one plan unless it is up to date. False where it failed, which was reported."""
    name = wanted.name
    try:
        name = network_of(context.home, manifest, context.options, wanted)
        target = target_of(context.home, wanted.role, name, config_of(context.home, context.options, wanted.role, name))
        why = "forced" if context.options.force else stale(context.home, target, context.facts)
        if why is None:
            context.report.row(wanted.role, name, "up to date")
            return True
        sidecar = _build(context, target, which, why)
    except StorageError:
        raise
    except ModelError as e:
        return _report_failure(context, manifest, wanted, name, str(e))
    context.report.row(wanted.role, name, "built: {}".format(built_text(sidecar)))
    return True


def _build(context: BuildContext, target: Target, which: str, why: str) -> Dict[str, Any]:
    role, name = target.stored.role, target.stored.name
    if target.pins.note:
        context.report.line(target.pins.note)
    if context.options.lint:
        lint_gate(context.home, target.stored)
    plan = os.path.join(context.folder, "{}-{}.plan".format(role, name))
    callbacks = context.report.callbacks("{} {} {}".format(which, role, name), why, last_build_s(context.home, role, name))
    sidecar = build_one(context, target, plan, RUNS, callbacks)
    install(context.home, plan, sidecar)
    return sidecar


def _report_failure(context: BuildContext, manifest: Manifest, wanted: Wanted, name: str, text: str) -> bool:
    """Whether that is no failure: an optional network that was neither fetched nor named."""
    without = next(role.without for role in manifest.roles if role.name == wanted.role)
    harmless = not name and not wanted.named and bool(without)
    context.report.row(wanted.role, name or "-", "{}{}{}".format(
        "not built: ", text, "; until then {}".format(without) if harmless else ""))
    return harmless


def _forget_choice(home: str) -> None:
    remove(os.path.join(plans_dir(home), CHOICE))
