"""`nanoface build --tune`: each network built in several variants, timed on this board, and the fastest that is right kept.

Points and irises can come of two networks or of one: those are ways, and the cheaper one is kept.

On this GPU FP16 is not always the faster, and cuDNN's tactics are not always worth their memory. So it is measured.
"""
import os
import shutil
from contextlib import suppress
from glob import escape, glob
from typing import Any, Dict, List, Mapping, Optional, Sequence, TextIO

from edge.core.errors import ConfigError, EdgeError, ModelError
from edge.host.disk import StorageError, storage_error, write_whole
from edge.store import plans
from edge.store.plans import CHOICE, Board, StoredPlan, plans_dir
from engines.build.context import BuildContext, Candidates, build_context, build_one, contested, crop_kernel, remove, tried
from engines.build.report import (
    TEXT,
    WAYS_HEAD,
    BuildReport,
    Trial,
    fastest,
    head_line,
    read_object,
    row_line,
    way_line,
    ways_of,
    write_table,
)
from engines.build.selection import BuildOptions, choose
from engines.build.target import (
    DEFAULT_TACTICS,
    FP16,
    FP32,
    BuildConfig,
    Target,
    changed_config,
    install,
    last_build_s,
    target_of,
    write_sidecar,
)
from engines.lint.gate import has_groups, lint_gate
from engines.manifest.entries import Manifest
from engines.manifest.read import read_manifest

FOLDER = "tune"  # below plans/: what an interrupted tuning has built, for the next one
RUNS = 200
TACTICS = (("cublas", "cudnn"), ("cublas",))  # with and without cuDNN


def run_tune(home: str, options: BuildOptions, out: TextIO, verbose: bool = False) -> int:
    """Try every variant for each role and install the fastest. 0, or 4 where a role has none that is right.

    Raises what run_build() raises. What an interrupted tuning has measured is kept; options.force begins anew.
    """
    if options.fp32 or options.tactics not in (None, DEFAULT_TACTICS):
        raise ConfigError("--tune tries 16 and 32 bits, with and without cuDNN: leave out --fp32 and --tactics")
    home, manifest, report = os.path.abspath(home), read_manifest(), BuildReport(out, verbose)
    roles = tried(home, manifest, options)
    with build_context(home, options, report) as context:
        if options.force:
            _forget_trials(home, list(roles))
        if context.facts.l4t:
            report.line("the clocks of a Jetson move: for steady figures run `sudo jetson_clocks` first")
        for line in head_line().split("\n"):
            report.line(line)
        failed: List[str] = []
        done: List[str] = []
        for role in roles:
            group = [] if role in done else [role] + contested(manifest, roles, role, options)
            done += group
            failed += _tune_group(context, manifest, roles, group) if group else []
        crop_kernel(context)
        _forget_trials(home, [role for role in roles if role not in failed])
    report.line("{} of {} roles are tuned; the table is in {}".format(
        len(roles) - len(failed), len(roles), os.path.join(plans_dir(home), TEXT)))
    return ModelError.exit_code if failed else 0


def _folder(home: str) -> str:
    return os.path.join(plans_dir(home), FOLDER)


def _forget_trials(home: str, roles: List[str]) -> None:
    """Of these roles; those of others wait for the tuning that was interrupted to go on."""
    for path in [path for role in roles for path in glob(os.path.join(escape(_folder(home)), role + "-*"))]:
        remove(path)
    with suppress(OSError):
        os.rmdir(_folder(home))  # unless there is something left


def _tune_group(context: BuildContext, manifest: Manifest, found: Mapping[str, Candidates], roles: Sequence[str]) -> List[str]:
    """Tune a role, and with it the later ones that some of its candidates fill. Those without a plan that is right, unless it
    is a role that is not there and can be done without.
    """
    failed: List[str] = []
    trials: Dict[str, List[Trial]] = {}
    for role in roles:
        try:
            targets = _targets(context, role, found[role])
        except StorageError:
            raise
        except ModelError as e:
            without = next(r.without for r in manifest.roles if r.name == role)
            harmless = bool(without) and not found[role].named
            context.report.row(role, "-", "not tuned: {}{}".format(e, "; until then {}".format(without) if harmless else ""))
            failed += [] if harmless else [role]
            targets = []
        trials[role] = []
        for number, target in enumerate(targets, 1):
            trials[role].append(_trial(context, target, "{}/{}".format(number, len(targets))))
            context.report.line(row_line(trials[role][-1].record()))
            write_table(context.home, context.facts, role, [trial.record() for trial in trials[role]])
    return failed + ([] if roles[0] in failed else _settle(context, trials))


def _settle(context: BuildContext, trials: Mapping[str, List[Trial]]) -> List[str]:
    """Install the plans of the best way and remember them. Roles that have none."""
    role = next(iter(trials))
    ways = ways_of(role, trials)
    tried_without = [other for other in trials if trials[other] and fastest(trials[other]) is None]
    for other in tried_without:
        context.report.row(other, "-", "no variant gives a plan that is right: what was there before is left as it is")
    if not ways:
        return [role] if role in tried_without else []
    best = ways[0]
    rows = [way.record(way is best) for way in ways] if len(trials) > 1 else []
    for line in [WAYS_HEAD] + [way_line(row) for row in rows] if rows else []:
        context.report.line(line)
    for part in best.parts:
        _install(context, part)
        own = trials[part.target.stored.role]
        write_table(context.home, context.facts, part.target.stored.role,
                    [t._replace(chosen=t is part).record() for t in own], {role: rows})
        context.report.row(part.target.stored.role, part.target.stored.name, "chosen: {}{}".format(
            part.target.config.label, _hint(part, own)))
    for other in best.parts[0].target.stored.also:
        if other in trials:
            context.report.row(other, "-", "{} fills it as well".format(best.parts[0].target.stored.name))
    return [other for other in best.missing if other in tried_without]


def _targets(context: BuildContext, role: str, candidates: Candidates) -> List[Target]:
    """Every variant of every candidate. Raises ModelError for one that is not there or that TensorRT would misread; a rival
    is then left out.
    """
    if not candidates.names:
        raise ModelError(candidates.failure)
    targets = []
    for name in candidates.names + candidates.rivals:
        try:
            targets += _variants(context, role, name)
        except StorageError:
            raise
        except ModelError as e:
            if name in candidates.names:
                raise
            context.report.row(role, name, "not tried: {}".format(e))
    return targets


def _variants(context: BuildContext, role: str, name: str) -> List[Target]:
    """16 and 32 bits, with and without cuDNN; grouped convolutions as dense ones in the first precision only."""
    found: List[Target] = []
    for precision in (FP16, FP32):
        for tactics in TACTICS:
            target = target_of(context.home, role, name, BuildConfig(precision, tactics, context.options.workspace_mb))
            if target.precision == precision:  # the calibration may want the whole network in FP32
                found.append(target)
    if found[-1].pins.note:
        context.report.line(found[-1].pins.note)
    if context.options.lint:
        lint_gate(context.home, found[-1].stored)
    if has_groups(context.home, found[-1].stored):
        grouped = [target for target in found if target.precision == found[0].precision]
        found[len(grouped):len(grouped)] = [t._replace(config=t.config._replace(dense=True)) for t in grouped]
    return found


def _trial(context: BuildContext, target: Target, which: str) -> Trial:
    """Build and measure one variant, unless an interrupted tuning did."""
    base = os.path.join(_folder(context.home), "{}-{}-{}".format(target.stored.role, target.stored.name, target.config.label))
    kept = _kept(context, target, base)
    if kept is not None:
        return Trial(target, kept, base + ".plan", "")
    title = "{} {} {} {}".format(which, target.stored.role, target.stored.name, target.config.label)
    plan = os.path.join(context.folder, "trial.plan")
    try:
        expected_s = last_build_s(context.home, target.stored.role, target.stored.name)
        sidecar = build_one(context, target, plan, RUNS, context.report.callbacks(title, "", expected_s))
    except StorageError:
        raise
    except ModelError as e:
        return Trial(target, {}, "", str(e))
    _move(plan, base + ".plan")
    write_sidecar(base + ".json", sidecar)
    return Trial(target, sidecar, base + ".plan", "")


def _kept(context: BuildContext, target: Target, base: str) -> Optional[Mapping[str, Any]]:
    """The sidecar of a plan that an interrupted tuning left; None unless it is whole and what would be built now."""
    sidecar = read_object(base + ".json")
    try:
        plan = StoredPlan(target.stored.role, target.stored.name, base + ".plan", sidecar)
        plans.check(plan, target.stored.sha256, Board(*context.facts[:3]))
    except (EdgeError, KeyError):
        return None
    known = plans.is_whole(sidecar) and (sidecar.get("measured") or {}).get("host_ms")
    return sidecar if known and changed_config(sidecar, target) is None else None


def _move(source: str, target: str) -> None:
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(source, target)
    except OSError as e:
        raise storage_error(target, e) from e


def _hint(best: Trial, trials: List[Trial]) -> str:
    """What it costs to do without cuDNN, which takes some 200 MB: worth a thought on a board of 4 GB."""
    own = [t for t in trials if t.sidecar and t.target.stored == best.target.stored]
    without = [t for t in own if "cudnn" not in t.target.config.tactics]
    if "cudnn" not in best.target.config.tactics or not without:
        return ""
    slower = min(t.median_ms for t in without) - best.median_ms
    return " ({:.2f} ms faster than without cuDNN, which takes some 200 MB unless no plan uses it)".format(slower)


def _install(context: BuildContext, best: Trial) -> None:
    """A copy takes its place, so that a tuning that is interrupted later still has all it measured."""
    role, name = best.target.stored.role, best.target.stored.name
    copy = os.path.join(context.folder, "chosen.plan")
    try:
        shutil.copyfile(best.plan, copy)
        with open(copy, "rb+") as f:
            os.fsync(f.fileno())
    except OSError as e:
        raise storage_error(copy, e) from e
    install(context.home, copy, best.sidecar)
    text = choose(context.home, role, name, best.target.config)
    write_whole(os.path.join(plans_dir(context.home), CHOICE), text.encode("ascii"))
