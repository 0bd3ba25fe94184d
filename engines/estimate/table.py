"""layers.json: the layers of every network of the manifest, so that an estimate needs no onnx.

onnx does not work beside JetPack's numpy. `python -m calibration.estimate.freeze` writes the table from the fetched networks.
"""
import os
from typing import Any, Dict, List, Optional

from edge.core.errors import ConfigError, ModelError
from edge.host import commands
from edge.store.models import cure, locate, read_index
from engines.estimate.fitted import frozen
from engines.estimate.layers import Layer, layers_of
from engines.manifest.read import read_manifest

SCHEMA = 1
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers.json")


def stored() -> Dict[str, Dict[str, Any]]:
    """Network -> {onnx_sha256, layers}. Raises ModelError."""
    networks: Dict[str, Dict[str, Any]] = frozen(TABLE, SCHEMA)["networks"]
    return networks


def layers_for(home: str, name: str) -> List[Layer]:
    """Of the fetched network where it is another than the table's and onnx is there to read it; else the table's.

    Raises ModelError where neither has it, ConfigError where there is no such network. A network that was converted
    anew and cannot be read here is taken to be the table's: that changes its weights, hardly ever its layers.
    """
    entry = stored().get(name)
    fetched = read_index(home).get(name)
    if fetched is not None and (entry is None or fetched.get("sha256") != entry["onnx_sha256"]):
        found = _read(home, name)
        if found is not None:
            return found
    if entry is None:
        if read_manifest().network(name).is_asset:
            raise ConfigError("{} is no network: `{}` names those that are".format(name, commands.command("models list")))
        raise ModelError("the layers of {} are not known: {}".format(name, cure(name)))
    return [Layer(*row) for row in entry["layers"]]


def _read(home: str, name: str) -> Optional[List[Layer]]:
    try:
        import onnx
    except ImportError:
        return None
    return layers_of(onnx.load(locate(home, name).file))
