"""ARKit's blend shapes from the points: what a face does, against the same face at rest.

The measures of a face less those of the same face at rest, over how far each usually moves, are the input of a network of
one small hidden layer beside a linear map, so small that two matrix products are all it costs: the linear map tells a shape,
the hidden units what takes it back where several move the same points. Then a small gain for the little that pose and noise
tell of a face at rest and a larger one beyond, and the limits 0 and 1. The numbers were fitted to rendered heads with known
coefficients (calibration/shapes) and stand in blendshapes.json for the right side; the left one is its mirror image, exactly.
"""
import json
import os
from typing import Any, Dict, Mapping, Optional

import numpy as np

from edge.face.measures import Measures, mate, mirrored

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "blendshapes.json")
PRIOR_S, EYE_PRIOR_S = 0.05, 1.0  # what the mean face is worth: people differ more than they move at rest, but for these
OF_EYES = ("iris", "lids", "upperLid", "lidFold", "lowerLid", "yaw", "pitch")
WIDEST = 6.0  # of a change over its spread: what lies further is no face


def read_table() -> Dict[str, Any]:
    """What calibration/shapes wrote."""
    with open(TABLE, encoding="utf-8") as f:
        return json.load(f)


class Blendshapes:
    """For one network that gives the points; knows of no face in particular."""

    def __init__(self, network: str, table: Optional[Mapping[str, Any]] = None, coarse: bool = False) -> None:
        """`table`: instead of the installed one. `coarse`: also what the points tell roughly. Raises KeyError where the table
        knows nothing of that network."""
        table = read_table() if table is None else table
        mine = table["networks"][table["same"].get(network, network)]
        self.network = network
        self.measures = Measures()
        pairs = [mirrored(name) for name in self.measures.names]
        there, signs = [self.measures.at[name] for name, _ in pairs], np.array([sign for _, sign in pairs])
        also = mine["coarse"] if coarse else ()
        self.coarse = frozenset(side for name in also for side in (name, mate(name)))
        unsupported = {name: why for name, why in mine["unsupported"].items() if name not in also}
        rows = {name: row for name, row in mine["shapes"].items() if name not in unsupported}
        self.names = tuple(sorted(set(rows) | set(map(mate, rows))))
        self.unsupported = {side: why for name, why in unsupported.items() for side in (name, mate(name))}
        self.unsupported["tongueOut"] = "no network here sees a tongue"
        hidden = np.array(mine["hidden"])
        linear, out = [], []
        for name in self.names:
            row = rows.get(name) or rows[mate(name)]
            weights, units, none = np.array(row["linear"]), np.array(row["hidden"]), np.zeros(len(hidden))
            turned = weights[there] * signs
            if mate(name) == name:
                linear.append((weights + turned) / 2.0)
                out.append(np.concatenate((units, units)) / 2.0)
            else:
                linear.append(weights if name in rows else turned)
                out.append(np.concatenate((units, none) if name in rows else (none, units)))
        self._units = 2 * len(hidden)
        self._first = np.concatenate((hidden, hidden[:, there] * signs, linear))
        self._out, bias = np.array(out), np.concatenate((mine["bias"], mine["bias"]))
        self._bias = np.concatenate((bias, -self._out.dot(np.maximum(bias, 0.0))))  # a face at rest is told exactly 0
        self._low, self._dead, self._gain = (np.array([(rows.get(name) or rows[mate(name)])[of] for name in self.names])
                                             for of in ("low", "dead", "gain"))
        self._per_spread = 1.0 / np.array(mine["spread"])
        self.rest = np.array(mine["rest"])  # (M,) of a mean face
        self.prior_s = np.array([EYE_PRIOR_S if name.startswith(OF_EYES) else PRIOR_S for name in self.measures.names])

    def answer(self, change: np.ndarray) -> np.ndarray:
        """0..1 for each of `names`, from what Measures.change gives."""
        given = change * self._per_spread
        np.minimum(np.maximum(given, -WIDEST, out=given), WIDEST, out=given)
        first = self._first.dot(given)
        first += self._bias
        told = self._out.dot(np.maximum(first[:self._units], 0.0))
        told += first[self._units:]
        small = told * self._low
        told -= self._dead
        told *= self._gain
        np.maximum(told, small, out=told)
        return np.minimum(np.maximum(told, 0.0, out=told), 1.0, out=told)
