"""ARKit's blend shapes from the points: what a face does, against the same face at rest.

One matrix makes of the measures, less those at rest, a first answer for each shape; below zero there is none. A second one
takes from a shape what its rivals explain. Then a dead zone, a gain, and the limits 0 and 1. What is in both was fitted to
rendered heads with known coefficients (calibration/shapes) and stands in blendshapes.json, for the right side; the left is
its mirror image.
"""
import json
import os
from typing import Any, Dict, Mapping, Optional

import numpy as np

from edge.face.measures import Measures, mate, mirrored

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "blendshapes.json")
PRIOR_S, EYE_PRIOR_S = 0.05, 0.5  # what the mean face is worth: people differ more than they move at rest
OF_EYES = ("iris", "lids", "yaw", "pitch")  # measures that do not differ much from one person to the other
HELPER = "helper"  # class of what is only a rival of others


def read_table() -> Dict[str, Any]:
    """What calibration/shapes wrote."""
    with open(TABLE, encoding="utf-8") as f:
        return json.load(f)


class Blendshapes:
    """For one network that gives the points; knows of no face in particular."""

    def __init__(self, network: str, table: Optional[Mapping[str, Any]] = None) -> None:
        """`table`: instead of the installed one. Raises KeyError where it has none for that network."""
        table = read_table() if table is None else table
        mine = table["networks"][table["same"].get(network, network)]
        self.network = network
        self.measures = Measures()
        rows = {name: _Row(name, row) for name, row in mine["shapes"].items()}
        rows.update({mate(name): row.mirrored() for name, row in rows.items() if mate(name) not in rows})
        told = sorted(name for name, row in rows.items() if not row.helper)
        self.names = tuple(told)
        self.unsupported = {side: why for name, why in mine["unsupported"].items() for side in (name, mate(name))}
        order = told + sorted(set(rows) - set(told))
        self._first = np.array([[rows[name].weights.get(m, 0.0) for m in self.measures.names] for name in order])
        self._less = np.array([[rows[name].rivals.get(rival, float(name == rival)) for rival in order] for name in told])
        self._dead, self._gain = (np.array([getattr(rows[name], of) for name in told]) for of in ("dead", "gain"))
        rest = dict(mine["rest"])
        rest.update({mirrored(name)[0]: value * mirrored(name)[1] for name, value in mine["rest"].items()})
        self.rest = np.array([rest.get(name, 0.0) for name in self.measures.names])  # (M,) of a mean face
        self.prior_s = np.array([EYE_PRIOR_S if name.startswith(OF_EYES) else PRIOR_S for name in self.measures.names])

    def answer(self, change: np.ndarray) -> np.ndarray:
        """0..1 for each of `names`, from what Measures.change gives."""
        first = self._first.dot(change)
        np.maximum(first, 0.0, out=first)
        told = (self._less.dot(first) - self._dead) * self._gain
        return np.minimum(np.maximum(told, 0.0, out=told), 1.0, out=told)


class _Row:
    """One shape of the table."""

    def __init__(self, name: str, row: Mapping[str, Any]) -> None:
        self.name, self._row = name, row
        self.weights: Mapping[str, float] = row["measures"]
        self.rivals: Mapping[str, float] = row["rivals"]
        self.dead, self.gain, self.helper = row["dead"], row["gain"], row["class"] == HELPER

    def mirrored(self) -> "_Row":
        weights = {mirrored(m)[0]: mirrored(m)[1] * weight for m, weight in self.weights.items()}
        return _Row(mate(self.name), dict(self._row, measures=weights, rivals={mate(r): w for r, w in self.rivals.items()}))
