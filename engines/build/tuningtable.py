"""What `nanoface build --tune` measured, for the eye and for programs: plans/tuning.txt and plans/tuning.json."""
import json
import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from edge.host.reading import read_json
from edge.host.disk import write_whole
from edge.store.plans import plans_dir
from engines.build.boardfacts import Facts
from engines.build.target import ROLES, Target
from engines.progress import size_text

SCHEMA = 1
JSON, TEXT = "tuning.json", "tuning.txt"
_ROW = "{:7} {:15}  {:4}  {:12}  {:>7} {:>7}  {:>7} {:>7}  {:>8}  {:>6}  {}"


class Trial(NamedTuple):
    """One way that was tried. `sidecar` is empty where it failed, and `failure` then says why."""

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


def row_line(trial: Trial) -> str:
    return _line(record(trial))


def _line(row: Mapping[str, Any]) -> str:
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
    text = "\n".join(lines + [_line(row) for row in rows]) + "\n"
    write_whole(os.path.join(plans_dir(home), TEXT), text.encode("utf-8"))


def read_object(path: str) -> Dict[str, Any]:
    """A JSON object; an empty one where there is none, or where it is damaged."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
