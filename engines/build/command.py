"""`nanoface build`: from the converted networks to TensorRT plans for this board, one fresh process for each.

A plan takes its place only after it was loaded again and gave ONNX Runtime's answers. What fails costs one plan.
"""
import os
import re
import sys
import tempfile
from typing import Any, Dict, List, Optional, Sequence, TextIO, Tuple

from edge.core.errors import ModelError
from edge.core.roles import ROLES
from edge.host.disk import StorageError
from edge.host.stop import Stop
from edge.store import plans
from edge.store.plans import CHOICE, plans_dir
from engines.build.boardfacts import Facts
from engines.build.context import (
    BuildContext,
    ask_facts,
    build_context,
    build_one,
    crop_kernel,
    network_of,
    remove,
    selected,
)
from engines.build.cubin import is_current
from engines.build.report import BuildReport, built_text
from engines.build.selection import BuildOptions, Wanted, config_of
from engines.build.target import Target, install, last_build_s, stale, target_of
from engines.lint.gate import lint_gate
from engines.manifest.entries import Manifest
from engines.manifest.read import read_manifest

__all__ = ["BuildOptions", "run_build"]

RUNS = 50  # that are measured after a build
_FILE = re.compile(r"({})-([a-z][a-z0-9_]*)\.plan\Z".format("|".join(ROLES)))


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


def run_list(home: str, manifest: Manifest, options: BuildOptions, wanted: Sequence[Wanted], report: BuildReport) -> int:
    """One line for each plan that would be used, and for each other one that lies there. Always 0. Needs no TensorRT."""
    facts = _facts(options.root, report)
    shown: List[Tuple[str, str]] = []
    for one in wanted:
        name = one.name
        try:
            name = network_of(home, manifest, options, one)
            shown.append((one.role, name))
            report.row(one.role, name, _state(home, one.role, name, options, facts))
        except ModelError as e:
            report.row(one.role, name or "-", "cannot be built: {}".format(e))
    for role, name in _others(home, shown) if not options.only else []:
        try:
            report.row(role, name, _state(home, role, name, options, facts) + " (not what would be used)")
        except ModelError as e:
            report.row(role, name, "cannot be built: {}".format(e))
    if facts is not None:
        current = is_current(home, facts.compute_capability)
        report.line("crop kernel: {}".format("up to date" if current else "missing or stale"))
    return 0


def _facts(root: str, report: BuildReport) -> Optional[Facts]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return ask_facts(folder, root, Stop())
        except ModelError as e:
            report.line(str(e))
    report.line("so only the files are looked at")
    return None


def _state(home: str, role: str, name: str, options: BuildOptions, facts: Optional[Facts]) -> str:
    why = stale(home, target_of(home, role, name, config_of(home, options, role, name)), facts)
    if why == "missing":
        return "missing: {}".format(plans.cure(name))
    if why is not None:
        return "stale: {}".format(why)
    plan = plans.find(home, role, name)
    return "up to date: {}".format(built_text(plan.sidecar)) if plan is not None else "missing"


def _others(home: str, shown: Sequence[Tuple[str, str]]) -> List[Tuple[str, str]]:
    try:
        names = sorted(os.listdir(plans.plans_dir(home)))
    except OSError:
        return []
    found = [(match.group(1), match.group(2)) for match in map(_FILE.match, names) if match]
    return [one for one in found if one not in shown]
