"""plans/tuning.txt and plans/tuning.json: what a tuning has measured, for the eye and for programs."""
import json
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence

from edge.core.roles import ROLES
from edge.host.disk import write_whole
from edge.host.reading import read_json
from edge.store.plans import plans_dir
from engines.build.boardfacts import Facts
from engines.build.tuneways import Trial
from engines.progress import size_text

SCHEMA = 1
JSON, TEXT = "tuning.json", "tuning.txt"  # in plans/
_ROW = "{:7} {:15}  {:4}  {:19}  {:>7} {:>7}  {:>7} {:>7}  {:>8}  {:>6}  {}"
WAYS_HEAD = ("ways, ms a frame of one face: the GPU's medians + what the host is about around each engine (launching it, "
             "copying whole inputs and outputs, waiting; not the stages' own Python)")


def way_line(row: Mapping[str, Any]) -> str:
    lacks = "; nothing right for {}".format(" and ".join(row["missing"])) if row["missing"] else ""
    return "{}: {:.2f} + {:.2f} = {:.2f}{}{}".format(
        " + ".join(" ".join(part) for part in zip(row["networks"], row["variants"])), row["device_ms"], row["host_ms"],
        row["together_ms"], lacks, ", chosen" if row["chosen"] else "")


def record(trial: Trial) -> Dict[str, Any]:
    """For tuning.json; what is not known is null."""
    measured = trial.sidecar.get("measured") or {}
    return {
        "role": trial.target.stored.role, "network": trial.target.stored.name, "precision": trial.target.precision,
        "tactic_sources": list(trial.target.config.tactics), "dense": trial.target.config.dense,
        "device_ms": measured.get("device_ms"), "host_ms": measured.get("host_ms"),
        "verified": trial.sidecar.get("verified"), "size": trial.sidecar.get("size"),
        "build_s": trial.sidecar.get("build_s"),
        "graphs": trial.sidecar.get("graphs"), "failure": trial.failure or None, "chosen": trial.chosen,
    }


def head_line() -> str:
    return "{:31}{:21}  {:^15}  {:^15}\n".format("", "", "GPU, ms", "in all, ms") + _ROW.format(
        "role", "network", "bits", "tactics", "median", "p95", "median", "p95", "size", "build", "")


def row_line(row: Mapping[str, Any]) -> str:
    times = [_ms(row[key], share) for key in ("device_ms", "host_ms") for share in ("p50", "p95")]
    size = size_text(row["size"]) if row["size"] is not None else "-"
    build = "{:.0f} s".format(row["build_s"]) if row["build_s"] is not None else "-"
    if row["failure"]:
        verdict = "failed: " + row["failure"]
    else:
        verdict = "verified" if row["verified"] is not None else "not verified"
        verdict += ", by a CUDA graph" * bool(row.get("graphs")) + ", chosen" * row["chosen"]
    variant = ("+".join(row["tactic_sources"]) or "none") + (", dense" if row.get("dense") else "")
    return _ROW.format(row["role"], row["network"], row["precision"], variant, *(times + [size, build, verdict]))


def _ms(shares: Optional[Mapping[str, float]], share: str) -> str:
    return "{:.2f}".format(shares[share]) if shares else "-"


def write_table(home: str, facts: Facts, role: str, trials: Sequence[Trial],
                ways: Mapping[str, Sequence[Mapping[str, Any]]] = {}) -> None:
    """Put the rows of one role in the place of its former ones, and ways by their first role. Those of another board go.
    Raises StorageError.
    """
    path = os.path.join(plans_dir(home), JSON)
    board, former = facts._asdict(), read_object(path)
    same = former.get("board") == board
    rows: List[Dict[str, Any]] = former.get("rows", []) if same else []
    every = dict((former.get("ways") if same else None) or {}, **ways)
    rows = [row for row in rows if row["role"] != role] + [record(trial) for trial in trials]
    rows.sort(key=lambda row: ROLES.index(row["role"]))
    text = json.dumps({"schema": SCHEMA, "board": board, "rows": rows, "ways": every}, indent=1, sort_keys=True) + "\n"
    write_whole(path, text.encode("ascii"))
    lines = ["{gpu}, TensorRT {tensorrt}, L4T {l4t}".format(**dict(board, l4t=board["l4t"] or "unknown")), head_line()]
    lines += [row_line(row) for row in rows]
    lines += [WAYS_HEAD] * any(every.values()) + [way_line(row) for found in every.values() for row in found]
    text = "\n".join(lines) + "\n"
    write_whole(os.path.join(plans_dir(home), TEXT), text.encode("utf-8"))


def read_object(path: str) -> Dict[str, Any]:
    """A JSON object; an empty one where there is none, or where it is damaged."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
