"""`nanoface bench`: the pipeline and every network alone, the detectors at several sizes, or each stage as DLVYF prints it, on
frames that were decoded up front, in rounds."""
import json
from typing import Any, Callable, Dict, List, Mapping, Sequence, TextIO, Tuple

import numpy as np

from edge.bench import detectors, stages
from edge.bench.measure import measure_alone, measure_pipeline
from edge.bench.replay import decoded
from edge.bench.text import figures, heading, lines, measured_on
from edge.config.load import Config
from edge.core.errors import ConfigError

StageEstimate = Callable[[Mapping[str, str]], Dict[str, Tuple[float, float, float]]]


def run_bench(config: Config, count: int, rounds: int, as_json: bool, out: TextIO) -> None:
    """Measure `rounds` over the first `count` frames, and write the figures to `out`. Raises EdgeErrors."""
    frames = _frames(config, count)
    result = figures(measure_pipeline(config, frames, rounds), config, frames, measure_alone(config, frames[0], rounds))
    _write(result, lines(result), as_json, out)


def run_detectors(config: Config, names: Sequence[str], scales: Sequence[float], count: int, rounds: int, as_json: bool,
                  out: TextIO) -> None:
    """The same of `names`, at each of the scales. Raises EdgeErrors."""
    frames = decoded(config, count)
    found = detectors.measure_detectors(config, names, scales, frames, rounds)
    _write_table(found, config, frames, rounds, detectors.lines, as_json, out)


def run_stages(config: Config, estimate: StageEstimate, count: int, rounds: int, as_json: bool, out: TextIO) -> None:
    """The same of each stage. `estimate`: role -> network to role -> optimistic, middle and pessimistic ms on a Nano."""
    frames = _frames(config, count)
    found = stages.measure_stages(config, frames, rounds, estimate)
    _write_table(found, config, frames, rounds, stages.lines, as_json, out)


def _frames(config: Config, count: int) -> List[np.ndarray]:
    """Of a run whose detector is measured, too."""
    if config.source.boxes is not None:
        raise ConfigError("boxes of a file are no network to measure: leave --boxes out")
    return decoded(config, count)


def _write_table(found: Dict[str, Any], config: Config, frames: Sequence[np.ndarray], rounds: int,
                 table: Callable[[Dict[str, Any]], List[str]], as_json: bool, out: TextIO) -> None:
    result = dict(measured_on(config, frames, rounds), **found)
    _write(result, [heading(result)] + table(result), as_json, out)


def _write(result: Dict[str, Any], text: Sequence[str], as_json: bool, out: TextIO) -> None:
    out.write((json.dumps(result, indent=1) if as_json else "\n".join(text)) + "\n")
