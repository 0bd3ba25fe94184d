"""The figures of a measurement as plain numbers, and as lines for people."""
import os
import platform
from typing import Any, Dict, List, Sequence

import numpy as np

from edge.config.load import Config
from edge.core.errors import EdgeError
from edge.core.figures import median, percentile
from edge.core.redact import hide, one_line

HEAD, ROW, MEMORY = "{:<44}{:>9}{:>9}", "{:<44}{:>9.2f}{:>9.2f}", "{:<44}{:>9.0f}"


def figures(measured: Dict[str, Any], config: Config, frames: Sequence[np.ndarray],
            alone: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Everything as plain numbers: what measure_pipeline() and measure_alone() found."""
    rounds = measured["rounds"]
    if not rounds:
        raise EdgeError("no round was finished")
    return dict(measured_on(config, frames, len(rounds)), **{
        "cpu_ms": spread([r.cpu_ms for r in rounds]),
        "networks_ms": spread([r.networks_ms for r in rounds]),
        "outside_ms": spread([r.cpu_ms - r.networks_ms for r in rounds]),
        "wall_ms": spread([r.wall_ms for r in rounds]), "peak_mb": measured["peak_mb"], "alone": alone,
        "stages": {name: row.get("work_ms") for name, row in measured["status"]["stages"].items()},
    })


def measured_on(config: Config, frames: Sequence[np.ndarray], rounds: int) -> Dict[str, Any]:
    """What stands above every table."""
    return dict(machine_and_python(), frames=len(frames), rounds=rounds, size=[frames[0].shape[1], frames[0].shape[0]],
                source=hide(config.source.spec or ""))


def machine_and_python() -> Dict[str, Any]:
    return {"machine": machine(), "python": platform.python_version()}


def heading(r: Dict[str, Any]) -> str:
    return "{} frames of {} ({}x{}), {} rounds, {}, Python {}".format(
        r["frames"], one_line(r["source"]), r["size"][0], r["size"][1], r["rounds"], r["machine"], r["python"])


def spread(values: Sequence[float]) -> Dict[str, float]:
    return {"median": median(values), "p95": percentile(values, 95.0)}


def machine() -> str:
    """The processor's name and the number of its cores that we may use."""
    name = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            name = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), name)
    except OSError:
        pass
    return "{}, {} cores".format(name, os.cpu_count())


def lines(r: Dict[str, Any]) -> List[str]:
    """The figures for people."""
    text = [heading(r), "", HEAD.format("the pipeline, a frame", "median", "p95")]
    for label, key in (("process CPU, ms", "cpu_ms"), ("  inside the networks, ms", "networks_ms"),
                       ("  outside the networks, ms", "outside_ms"), ("wall time, ms", "wall_ms")):
        text.append(ROW.format(label, r[key]["median"], r[key]["p95"]))
    text += [MEMORY.format("peak memory less the frames, MB", r["peak_mb"]), "",
             HEAD.format("a stage's work, ms", "median", "p95")]
    text += [ROW.format(name, t["p50"], t["p95"]) for name, t in r["stages"].items() if t]
    text += ["", HEAD.format("a network alone, ms", "median", "p95")]
    text += [ROW.format("{network} ({runtime})".format(**row), row["median_ms"], row["p95_ms"])
             for row in r["alone"]]
    return text
