"""Puts an estimate together: the engines that would run on a board, the pipeline made of them, and their memory."""
from typing import Dict, List, Mapping, NamedTuple, Sequence, Tuple

from edge.config.load import Config, load_config
from edge.core.roles import IRIS, OFF, ROLES
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
    other_way: Mapping[str, str] = {}  # role -> network, where a board can get the same values of others; empty: it cannot

    @property
    def running(self) -> Dict[str, Engine]:
        return {e.role: e for e in self.engines if e.role}

    @property
    def situations(self) -> List[pipeline.TrackingCase]:
        return self._situations({role: e.ms for role, e in self.running.items()})

    @property
    def other_situations(self) -> List[pipeline.TrackingCase]:
        """Of the way that would not run."""
        by_name = {e.network: e.ms for e in self.engines}
        return self._situations({role: by_name[network] for role, network in self.other_way.items()})

    def _situations(self, spans: Dict[str, Span]) -> List[pipeline.TrackingCase]:
        return pipeline.situations(spans, self.board, self.pose_every, one_network=IRIS not in spans)

    @property
    def memory(self) -> List[Tuple[str, Span]]:
        return pipeline.memory({role: e.mb for role, e in self.running.items()})


def _networks(config: Config, tuned: Mapping[str, str], shared: bool) -> Dict[str, str]:
    """Role -> network: what `build --tune` chose here, else the default; none for a role that an earlier one fills. `shared`:
    with a network that fills several roles, where there is one; otherwise without.
    """
    manifest = read_manifest()
    found: Dict[str, str] = {}
    for role in ROLES:
        names = [tuned[role]] if role in tuned else []
        names += [name for name in getattr(config.models, role) if name != OFF]
        fitting = [name for name in names if manifest.is_shared(name) == shared] or names
        if fitting and not manifest.fills(found.values(), role):
            found[role] = fitting[0]
    return found


def estimate(home: str, board: str) -> Estimate:
    """Raises ConfigError for an unknown board, ModelError, EngineError."""
    where, fit, config = board_of(board), fitted(), load_config(None, {}, {})
    tuned, manifest = chosen(home), read_manifest()
    ways = [_networks(config, tuned, shared) for shared in (False, True)]
    if any(role in tuned and manifest.is_shared(tuned[role]) for role in ROLES):
        ways.reverse()
    running, other = ways
    names = list(running.values()) + [n for n in sorted(stored()) if n not in running.values()]
    roles = {network: role for role, network in running.items()}
    engines = []
    for name in names:
        layers = layers_for(home, name)
        ms, mb = engine_span(fit, layers, where), engine_memory(layers)
        engines.append(Engine(roles.get(name, ""), name, layers, ms, mb))
    return Estimate(where, fit, engines, config.tracking.pose_every, other if other != running else {})
