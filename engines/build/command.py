"""`nanoface build`: from the converted networks to TensorRT plans for this board, one fresh process for each.

A plan takes its place only after it was loaded again and gave ONNX Runtime's answers. What fails costs one plan.
"""
import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, NamedTuple, Optional, TextIO

from edge.store import lock as buildlock
from edge.core import clock
from edge.host.disk import LOCK, StorageError, one_builder, part_folder, remove_leftovers, storage_error
from edge.core.errors import EngineError, ModelError
from edge.store.plans import CHOICE, plans_dir
from edge.host.stop import Stop, stopped_by_signals
from engines.build import boardfacts
from engines.build.boardfacts import Facts
from engines.build.child import BUILD, FACTS
from engines.build.report import BuildReport, built_text
from engines.build.selection import BuildOptions, Wanted, selection, config_of
from engines.build.target import Target, default_network, install, last_build_s, stale, target_of
from engines.build.parent import Crashed, Hearing, run_child
from engines.lint.gate import lint_gate
from engines.manifest.read import read_manifest
from engines.manifest.entries import Manifest

__all__ = ["BuildOptions", "run_build"]

TIMING_CACHE = "timing.cache"
ASK_LIMIT_S = 300.0  # the first start of CUDA from a slow card
RUNS = 50  # that are measured after a build
LITTLE_MB = 1200  # of memory and swap: a build of one of our networks may need as much
SCRATCH = "build"
SERVICE_HOME = "/opt/nanoface/current/home"


class BuildContext(NamedTuple):
    """What every build of one command shares."""

    home: str
    options: BuildOptions
    facts: Facts
    folder: str  # for what is in the making
    stop: Stop
    report: BuildReport


def run_build(home: str, options: BuildOptions, out: Optional[TextIO] = None, verbose: bool = False,
              report: Optional[BuildReport] = None) -> int:
    """Build what is not up to date; with options.list_only only say what is. 0, or 4 where a plan could not be made.
    What is said goes to `report`, else to `out`.

    Raises ConfigError for unknown names, EngineError where there is no TensorRT or no GPU, StorageError where the disk
    refuses, and KeyboardInterrupt after SIGINT, SIGTERM or SIGHUP. Main thread only.
    """
    home, manifest = os.path.abspath(home), read_manifest()
    report = report or BuildReport(out or sys.stdout, verbose)
    wanted = selection(manifest, options)
    if options.list_only:
        from engines.build.listing import run_list
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


@contextmanager
def build_context(home: str, options: BuildOptions, report: BuildReport) -> Iterator[BuildContext]:
    """The lock, the signals, a scratch folder and the board's facts. Raises EngineError without TensorRT.

    Where no lock is yet nobody builds: then the facts are asked first, so that what is refused leaves nothing behind.
    """
    def waiting() -> None:
        report.line("another nanoface builds in {}: waiting for it".format(plans_dir(home)))

    stop = Stop()
    refuse_beside_tracker(home, SERVICE_HOME)
    facts = None  # type: Optional[Facts]
    if not os.path.lexists(os.path.join(plans_dir(home), LOCK)):
        with stopped_by_signals(stop), tempfile.TemporaryDirectory() as folder:
            facts = ask_facts(folder, options.root, stop)
    with one_builder(plans_dir(home), waiting):
        remove_leftovers(plans_dir(home))
        with stopped_by_signals(stop), part_folder(plans_dir(home), SCRATCH) as folder:
            facts = facts or ask_facts(folder, options.root, stop)
            _advise(options.root, report)
            try:
                yield BuildContext(home, options, facts, folder, stop, report)
            finally:
                report.end_progress()


def refuse_beside_tracker(*homes: str) -> None:
    """Raises EngineError where somebody tracks with the engines of one of these: a board has no memory for both."""
    used = [home for home in homes if buildlock.in_use(home)]
    if used:
        raise EngineError("a tracker is running with the engines of {}, and the memory does not do for both: stop it first "
                          "(sudo systemctl stop nanoface), and start it when the engines are built".format(used[0]))


def ask_facts(folder: str, root: str, stop: Stop) -> Facts:
    """Of a process of its own: this one stays small, so that the builds have the memory. Raises EngineError."""
    silent = Hearing(lambda text: None, lambda step, elapsed_s: None, lambda severity, text: None)
    try:
        return Facts(*run_child({"action": FACTS, "root": root}, folder, stop, silent, ASK_LIMIT_S)["facts"])
    except Crashed as e:
        raise EngineError("TensorRT and CUDA cannot be asked for their versions: {}".format(e)) from e


def build_one(context: BuildContext, target: Target, plan: str, runs: int, hearing: Hearing) -> Dict[str, Any]:
    """Build, verify and measure in a fresh process; the sidecar. The plan then lies at `plan`, on the disk of plans/.

    Raises ModelError or EngineError for this plan, StorageError, KeyboardInterrupt.
    """
    cache, renewed = os.path.join(plans_dir(context.home), TIMING_CACHE), os.path.join(context.folder, TIMING_CACHE)
    request = {
        "action": BUILD, "root": context.options.root, "home": context.home, "role": target.stored.role,
        "network": target.stored.name, "plan": plan, "precision": target.precision, "flags": target.flags, "runs": runs,
        "timing_cache": cache, "renewed_timing_cache": renewed,
        "built_at": datetime.fromtimestamp(clock.wall(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    try:
        sidecar: Dict[str, Any] = run_child(
            request, context.folder, context.stop, hearing, context.options.timeout_s)["sidecar"]
    except Crashed as e:
        if e.by_fault:  # should the cache be what TensorRT stumbles over, the next build is free of it
            remove(cache)
            remove(renewed)
        raise
    finally:
        with suppress(OSError):  # there is none, or it stays behind, which costs the next build some time
            os.replace(renewed, cache)  # also of a build that then failed: what was measured stays true
    return sidecar


def network_of(home: str, manifest: Manifest, options: BuildOptions, wanted: Wanted) -> str:
    """The network that was named, else the one that would be used. Raises ModelError where none was fetched."""
    return wanted.name or default_network(home, manifest, wanted.role, options.candidates.get(wanted.role, ()))


def _ensure(context: BuildContext, manifest: Manifest, wanted: Wanted, which: str) -> bool:
    """Build one plan unless it is up to date. False where it failed, which was said."""
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
        return _say_failure(context, manifest, wanted, name, str(e))
    context.report.row(wanted.role, name, "built: {}".format(built_text(sidecar)))
    return True


def _build(context: BuildContext, target: Target, which: str, why: str) -> Dict[str, Any]:
    role, name = target.stored.role, target.stored.name
    if target.pins.note:
        context.report.line(target.pins.note)
    if context.options.lint:
        lint_gate(context.home, target.stored)
    plan = os.path.join(context.folder, "{}-{}.plan".format(role, name))
    hearing = context.report.hearing("{} {} {}".format(which, role, name), why, last_build_s(context.home, role, name))
    sidecar = build_one(context, target, plan, RUNS, hearing)
    install(context.home, plan, sidecar)
    return sidecar


def _say_failure(context: BuildContext, manifest: Manifest, wanted: Wanted, name: str, text: str) -> bool:
    """Whether it does no harm: a network that nanoface can do without, that was not fetched and not asked for."""
    without = next(role.without for role in manifest.roles if role.name == wanted.role)
    harmless = not name and not wanted.named and bool(without)
    context.report.row(wanted.role, name or "-", "{}{}{}".format(
        "not built: ", text, "; until then {}".format(without) if harmless else ""))
    return harmless


def _advise(root: str, report: BuildReport) -> None:
    """What makes builds fail, said before the first one."""
    if boardfacts.service_is_active():
        report.line("the service runs and holds the GPU's memory: better stop it first (sudo systemctl stop nanoface)")
    free_mb = boardfacts.free_mb(root)
    if free_mb is not None and free_mb < LITTLE_MB:
        report.line("only {} MB of memory and swap are free: stop the desktop (sudo systemctl isolate multi-user.target) or "
                    "add swap, should a build be killed".format(free_mb))


def crop_kernel(context: BuildContext) -> None:
    """Not worth a failure: the runners can fill the inputs without it."""
    from engines.build.cubin import build_cubin

    try:
        build_cubin(context.home, context.facts.compute_capability, context.report, context.options.force)
    except StorageError:
        raise
    except ModelError as e:
        context.report.line("crop kernel: not built, {}".format(e))


def _forget_choice(home: str) -> None:
    remove(os.path.join(plans_dir(home), CHOICE))


def remove(path: str) -> None:
    """Raises StorageError."""
    try:
        os.remove(path)
    except FileNotFoundError:
        pass
    except OSError as e:
        raise storage_error(path, e) from e
