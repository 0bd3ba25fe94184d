"""The TensorRT plans and the crop kernel of this board: there, whole, and made of what is here now."""
import os
from typing import Any, List, Mapping, Optional

from edge.config.load import Config
from edge.core.errors import EngineError
from edge.core.roles import TENSORRT, WITH_PLANS
from edge.doctor.machine import FAIL, OK, WARN, Finding
from edge.host import commands
from edge.store import models, plans, ways
from edge.store.cubin import source_sha256
from edge.store.plans import Board, StoredPlan

SLOWER = "its network runs on the CPU, many times slower"


def check_plans(config: Config, home: str, tensorrt: Optional[str]) -> List[Finding]:
    """`tensorrt`: the installed version, "" where it is not known, None where there is none: then no plan is checked."""
    if tensorrt is None or config.models.runtime not in WITH_PLANS:
        return []
    bad = FAIL if config.models.runtime == TENSORRT else WARN  # auto takes what else is installed
    try:
        tuned = plans.chosen(home)
    except EngineError as e:
        return [_finding("plans", bad, str(e))]
    used = ways.in_use(home, config, tuned, board=True)  # a missing network is reported by check_models()
    findings = [_check_role(home, role, network, tensorrt, bad) for role, network in used.items()]
    return findings + ([] if config.models.crops == "cpu" else [_check_kernel(plans.plans_dir(home))])


def _check_role(home: str, role: str, network: models.StoredNetwork, tensorrt: str, bad: str) -> Finding:
    name = "plan " + role
    try:
        plan = plans.find(home, role, network.name)
        if plan is None:
            return Finding(name, bad, "none was built of {}: {}".format(network.name, SLOWER),
                           commands.command("build --only " + role))
        plans.check(plan, network.sha256, _board(plan, tensorrt))
    except EngineError as e:
        return _finding(name, bad, str(e))
    return Finding(name, OK, "{}, {}, {:.1f} MB".format(network.name, plan.precision, plan.sidecar["size"] / 1e6))


def _board(plan: StoredPlan, tensorrt: str) -> Board:
    """Only the version is looked up: to ask for the GPU takes CUDA, and seconds."""
    built_for = plan.sidecar
    return Board(tensorrt or built_for["tensorrt"], built_for["gpu"], built_for["compute_capability"])


def _check_kernel(folder: str) -> Finding:
    """As the runner does it, without loading it."""
    name, cubin = "crop kernel", os.path.join(folder, plans.CUBIN)
    try:
        sidecar = plans.read_object(os.path.join(folder, plans.CUBIN_SIDECAR), "")
        reason = "was not built" if sidecar is None else _stale(sidecar, cubin)
    except FileNotFoundError:
        reason = "was not built"
    except (OSError, EngineError):
        reason = "cannot be read"
    if reason:
        return Finding(name, WARN, reason + ": the CPU cuts out the networks' inputs", commands.command("build"))
    return Finding(name, OK, str((sidecar or {}).get("arch", "")))


def _stale(sidecar: Mapping[str, Any], cubin: str) -> str:
    """Raises OSError, EngineError."""
    if sidecar.get("source_sha256") != source_sha256():
        return "was built of another version"
    if sidecar.get("size") != os.path.getsize(cubin) or sidecar.get("sha256") != models.sha256_of(cubin):
        return "was cut short or altered"
    return ""


def _finding(name: str, state: str, error: str) -> Finding:
    """An error of the plan store ends with its cure."""
    text, _, cure = error.rpartition(": ")
    return Finding(name, state, text, cure.replace("run `", "").rstrip("`"))
