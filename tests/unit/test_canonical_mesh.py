"""The stored surface of the canonical face: read whole, or refused with one line that names the cure."""
import hashlib
import json

import numpy as np
import pytest

from edge.core.errors import ModelError
from edge.store.canonical import SURFACE, read_mesh

CURE = "models fetch"


def stored(tmp_path, table, **entry):
    folder = tmp_path / "onnx"
    folder.mkdir()
    path = folder / "canonical_face.mesh.npy"
    np.save(str(path), table)
    entry = dict({"file": "x", "sha256": "x", "mesh_file": path.name,
                  "mesh_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}, **entry)
    (folder / "index.json").write_text(json.dumps({"schema": 1, "networks": {"canonical_face": entry}}))
    return str(tmp_path)


def surface(corner=467):
    table = np.zeros((), SURFACE)
    table["triangles"][0] = (0, 1, corner)
    table["uv"][5] = (0.25, 0.75)
    return table


def test_a_stored_surface_is_read(tmp_path):
    mesh = read_mesh(stored(tmp_path, surface()))
    assert mesh.triangles[0].tolist() == [0, 1, 467] and mesh.uv[5].tolist() == [0.25, 0.75]
    assert mesh.points.shape == (468, 3)


@pytest.mark.parametrize("table, entry, line", [
    (surface(468), {}, "is not the canonical face's surface: delete it and"),
    (surface(-1), {}, "is not the canonical face's surface"),
    (np.zeros((468, 4), "<f4"), {}, "is not the canonical face's surface"),
    (surface(), {"mesh_sha256": "0" * 64}, "is corrupt"),
    (surface(), {"mesh_file": "../../gone.npy"}, "cannot be read"),
    (surface(), {"mesh_file": None}, "the canonical face's triangles are not in"),
], ids=["no such vertex", "below nought", "of an older kind", "changed", "outside", "made before there were any"])
def test_a_surface_that_is_not_one_is_refused_with_the_cure(tmp_path, table, entry, line):
    with pytest.raises(ModelError, match=line) as caught:
        read_mesh(stored(tmp_path, table, **entry))
    assert CURE in str(caught.value) and "\n" not in str(caught.value)


def test_a_store_without_the_canonical_face_names_the_cure(tmp_path):
    with pytest.raises(ModelError, match="models fetch canonical_face"):
        read_mesh(str(tmp_path))
