"""`nanoface calibrate fp16`: what 16 bits cost each network on real frames, and which layers are to stay in 32.

Writes `out/fp16.json`, and for each network the range of every tensor to `out/<name>.ranges.json`. With `--write` they go to
`$NANOFACE_HOME/fp16.json`, which `nanoface build` reads, and beside the network; a checkout's is what the project ships.
"""
import json
import math
import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, TextIO, Tuple

from calibration.fp16.frames import Shot, black, inputs, look, take
from calibration.fp16.halfmath import FP16_SUMS, FP32_SUMS
from calibration.fp16.keep import PLACES, Verdict, judge
from calibration.fp16.ranges import tiny_share
from edge.core.errors import EngineError, ModelError, OutputError
from edge.host.analytics import load_runtime
from edge.host.disk import write_whole
from edge.host.packages import install
from edge.host.reading import read_json
from edge.store.models import StoredNetwork, cure, locate, onnx_dir, read_index
from engines.manifest.entries import Network
from engines.manifest.read import read_manifest
from engines.progress import Report
from engines.verify.agreement import Difference

SCHEMA = 1
FILE = "fp16.json"
OUT = "out"
_HEAD = ("network", "role", "largest value", "below 6e-5", "error of", "FP32 sums", "FP16 sums",
         "with what is kept", "allowed", "kept in FP32")


class Calibrated(NamedTuple):
    stored: StoredNetwork
    verdict: Verdict
    frames: int


def run_fp16(home: str, source: str, names: Sequence[str], frames: int, out: TextIO, markdown: bool = False,
             write: bool = False) -> int:
    """Calibrate `names`, or all networks that were fetched, on at most `frames` frames of `source`; 0. `write`: into `home`.

    Raises ConfigError for a name that is no network's, SourceError for a source without frames or faces, ModelError for a
    network that was not fetched, EngineError where onnx or onnxruntime is missing, OutputError where out/ cannot be made.
    """
    _need_packages()
    report = Report(out)
    wanted = _wanted(home, names)
    places = (home, onnx_dir(home)) if write else (_out(), OUT)
    shots = look(home, take(source, frames))
    command = "nanoface calibrate fp16 --source {} --frames {}".format(source, frames)
    done: List[Calibrated] = []
    for network, stored in wanted:
        one = _calibrate(network, stored, shots)
        done.append(one)
        _write_ranges(places[1], one)
        if not markdown:
            _show(one, report)
    path = _write(places[0], done, command)
    if markdown:
        report.block(table({one.stored.name: entry(one) for one in done}))
    else:
        report.line("written to " + path + ("" if write else "; with --write `nanoface build` reads it from {}".format(home)))
    return 0


def _out() -> str:
    try:
        os.makedirs(OUT, exist_ok=True)
    except OSError as e:
        raise OutputError("{} cannot be made here ({}): go to a folder where you may write, or add --write".format(
            OUT, e.strerror)) from e
    return OUT


def _need_packages() -> None:
    try:
        import onnx  # noqa: F401
        load_runtime("onnxruntime")
    except (ImportError, AttributeError) as e:  # the latter: onnx beside JetPack's numpy
        raise EngineError("calibrating needs the package {}: {}".format(getattr(e, "name", None) or "onnx",
                                                                           install("onnx", "onnxruntime"))) from e


def _wanted(home: str, names: Sequence[str]) -> List[Tuple[Network, StoredNetwork]]:
    manifest, built = read_manifest(), read_index(home)
    networks = [manifest.network(name) for name in names] or [
        network for network in manifest.networks.values() if network.name in built and not network.is_asset]
    for network in networks:
        if network.is_asset:
            raise ModelError("{} is no network: there is nothing to calibrate".format(network.name))
    if not networks:
        raise ModelError("no network is in {}: {}".format(onnx_dir(home), cure()))
    return [(network, locate(home, network.name)) for network in networks]


def _calibrate(network: Network, stored: StoredNetwork, shots: Sequence[Shot]) -> Calibrated:
    from calibration.fp16.emulate import Emulation  # these two load onnx
    from engines.lint.lint import read_onnx

    assert network.input is not None
    emulation = Emulation(read_onnx(stored.file))
    feeds = [{emulation.input: feed} for feed in inputs(stored, network.input, shots)]
    odd = [{emulation.input: black(network.input)}]
    return Calibrated(stored, judge(stored, emulation, feeds, odd), len(feeds))


def _show(one: Calibrated, report: Report) -> None:
    verdict = one.verdict
    largest = _largest(verdict)
    report.line("{}: {} frames, largest value {} ({}), {:.1f} % below 6e-5".format(
        one.stored.name, one.frames, _number(verdict.ranges[largest].largest), largest, 100 * tiny_share(verdict.ranges)))
    for low, high, kept in zip(verdict.errors[FP32_SUMS], verdict.errors[FP16_SUMS], verdict.kept):
        report.line("  {:12} {:>9} with sums in FP32, {:>9} in FP16{}, {} {} allowed".format(
            high.quantity, _number(low.worst), _number(high.worst),
            ", {} with what is kept".format(_number(kept.worst)) if kept != high else "", _number(high.tolerance), high.unit))
    kept_layers = "the whole network" if verdict.whole else ", ".join(_shortened(verdict.fp32_layers)) or "nothing"
    report.line("  kept in FP32: {}".format(kept_layers))


def _shortened(layers: Sequence[str]) -> List[str]:
    """Those that are kept for their name's sake as one."""
    of_places = [name for name in layers if name.startswith(PLACES)]
    others = [name for name in layers if name not in of_places]
    return (["{} layers {}*".format(len(of_places), PLACES)] if of_places else []) + others


def _largest(verdict: Verdict) -> str:
    return max(sorted(verdict.ranges), key=lambda name: verdict.ranges[name].largest)


def _number(value: Optional[float]) -> str:
    """Three digits, or what there is."""
    if value is None or not math.isfinite(value):
        return "infinite"
    return "{:.0f}".format(value) if abs(value) >= 100 else "{:.3g}".format(value)


def table(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Entries of fp16.json in Markdown, in the order of the manifest, one row for each quantity of a network."""
    lines = ["| {} |".format(" | ".join(_HEAD)), "|{}".format("---|" * len(_HEAD))]
    for name, network in read_manifest().networks.items():
        if name not in entries:
            continue
        one, errors = entries[name], entries[name]["errors"]
        kept = "the whole network" if one["whole"] else "<br>".join(_shortened(one["fp32_layers"])) or "nothing"
        first = (name, network.role, _number(one["largest"]["value"]), "{:.1f} %".format(100 * one["share_below_6e-5"]))
        for quantity in sorted(errors["fp16_sums"]):
            high = errors["fp16_sums"][quantity]
            worst = [_number(errors[kind][quantity]["worst"]) for kind in ("fp32_sums", "fp16_sums", "as_kept")]
            cells = first + (quantity,) + tuple(worst) + ("{} {}".format(_number(high["tolerance"]), high["unit"]), kept)
            lines.append("| {} |".format(" | ".join(cells)))
            first, kept = ("", "", "", ""), ""
    return "\n".join(lines)


def _errors(found: Sequence[Difference]) -> Dict[str, Any]:
    """What is not finite has no number in JSON."""
    return {d.quantity: {"unit": d.unit, "median": _finite(d.median), "worst": _finite(d.worst), "tolerance": d.tolerance}
            for d in found}


def _finite(value: float, digits: int = 3) -> Optional[float]:
    return float("{:.{}g}".format(value, digits)) if math.isfinite(value) else None


def entry(one: Calibrated) -> Dict[str, Any]:
    """The entry of fp16.json for one network."""
    verdict, largest = one.verdict, _largest(one.verdict)
    return {
        "onnx_sha256": one.stored.sha256,
        "fp32_layers": list(verdict.fp32_layers),
        "whole": verdict.whole,
        "errors": {"fp32_sums": _errors(verdict.errors[FP32_SUMS]), "fp16_sums": _errors(verdict.errors[FP16_SUMS]),
                   "as_kept": _errors(verdict.kept)},
        "frames": one.frames,
        "largest": {"tensor": largest, "value": _finite(verdict.ranges[largest].largest, 6)},
        "overflowing": list(verdict.overflowing),
        "share_below_6e-5": _finite(tiny_share(verdict.ranges)),
    }


def _write(folder: str, done: Sequence[Calibrated], command: str) -> str:
    """Networks that were not calibrated now keep their entries. Raises StorageError."""
    path = os.path.join(folder, FILE)
    networks = dict(_written(path))
    networks.update((one.stored.name, dict(entry(one), command=command)) for one in done)
    text = json.dumps({"schema": SCHEMA, "networks": networks}, indent=1, sort_keys=True) + "\n"
    write_whole(path, text.encode("utf-8"))
    return path


def _written(path: str) -> Mapping[str, Any]:
    """A file that is damaged counts as empty: it is replaced."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    networks = content.get("networks") if isinstance(content, dict) and content.get("schema") == SCHEMA else None
    return networks if isinstance(networks, dict) else {}


def _write_ranges(folder: str, one: Calibrated) -> None:
    content = {"onnx_sha256": one.stored.sha256, "frames": one.frames,
               "tensors": {name: _without_infinity(r.record()) for name, r in one.verdict.ranges.items()}}
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    write_whole(os.path.join(folder, one.stored.name + ".ranges.json"), text.encode("utf-8"))


def _without_infinity(record: Mapping[str, Any]) -> Dict[str, Any]:
    return {key: value if math.isfinite(value) else None for key, value in record.items()}
