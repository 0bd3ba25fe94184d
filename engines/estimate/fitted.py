"""fitted.json: the model's numbers, and how far it is from the published figures that it was fitted to.

`python -m calibration.estimate.freeze` writes it; an estimate only reads it.
"""
import json
import os
import re
from typing import Any, Dict, List, NamedTuple, Sequence

from edge.core.errors import ModelError
from engines.estimate.kernels import Parameters

SCHEMA = 2
FITTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fitted.json")


def family_of(network: str) -> str:
    """The network whatever its input: sizes of one network are left out together."""
    return re.sub(r"_\d{3}(x\d+)?\Z", "", network)


class LeftOut(NamedTuple):
    """A published figure against the model that has not seen its network."""

    network: str
    source: str
    ms: float
    kind: str  # of CLASSES
    error: float  # log(model / published)
    low_ms: float  # the range that model and errors without this network give it
    high_ms: float

    @property
    def inside(self) -> bool:
        return self.low_ms <= self.ms <= self.high_ms


class NotFitted(NamedTuple):
    """A published figure with more than the network in it."""

    network: str
    ms: float
    model_ms: float


class Fitted(NamedTuple):
    """What fitted.json holds."""

    parameters: Parameters
    left_out: Sequence[LeftOut]
    not_fitted: Sequence[NotFitted]
    not_rebuilt: List[str]  # published of networks that cannot be rebuilt, a sentence each
    dlvyf: Dict[str, float]  # another face tracker's times by its authors: ROLE_ms and fps


def frozen(path: str, schema: int) -> Dict[str, Any]:
    """A table that came with the program. Raises ModelError."""
    try:
        with open(path, encoding="utf-8") as f:
            content: Dict[str, Any] = json.load(f)
    except (OSError, ValueError) as e:
        raise ModelError("{} cannot be read ({}): install nanoface again".format(path, e)) from e
    if content.get("schema") != schema:
        raise ModelError("{} is not of this version: install nanoface again".format(path))
    return content


def fitted() -> Fitted:
    """Raises ModelError."""
    content = frozen(FITTED, SCHEMA)
    return Fitted(Parameters(**content["parameters"]), [LeftOut(**row) for row in content["left_out"]],
                  [NotFitted(**row) for row in content["not_fitted"]], content["not_rebuilt"], content["dlvyf"])
