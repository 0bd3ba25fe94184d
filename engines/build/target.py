"""One plan that is wanted: of which network, built how, whether it is there already, and how it takes its place."""
import json
import os
import re
from typing import Any, Collection, Dict, FrozenSet, Mapping, NamedTuple, Optional, Sequence, Tuple

from edge.core.errors import EngineError, ModelError
from edge.host import commands
from edge.host.disk import storage_error, write_whole
from edge.store import plans, ways
from edge.store.models import StoredNetwork, first_available, locate
from edge.store.plans import Board, read_object
from engines.build.boardfacts import Facts
from engines.manifest.entries import Manifest

FP16, FP32 = "fp16", "fp32"
DEFAULT_TACTICS = ("cublas", "cudnn")
MIN_TIMINGS, AVG_TIMINGS = 1, 4  # few: a Nano times slowly, and the timing cache remembers
COMPARED = ("workspace_mb", "tactic_sources", "fp32_layers", "min_timing_iterations", "avg_timing_iterations", "dense")
PINS, PINS_SCHEMA = "fp16.json", 1
SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), PINS)


class BuildConfig(NamedTuple):
    """How a network is built."""

    precision: str = FP16
    tactics: Tuple[str, ...] = DEFAULT_TACTICS
    workspace_mb: int = 256
    dense: bool = False  # grouped convolutions as dense ones

    @property
    def label(self) -> str:
        """As the tables name it, and as a part of a file's name."""
        return "{}-{}{}".format(self.precision, "+".join(self.tactics) or "none", "-dense" if self.dense else "")


class Pins(NamedTuple):
    """Layers that stay in FP32, as `nanoface calibrate fp16` found, here or where the project was made.

    `whole`: the network is built in FP32 altogether. `note`: a line for the user, "" for none.
    """

    layers: Tuple[str, ...] = ()
    whole: bool = False
    note: str = ""


class Target(NamedTuple):
    stored: StoredNetwork  # its role is set
    config: BuildConfig
    pins: Pins

    @property
    def precision(self) -> str:
        return FP32 if self.pins.whole else self.config.precision

    @property
    def flags(self) -> Dict[str, Any]:
        """As the sidecar has them; `constraints` is known after the build."""
        return {"workspace_mb": self.config.workspace_mb, "tactic_sources": list(self.config.tactics),
                "fp32_layers": list(self.pins.layers) if self.precision == FP16 else [],
                "min_timing_iterations": MIN_TIMINGS, "avg_timing_iterations": AVG_TIMINGS, "dense": self.config.dense}


def target_of(home: str, role: str, name: str, config: BuildConfig) -> Target:
    """Raises ModelError for a network that is not there or corrupt, EngineError for a damaged list of FP32 layers."""
    stored = locate(home, name)._replace(role=role)
    return Target(stored, config, pins_of(home, stored))


def default_network(home: str, manifest: Manifest, role: str, candidates: Sequence[str], untuned: bool = False,
                    named: bool = False, off: Collection[str] = ()) -> str:
    """The network that a run would use: of the candidates the tuned one, unless `untuned`, else the first that was fetched.
    `named`: the user named the candidates; `off`: roles that are switched off.

    Raises ModelError where none was.
    """
    try:
        tuned = "" if untuned else plans.chosen(home).get(role, "")
    except EngineError:  # a run reports that, and its cure is a build
        tuned = ""
    order = tuple(candidates) or next(r.candidates for r in manifest.roles if r.name == role)
    in_order = ways.tuned_first(order, tuned) if named else ways.board_order(home, role, order, tuned, off, untuned)
    return first_available(home, in_order)[0].name


def stale(home: str, target: Target, facts: Optional[Facts]) -> Optional[str]:
    """Why the plan must be built: "missing", or what is wrong with it; None where it is up to date.

    Without `facts` (there is no TensorRT here) the plan counts as one for this board.
    """
    try:
        plan = plans.find(home, target.stored.role, target.stored.name)
        if plan is None:
            return "missing"
        bound_to = facts._asdict() if facts is not None else plan.sidecar
        plans.check(plan, target.stored.sha256, Board(*(bound_to[key] for key in Board._fields)))
    except EngineError as e:
        return str(e)
    return changed_config(plan.sidecar, target)


def changed_config(sidecar: Mapping[str, Any], target: Target) -> Optional[str]:
    """What a plan was built with and would now be built without, or the reverse; None where it is the same."""
    if sidecar.get("precision") != target.precision:
        return "built in {}, wanted in {}".format(sidecar.get("precision"), target.precision)
    theirs = sidecar.get("flags")
    if not isinstance(theirs, dict):
        return "its sidecar does not say how it was built"
    theirs = dict({"dense": False}, **theirs)  # as before there was a choice
    for key in COMPARED:
        if theirs.get(key) != target.flags[key]:
            return "built with {} {}, wanted {}".format(key, _text(theirs.get(key)), _text(target.flags[key]))
    return None


def _text(value: Any) -> str:
    return "+".join(str(v) for v in value) or "none" if isinstance(value, list) else str(value)


def install(home: str, plan_file: str, sidecar: Mapping[str, Any]) -> None:
    """Put a finished plan in its place. Raises StorageError.

    First the plan, then its sidecar. When the power fails between the two, the plan has the sidecar of another or none,
    which is refused, and the next build makes both anew.
    """
    role, network = sidecar["role"], sidecar["network"]
    target = plans.plan_path(home, role, network)
    try:
        os.replace(plan_file, target)
    except OSError as e:
        raise storage_error(target, e) from e
    write_sidecar(plans.sidecar_path(home, role, network), sidecar)


def write_sidecar(path: str, sidecar: Mapping[str, Any]) -> None:
    write_whole(path, (json.dumps(sidecar, indent=1) + "\n").encode("ascii"))


def last_build_s(home: str, role: str, network: str) -> Optional[float]:
    """How long the last build of this plan took here, whatever has become of the plan."""
    try:
        plan = plans.find(home, role, network)
    except ModelError:
        return None
    value = plan.sidecar.get("build_s") if plan is not None else None
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def pins_of(home: str, stored: StoredNetwork, shipped: str = SHIPPED) -> Pins:
    """The home's list before the shipped one; a list of another version of the network counts as none.

    Raises EngineError for a file that is damaged.
    """
    outdated = False
    for path in (os.path.join(home, PINS), shipped):
        entry = _entry(path, stored.name)
        if entry is None:
            continue
        if entry.get("onnx_sha256") == stored.sha256:
            return Pins(tuple(sorted(set(entry["fp32_layers"]))), bool(entry.get("whole")))
        outdated = True
    if outdated:
        return Pins(note="{}: the list of layers to keep in FP32 is of another version of it and is left aside: "
                         "`{}` makes a new one".format(stored.name, commands.command("calibrate fp16 --write")))
    return Pins()


def _cure() -> str:
    return "delete it, or " + commands.run("calibrate fp16 --write")


def _entry(path: str, name: str) -> Optional[Dict[str, Any]]:
    content = read_object(path, _cure())
    if content is None:
        return None
    networks = content.get("networks") if content.get("schema") == PINS_SCHEMA else None
    if not isinstance(networks, dict):
        raise EngineError("{} is damaged: {}".format(path, _cure()))
    entry = networks.get(name)
    if entry is None:
        return None
    layers = entry.get("fp32_layers") if isinstance(entry, dict) else None
    if not isinstance(layers, list) or not all(isinstance(layer, str) for layer in layers):
        raise EngineError("the entry of {} in {} is damaged: {}".format(name, path, _cure()))
    return dict(entry)


def pinned(layer: str, pins: Sequence[str], nodes: FrozenSet[str]) -> str:
    """The pin that a layer of the parsed network falls under; "" where none.

    Pins are nodes of the ONNX. TensorRT's parser names a layer after its node, and a second layer of the same node with
    a number behind (onnx-tensorrt 8.2, ImporterContext.hpp: generateUniqueName), so that the nodes' own names must be
    known to tell "conv" + "_1" from "conv_1".
    """
    if layer in pins:
        return layer
    numbered = re.match(r"(.+)_[0-9]+\Z", layer)
    return numbered.group(1) if numbered and numbered.group(1) in pins and layer not in nodes else ""
