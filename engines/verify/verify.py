"""`nanoface verify`: what runs the networks here against ONNX Runtime's answers to stored pictures."""
from typing import Any, Dict, List, NamedTuple, Sequence, TextIO, Tuple

import numpy as np

from edge.core.contracts import Runner
from edge.core.errors import ConfigError, EdgeError, ModelError
from edge.host import commands
from edge.models.warp import Warper
from edge.runtimes.choose import open_runner
from edge.store import plans, ways
from edge.store.models import StoredNetwork, cure, locate, read_index
from engines.manifest.entries import Manifest
from engines.manifest.read import read_manifest
from engines.progress import Report
from engines.verify import references, stills
from engines.verify.agreement import Difference, combined, differences

CROPPED = "cropped "  # begins the name of what is compared between submit() and infer()
_ROW = "{:15}  {:21}  {:23}  {:12}  {:>8}  {:>8}  {:>9}  {}"
_HEADER = _ROW.format("network", "runtime", "quantity", "unit", "median", "worst", "tolerance", "verdict")


class Verified(NamedTuple):
    """What became of one network; `fault` is empty where it agrees."""

    rows: Sequence[str]
    fault: str
    note: str = ""  # why it is this runtime


def verify_runner(runner: Runner, stored: StoredNetwork, home: str) -> List[Difference]:
    """How far an open runner is from ONNX Runtime on every stored input, and submit() from infer() on one picture.

    The second shows whether the runtime fills the input from a crop as the CPU does; its quantities begin with CROPPED.
    It is left out where the first shows that the answers are wrong already.
    Raises ModelError where there are no stored answers and none can be made, and what the runner raises.
    """
    cases = references.current_cases(home, stored.name)
    found = combined([differences(stored, case.outputs, runner.infer(case.feeds))
                      for case in cases])
    return found + (_cropped(runner, stored) if all(d.within for d in found) else [])


def _cropped(runner: Runner, stored: StoredNetwork) -> List[Difference]:
    """submit() against infer() on the same crops as the CPU makes them, in the same runner."""
    image, crops = stills.live_view(stored.role, stored.name)
    feed = np.zeros(runner.inputs[0].shape, np.float32)
    warper = Warper()
    for crop, part in zip(crops, feed):
        warper.fill(image, crop, part)
    expected = {name: values.copy() for name, values in runner.infer({runner.inputs[0].name: feed}).items()}
    found = runner.submit(image, crops).result()
    return [d._replace(quantity=CROPPED + d.quantity)
            for d in differences(stored, expected, found)]


def fault_of(found: Sequence[Difference]) -> str:
    """What is not within its tolerance, on one line; empty where everything is."""
    return ", ".join("{} {} ({} allowed)".format(d.quantity, _amount(d), _number(d.tolerance))
                     for d in found if not d.within)


def recorded(found: Sequence[Difference]) -> Dict[str, Dict[str, Any]]:
    """For the sidecar of a plan: quantity -> unit, median, worst, tolerance."""
    return {d.quantity: {"unit": d.unit, "median": d.median, "worst": d.worst, "tolerance": d.tolerance} for d in found}


def run_verify(home: str, runtime: str, names: Sequence[str], out: TextIO) -> int:
    """Verify `names`, or without names the networks that would run; 4 where one does not agree or cannot be compared.

    Raises ConfigError for a name that no network has, ModelError where nothing is built.
    """
    manifest, report = read_manifest(), Report(out)
    wanted, lines = _wanted(manifest, home, names, ways.with_plans(runtime))
    header, notes, faults = _HEADER, {}, {}  # type: str, Dict[str, List[str]], Dict[str, List[str]]
    for name in wanted:
        verified = _verify(home, name, runtime)
        for line in ([header] if header and verified.rows else []) + list(verified.rows):
            report.line(line)
            header = ""
        if verified.note:
            notes.setdefault(verified.note, []).append(name)
        if verified.fault:
            faults.setdefault(verified.fault, []).append(name)
    for text, networks in list(notes.items()) + list(faults.items()):
        lines.append("{}: {}".format(", ".join(networks), text))
    for line in lines:
        report.line(line)
    if faults:
        return ModelError.exit_code
    report.line("{} with ONNX Runtime".format(
        "{} agrees".format(wanted[0]) if len(wanted) == 1 else "all {} networks agree".format(len(wanted))))
    return 0


def _wanted(manifest: Manifest, home: str, names: Sequence[str], board: bool) -> Tuple[List[str], List[str]]:
    """Networks to verify, and a line for each role that there is none for. `board`: those that a run with plans would take."""
    for name in names:
        if manifest.network(name).is_asset:
            raise ConfigError("{} is no network: there is nothing to verify".format(name))
    if names:
        return list(names), []
    built, chosen = read_index(home), plans.chosen(home)
    wanted: List[str] = []
    notes: List[str] = []
    for role in manifest.roles:
        if manifest.network(role.candidates[0]).is_asset or manifest.fills(wanted, role.name):
            continue
        tuned = chosen.get(role.name, "")
        known = (tuned,) + tuple(name for name in role.candidates if name != tuned)
        candidates = [name for name in (ways.board_order(home, role.name, known, tuned) if board else known) if name in built]
        if candidates:
            wanted.append(candidates[0])
        elif role.required:
            raise ModelError("nothing is built to {} faces with: {}".format(role.name, cure()))
        else:
            notes.append("{}: not built, {}".format(role.name, role.without))
    return wanted, notes


def _verify(home: str, name: str, runtime: str) -> Verified:
    """One network; an error with a cure is what is wrong with it, so that the others are verified, too."""
    try:
        stored = locate(home, name)
        runner = open_runner(stored, runtime)
        try:
            runner.open()
            found = verify_runner(runner, stored, home)
        finally:
            runner.close()
    except EdgeError as e:
        return Verified((), str(e))
    fault = fault_of(found)
    if fault:
        fault = "{} on {}: {}".format(fault, runner.backend, _cure(stored, runner.backend, found))
    return Verified([_row(name, runner.backend, d) for d in found], fault, runner.note)


def _cure(stored: StoredNetwork, backend: str, found: Sequence[Difference]) -> str:
    if backend.startswith("tensorrt"):
        if all(d.within or d.quantity.startswith(CROPPED) for d in found):
            return plans.cure_all() + ", which makes the crop kernel again"
        return "{}, and with --fp32 too if that does not help".format(
            commands.run("build --only {} --force".format(stored.role)))
    return "{}, or take another runtime with --runtime".format(cure("--force", stored.name))


def _row(name: str, backend: str, d: Difference) -> str:
    return _ROW.format(name, backend, d.quantity, d.unit, _number(d.median), _number(d.worst), _number(d.tolerance),
                       "agrees" if d.within else "WRONG")


def _amount(difference: Difference) -> str:
    return "off by {} {}".format(_number(difference.worst), difference.unit)


def _number(value: float) -> str:
    return "{:.4f}".format(value) if abs(value) < 100.0 else "{:.0f}".format(value)
