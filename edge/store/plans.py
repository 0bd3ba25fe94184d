"""Where the TensorRT plans lie and what is known of each: a sidecar beside the plan names what it was built of and for.

`nanoface build` (`engines/`) writes `plans/`, the TensorRT runner reads it. A plan is never touched before its sidecar has
been compared with the board: TensorRT answers a plan of another version, GPU or length with None, or not at all.
"""
import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from edge.core.errors import EngineError
from edge.host import commands
from edge.host.reading import read_json, reason
from edge.store.models import sha256_of

SCHEMA = 1
CHOICE = "chosen.json"  # role -> network that `nanoface build --tune` found to be the fastest
CUBIN = "crop.cubin"  # the compiled crop kernel, made on the board by `nanoface build`
CUBIN_SIDECAR = "crop.json"
NUMBER = (int, float)
TEXTS = ("role", "network", "sha256", "onnx_sha256", "tensorrt", "gpu", "compute_capability", "precision")


class Board(NamedTuple):
    """What a plan is bound to."""

    tensorrt: str  # trt.__version__, e.g. 8.2.1.8
    gpu: str  # the name that CUDA gives, e.g. NVIDIA Tegra X1
    compute_capability: str  # 5.3


class StoredPlan(NamedTuple):
    """A plan on disk. Nothing of it is checked until check() was called."""

    role: str
    network: str
    file: str  # path of the plan
    sidecar: Mapping[str, Any]

    @property
    def precision(self) -> str:
        return str(self.sidecar["precision"])  # fp16 or fp32

    @property
    def cure(self) -> str:
        return cure(self.role)


def cure(role: str) -> str:
    """For the plan of a role that is missing or not the right one."""
    return commands.run("build --only " + role)


def cure_all() -> str:
    return commands.run("build --force")


def plans_dir(home: str) -> str:
    return os.path.join(home, "plans")


def plan_path(home: str, role: str, network: str) -> str:
    return os.path.join(plans_dir(home), "{}-{}.plan".format(role, network))


def sidecar_path(home: str, role: str, network: str) -> str:
    return os.path.join(plans_dir(home), "{}-{}.json".format(role, network))


def find(home: str, role: str, network: str) -> Optional[StoredPlan]:
    """The plan of a network, None where none was built. Raises EngineError for a sidecar that cannot be read."""
    path = sidecar_path(home, role, network)
    sidecar = read_object(path, cure_all())
    if sidecar is None:
        if os.path.exists(plan_path(home, role, network)):
            raise EngineError("{} has no sidecar {}: {}".format(
                plan_path(home, role, network), os.path.basename(path), cure(role)))
        return None
    if not is_whole(sidecar) or (sidecar["role"], sidecar["network"]) != (role, network):
        raise EngineError("{} is damaged: {}".format(path, cure(role)))
    return StoredPlan(role, network, plan_path(home, role, network), sidecar)


def is_whole(sidecar: Mapping[str, Any]) -> bool:
    """Whether a sidecar has what is read of it; what was tried with the plan may be missing, but be nothing else."""
    facts = sidecar.get("schema") == SCHEMA and isinstance(sidecar.get("size"), int) and all(
        isinstance(sidecar.get(key), str) for key in TEXTS)
    ways = any(sidecar.get("graphs") is known for known in (None, False, True))
    return facts and ways and _are(sidecar.get("measured"), type(None), p50=NUMBER, p95=NUMBER) and _are(
        sidecar.get("verified"), worst=NUMBER, unit=(str,))


def _are(rows: Any, *instead: Any, **kinds: Tuple[Any, ...]) -> bool:
    """Whether it is null, or an object of objects that have what `kinds` says; or of what is of a kind `instead`."""
    return rows is None or isinstance(rows, dict) and all(
        isinstance(row, instead) or isinstance(row, dict) and all(isinstance(row.get(key), kinds[key]) for key in kinds)
        for row in rows.values())


def check(plan: StoredPlan, onnx_sha256: str, board: Board) -> None:
    """Raises EngineError, which names the command that repairs it, unless the plan is whole and made for this board."""
    made_for = Board(plan.sidecar["tensorrt"], plan.sidecar["gpu"], plan.sidecar["compute_capability"])
    for what, theirs, ours in (("TensorRT", made_for.tensorrt, board.tensorrt), ("GPU", made_for.gpu, board.gpu),
                               ("compute capability", made_for.compute_capability, board.compute_capability)):
        if theirs != ours:
            raise EngineError("{} was built for {} {}, here is {}: {}".format(plan.file, what, theirs, ours, plan.cure))
    if plan.sidecar["onnx_sha256"] != onnx_sha256:
        raise EngineError("{} was built of another version of {}: {}".format(plan.file, plan.network, plan.cure))
    check_file(plan)


def check_file(plan: StoredPlan) -> None:
    """Raises EngineError unless the plan is the file that its sidecar describes."""
    try:
        size = os.path.getsize(plan.file)
        if size != plan.sidecar["size"]:
            raise EngineError("{} is {} bytes and not {}, it was cut short or altered: {}".format(
                plan.file, size, plan.sidecar["size"], plan.cure))
        found = sha256_of(plan.file)
    except OSError as e:
        raise EngineError("{} cannot be read ({}): {}".format(plan.file, e.strerror or e, plan.cure)) from e
    if found != plan.sidecar["sha256"]:
        raise EngineError("{} is corrupt (sha256 {}... instead of {}...): {}".format(
            plan.file, found[:12], plan.sidecar["sha256"][:12], plan.cure))


def chosen(home: str) -> Dict[str, str]:
    """Role -> network that was the fastest on this board; empty where nothing was tuned. Raises EngineError."""
    choice = read_object(os.path.join(plans_dir(home), CHOICE), cure_all()) or {}
    roles = choice.get("roles", {})
    if not isinstance(roles, dict) or not all(isinstance(v, str) for v in roles.values()):
        raise EngineError("{} is damaged: {}".format(
            os.path.join(plans_dir(home), CHOICE), commands.run("build --tune")))
    return dict(roles)


def read_object(path: str, cure: str) -> Optional[Dict[str, Any]]:
    """A JSON object; None where there is no such file. Raises EngineError, which ends with `cure`."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as e:
        raise EngineError("{} cannot be read ({}): {}".format(path, reason(e), cure)) from e
    if not isinstance(content, dict):
        raise EngineError("{} is damaged: {}".format(path, cure))
    return content
