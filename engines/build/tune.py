"""`nanoface build --tune`: each network built in several variants, timed on this board, and the fastest that is right kept.

plans/tuning.txt and plans/tuning.json keep what was measured, for the eye and for programs.

On this GPU FP16 is not always the faster, and cuDNN's tactics are not always worth their memory. So it is measured.
"""
import json
import os
import shutil
from contextlib import suppress
from glob import escape, glob
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, TextIO

from edge.core.errors import ConfigError, EdgeError, ModelError
from edge.core.roles import ROLES
from edge.host.disk import StorageError, storage_error, write_whole
from edge.host.reading import read_json
from edge.store import plans
from edge.store.models import read_index
from edge.store.plans import CHOICE, Board, StoredPlan, plans_dir
from engines.build.boardfacts import Facts
from engines.build.context import BuildContext, build_context, build_one, crop_kernel, network_of, remove, selected
from engines.build.report import BuildReport
from engines.build.selection import BuildOptions, Wanted, choose
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
from engines.lint.gate import lint_gate
from engines.manifest.entries import Manifest
from engines.manifest.read import read_manifest
from engines.progress import size_text

FOLDER = "tune"  # below plans/: what an interrupted tuning has built, for the next one
RUNS = 200
TACTICS = (("cublas", "cudnn"), ("cublas",))  # with and without cuDNN
SCHEMA = 1
JSON, TEXT = "tuning.json", "tuning.txt"  # in plans/
_ROW = "{:7} {:15}  {:4}  {:12}  {:>7} {:>7}  {:>7} {:>7}  {:>8}  {:>6}  {}"


class Trial(NamedTuple):
    """One variant that was tried. `sidecar` is empty where it failed, for the reason in `failure`."""

    target: Target
    sidecar: Mapping[str, Any]
    plan: str
    failure: str
    chosen: bool = False

    @property
    def median_ms(self) -> float:
        """Of the GPU's own time; of the whole where it gave none."""
        measured = self.sidecar["measured"]
        return float((measured.get("device_ms") or measured["host_ms"])["p50"])


def run_tune(home: str, options: BuildOptions, out: TextIO, verbose: bool = False) -> int:
    """Try every variant for each role and install the fastest. 0, or 4 where a role has none that is right.

    Raises what run_build() raises. What an interrupted tuning has measured is kept; options.force begins anew.
    """
    if options.fp32 or options.tactics not in (None, DEFAULT_TACTICS):
        raise ConfigError("--tune tries 16 and 32 bits, with and without cuDNN: leave out --fp32 and --tactics")
    home, manifest, report = os.path.abspath(home), read_manifest(), BuildReport(out, verbose)
    wanted = selected(home, manifest, options)
    with build_context(home, options, report) as context:
        roles: Dict[str, List[Wanted]] = {}
        for one in wanted:
            roles.setdefault(one.role, []).append(one)
        if options.force:
            _forget_trials(home, list(roles))
        if context.facts.l4t:
            report.line("the clocks of a Jetson move: for steady figures run `sudo jetson_clocks` first")
        report.line(head_line())
        failed = [role for role, ones in roles.items() if not _tune_role(context, manifest, role, ones)]
        crop_kernel(context)
        _forget_trials(home, [role for role in roles if role not in failed])
    report.line("{} of {} roles are tuned; the table is in {}".format(
        len(roles) - len(failed), len(roles), os.path.join(plans_dir(home), "tuning.txt")))
    return ModelError.exit_code if failed else 0


def _folder(home: str) -> str:
    return os.path.join(plans_dir(home), FOLDER)


def _forget_trials(home: str, roles: List[str]) -> None:
    """Of these roles; those of others wait for the tuning that was interrupted to go on."""
    for path in [path for role in roles for path in glob(os.path.join(escape(_folder(home)), role + "-*"))]:
        remove(path)
    with suppress(OSError):
        os.rmdir(_folder(home))  # unless there is something left


def _tune_role(context: BuildContext, manifest: Manifest, role: str, wanted: List[Wanted]) -> bool:
    """Whether a plan was chosen, or the role is one that is not there and can be done without."""
    try:
        targets = _targets(context, manifest, role, wanted)
    except StorageError:
        raise
    except ModelError as e:
        without = next(r.without for r in manifest.roles if r.name == role)
        harmless = bool(without) and not any(one.named for one in wanted)
        context.report.row(role, "-", "not tuned: {}{}".format(e, "; until then {}".format(without) if harmless else ""))
        return harmless
    trials: List[Trial] = []
    for number, target in enumerate(targets, 1):
        trials.append(_trial(context, target, "{}/{}".format(number, len(targets))))
        context.report.line(row_line(record(trials[-1])))
        write_table(context.home, context.facts, role, trials)
    best = fastest(trials)
    if best is None:
        context.report.row(role, "-", "no variant gives a plan that is right: what was there before is left as it is")
        return False
    _install(context, best)
    write_table(context.home, context.facts, role, [t._replace(chosen=t is best) for t in trials])
    context.report.row(role, best.target.stored.name, "chosen: {}{}".format(best.target.config.label, _hint(best, trials)))
    return True


def _targets(context: BuildContext, manifest: Manifest, role: str, wanted: List[Wanted]) -> List[Target]:
    """Every variant of every candidate. Raises ModelError for one that is not there or that TensorRT would misread."""
    options = context.options
    names = [network_of(context.home, manifest, options, one) for one in wanted]
    if options.all_networks:
        built = read_index(context.home)
        candidates = next(r.candidates for r in manifest.roles if r.name == role)
        names += [name for name in candidates if name in built and name not in names]
    targets = []
    for name in names:
        for precision in (FP16, FP32):
            for tactics in TACTICS:
                target = target_of(context.home, role, name, BuildConfig(precision, tactics, options.workspace_mb))
                if target.precision == precision:  # the calibration may want the whole network in FP32
                    targets.append(target)
        if targets[-1].pins.note:
            context.report.line(targets[-1].pins.note)
        if options.lint:
            lint_gate(context.home, targets[-1].stored)
    return targets


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
    return sidecar if changed_config(sidecar, target) is None and isinstance(sidecar.get("measured"), dict) else None


def _move(source: str, target: str) -> None:
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(source, target)
    except OSError as e:
        raise storage_error(target, e) from e


def fastest(trials: List[Trial]) -> Optional[Trial]:
    """By the GPU's own median. Those that were compared with ONNX Runtime go before those that could not be."""
    sound = [trial for trial in trials if trial.sidecar]
    verified = [trial for trial in sound if trial.sidecar.get("verified") is not None]
    return min(verified or sound, key=lambda trial: trial.median_ms, default=None)


def _hint(best: Trial, trials: List[Trial]) -> str:
    """What it costs to do without cuDNN, which takes some 200 MB: worth a thought on a board of 4 GB."""
    without = [t for t in trials if t.sidecar and "cudnn" not in t.target.config.tactics]
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


def record(trial: Trial) -> Dict[str, Any]:
    """For tuning.json; what is not known is null."""
    measured = trial.sidecar.get("measured") or {}
    return {
        "role": trial.target.stored.role, "network": trial.target.stored.name, "precision": trial.target.precision,
        "tactic_sources": list(trial.target.config.tactics), "device_ms": measured.get("device_ms"),
        "host_ms": measured.get("host_ms"), "verified": trial.sidecar.get("verified"), "size": trial.sidecar.get("size"),
        "build_s": trial.sidecar.get("build_s"), "failure": trial.failure or None, "chosen": trial.chosen,
    }


def head_line() -> str:
    return "{:31}{:14}  {:^15}  {:^15}\n".format("", "", "GPU, ms", "in all, ms") + _ROW.format(
        "role", "network", "bits", "tactics", "median", "p95", "median", "p95", "size", "build", "")


def row_line(row: Mapping[str, Any]) -> str:
    times = [_ms(row[key], share) for key in ("device_ms", "host_ms") for share in ("p50", "p95")]
    size = size_text(row["size"]) if row["size"] is not None else "-"
    build = "{:.0f} s".format(row["build_s"]) if row["build_s"] is not None else "-"
    if row["failure"]:
        verdict = "failed: " + row["failure"]
    else:
        verdict = ("verified" if row["verified"] is not None else "not verified") + (", chosen" if row["chosen"] else "")
    return _ROW.format(row["role"], row["network"], row["precision"], "+".join(row["tactic_sources"]) or "none",
                       *(times + [size, build, verdict]))


def _ms(shares: Optional[Mapping[str, float]], share: str) -> str:
    return "{:.2f}".format(shares[share]) if shares else "-"


def write_table(home: str, facts: Facts, role: str, trials: Sequence[Trial]) -> None:
    """Put the rows of one role in the place of its former ones. Those of another board go. Raises StorageError."""
    path = os.path.join(plans_dir(home), JSON)
    board, former = facts._asdict(), read_object(path)
    rows: List[Dict[str, Any]] = former.get("rows", []) if former.get("board") == board else []
    rows = [row for row in rows if row["role"] != role] + [record(trial) for trial in trials]
    rows.sort(key=lambda row: ROLES.index(row["role"]))
    text = json.dumps({"schema": SCHEMA, "board": board, "rows": rows}, indent=1, sort_keys=True) + "\n"
    write_whole(path, text.encode("ascii"))
    lines = ["{gpu}, TensorRT {tensorrt}, L4T {l4t}".format(**dict(board, l4t=board["l4t"] or "unknown")), head_line()]
    text = "\n".join(lines + [row_line(row) for row in rows]) + "\n"
    write_whole(os.path.join(plans_dir(home), TEXT), text.encode("utf-8"))


def read_object(path: str) -> Dict[str, Any]:
    """A JSON object; an empty one where there is none, or where it is damaged."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
