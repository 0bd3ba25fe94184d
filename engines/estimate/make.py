"""Puts an estimate together: the engines that would run on a board, the pipeline made of them, and their memory."""
from typing import Dict, List, NamedTuple, Sequence, Tuple

from edge.config.load import Config, load_config
from edge.core.roles import OFF, ROLES
from edge.store.plans import chosen
from engines.estimate import pipeline
from engines.estimate.board import Board, Span, board_of, engine_memory, engine_span
from engines.estimate.fitted import Fitted, fitted
from engines.estimate.layers import Layer
from engines.estimate.table import layers_for, stored
from engines.manifest.read import read_manifest


class Engine(NamedTuple):
    """One network on a board."""

    role: str  # empty: not of the set that would run
    network: str
    layers: Sequence[Layer]
    ms: Span
    mb: Span


class Estimate(NamedTuple):
    """Everything that is shown."""

    board: Board
    fit: Fitted
    engines: List[Engine]
    pose_every: int

    @property
    def running(self) -> Dict[str, Engine]:
        return {e.role: e for e in self.engines if e.role}

    @property
    def situations(self) -> List[pipeline.TrackingCase]:
        return pipeline.situations({role: e.ms for role, e in self.running.items()}, self.board, self.pose_every)

    @property
    def memory(self) -> List[Tuple[str, Span]]:
        return pipeline.memory({role: e.mb for role, e in self.running.items()})


def _networks(home: str, config: Config) -> Dict[str, str]:
    """Role -> network: what `build --tune` chose here, else the default; none for a role that an earlier one fills."""
    tuned, manifest = chosen(home), read_manifest()
    found: Dict[str, str] = {}
    for role in ROLES:
        first = getattr(config.models, role)[0]
        if first != OFF and not manifest.fills(found.values(), role):
            found[role] = tuned.get(role, first)
    return found


def estimate(home: str, board: str) -> Estimate:
    """Raises ConfigError for an unknown board, ModelError, EngineError."""
    where, fit, config = board_of(board), fitted(), load_config(None, {}, {})
    running = _networks(home, config)
    names = list(running.values()) + [n for n in sorted(stored()) if n not in running.values()]
    roles = {network: role for role, network in running.items()}
    engines = []
    for name in names:
        layers = layers_for(home, name)
        ms, mb = engine_span(fit, layers, where), engine_memory(layers)
        engines.append(Engine(roles.get(name, ""), name, layers, ms, mb))
    return Estimate(where, fit, engines, config.tracking.pose_every)
