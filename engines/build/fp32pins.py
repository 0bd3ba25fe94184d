"""Which layers of a network stay in FP32: what `nanoface calibrate fp16` found, here or where the project was made.

The lists name nodes of the ONNX. TensorRT's parser names a layer after its node, and a second layer of the same node with
a number behind (onnx-tensorrt 8.2, ImporterContext.hpp: generateUniqueName), so that the nodes' own names must be known to
tell "conv" + "_1" from "conv_1".
"""
import os
import re
from typing import Any, Dict, FrozenSet, NamedTuple, Optional, Sequence, Tuple

from edge.host import commands
from edge.core.errors import EngineError
from edge.store.models import StoredNetwork
from edge.store.plans import read_object

FILE = "fp16.json"
SCHEMA = 1
SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), FILE)


class Pins(NamedTuple):
    """`whole`: the network is built in FP32 altogether. `note`: a line for the user, "" where nothing is to be said."""

    layers: Tuple[str, ...] = ()
    whole: bool = False
    note: str = ""


def pins_of(home: str, stored: StoredNetwork, shipped: str = SHIPPED) -> Pins:
    """The home's list before the shipped one; a list of another version of the network counts as none.

    Raises EngineError for a file that is damaged.
    """
    outdated = False
    for path in (os.path.join(home, FILE), shipped):
        entry = _entry(path, stored.name)
        if entry is None:
            continue
        if entry.get("onnx_sha256") == stored.sha256:
            return Pins(tuple(sorted(set(entry["fp32_layers"]))), bool(entry.get("whole")))
        outdated = True
    if outdated:
        return Pins(note="{}: the list of layers to keep in FP32 is of another version of it and is left aside: "
                         "`{}` makes a new one".format(stored.name, commands.command("calibrate fp16 --write")))
    return Pins()


def _cure() -> str:
    return "delete it, or " + commands.run("calibrate fp16 --write")


def _entry(path: str, name: str) -> Optional[Dict[str, Any]]:
    content = read_object(path, _cure())
    if content is None:
        return None
    networks = content.get("networks") if content.get("schema") == SCHEMA else None
    if not isinstance(networks, dict):
        raise EngineError("{} is damaged: {}".format(path, _cure()))
    entry = networks.get(name)
    if entry is None:
        return None
    layers = entry.get("fp32_layers") if isinstance(entry, dict) else None
    if not isinstance(layers, list) or not all(isinstance(layer, str) for layer in layers):
        raise EngineError("the entry of {} in {} is damaged: {}".format(name, path, _cure()))
    return dict(entry)


def pinned(layer: str, pins: Sequence[str], nodes: FrozenSet[str]) -> str:
    """The pin that a layer of the parsed network falls under; "" where none."""
    if layer in pins:
        return layer
    numbered = re.match(r"(.+)_[0-9]+\Z", layer)
    return numbered.group(1) if numbered and numbered.group(1) in pins and layer not in nodes else ""
