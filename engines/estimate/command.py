"""`nanoface estimate`: what the networks and the whole pipeline would cost on a Jetson Nano, without one.

Every figure is an estimate: a model fitted to what others published (kernels.py, fitted.json), host costs measured on a
PC and scaled (hostcosts.yaml), and a few guesses that are named as such (pipeline.py). calibration/estimate wrote the tables.
"""
import json
from typing import Dict, Mapping, TextIO, Tuple

from edge.core.roles import DETECT, IRIS, STAGES
from engines.estimate.board import board_of, engine_span
from engines.estimate.fitted import fitted
from engines.estimate.make import estimate
from engines.estimate.pipeline import FOUND, TRACKING, situations
from engines.estimate.table import layers_for
from engines.estimate.text import as_data, render, sections


def engine_ms(home: str, network: str, board: str) -> Tuple[float, float, float]:
    """Optimistic, middle and pessimistic ms of one run on the device. Raises ConfigError, ModelError."""
    return tuple(engine_span(fitted(), layers_for(home, network), board_of(board)))  # type: ignore[return-value]


def stages_ms(home: str, networks: Mapping[str, str], board: str) -> Dict[str, Tuple[float, float, float]]:
    """Optimistic, middle and pessimistic ms of each stage that looks at a frame once, its host's work included; `networks`:
    role -> network. Raises ConfigError, ModelError."""
    spans = {role: engine_span(fitted(), layers_for(home, name), board_of(board)) for role, name in networks.items()}
    cases = {case.name: case for case in situations(spans, board_of(board), 1, one_network=IRIS not in spans)}
    found = dict(cases[TRACKING].stages, **{DETECT: cases[FOUND].stages[DETECT]})
    return {stage: tuple(found[stage].whole) for stage in STAGES}  # type: ignore[misc]


def run_estimate(home: str, board: str, markdown: bool, json_out: bool, out: TextIO) -> int:
    """Write the estimate for a board: nano or nano-5w. Raises ConfigError, ModelError, EngineError."""
    found = estimate(home, board)
    out.write(json.dumps(as_data(found), indent=1) + "\n" if json_out else render(sections(found), markdown))
    return 0
