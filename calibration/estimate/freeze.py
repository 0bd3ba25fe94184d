"""`python -m calibration.estimate.freeze` writes the tables that an estimate reads: fitted.json and layers.json.

fitted.json is the model fitted to published.yaml, layers.json the kernels of every network of the manifest, read from the
fetched networks: neither the rebuilt networks nor onnx (which does not work beside JetPack's numpy) are needed later.
"""
import json
import sys
from typing import Any, Dict

from calibration.estimate.fit import fit, leave_one_out, prepared, published, rounded, rows_of
from calibration.estimate.networks import NETWORKS
from edge.core.errors import EdgeError
from edge.host.disk import write_whole
from edge.store.models import home_dir, locate
from engines.estimate import fitted, table
from engines.estimate.kernels import device_ms
from engines.estimate.layers import layers_of
from engines.manifest.read import read_manifest


def fitted_now() -> Dict[str, Any]:
    """What fitted.json is to hold."""
    content = published()
    every = rows_of(content)
    rows = [row for row in every if row.fit]
    works, classes = prepared(rows)
    p = rounded(fit(rows, works, classes))
    others = [{"network": row.network, "ms": row.ms, "model_ms": round(device_ms(p, NETWORKS[row.network]()), 3)}
              for row in every if not row.fit and row.device == "Nano"]
    return {"schema": fitted.SCHEMA, "parameters": p._asdict(), "not_fitted": others,
            "left_out": [out._asdict() for out, _ in leave_one_out(rows, works, classes)],
            "not_rebuilt": content["not_rebuilt"], "dlvyf": content["dlvyf"]}


def layers_now(home: str) -> Dict[str, Any]:
    """What layers.json is to hold. Raises ModelError for a network that was not fetched."""
    import onnx
    networks = {}
    for name, network in read_manifest().networks.items():
        if not network.is_asset:
            found = locate(home, name)
            layers = layers_of(onnx.load(found.file))
            networks[name] = {"onnx_sha256": found.sha256, "layers": [list(layer) for layer in layers]}
    return {"schema": table.SCHEMA, "networks": networks}


def layers_text(content: Dict[str, Any]) -> str:
    """One layer a line, so that a change can be read."""
    blocks = []
    for name, entry in sorted(content["networks"].items()):
        rows = ",\n".join(json.dumps(row) for row in entry["layers"])
        blocks.append('{}: {{"onnx_sha256": {}, "layers": [\n{}]}}'.format(
            json.dumps(name), json.dumps(entry["onnx_sha256"]), rows))
    return '{{"schema": {}, "networks": {{\n{}\n}}}}\n'.format(content["schema"], ",\n".join(blocks))


def main() -> int:
    try:
        layers = layers_text(layers_now(home_dir()))
    except EdgeError as e:
        print(e, file=sys.stderr)
        return 1
    text = json.dumps(fitted_now(), indent=1, sort_keys=True) + "\n"
    write_whole(fitted.FITTED, text.encode("utf-8"))
    write_whole(table.TABLE, layers.encode("utf-8"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
