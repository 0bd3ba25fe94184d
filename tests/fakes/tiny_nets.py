"""A manifest of tiny files, a mirror and a wheel with them, and a converter that only pretends."""
import copy
import hashlib
import os
import zipfile
from types import SimpleNamespace

import yaml

from engines.manifest.read import read_manifest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WHEEL = "tinywheel==1.0"
PLATFORM = "manylinux_2_28_x86_64"

# place in a mirror -> content
FILES = {
    "github/acme/nets/weights/sharp.bin": b"sharp" * 1000,
    "github/acme/nets/weights/sharp.json": b'{"nodes": []}',
    "pip/tinywheel==1.0/tinywheel/nets/plain.bin": b"plain" * 2000,
    "pip/tinywheel==1.0/tinywheel/nets/mesh.bin": b"mesh" * 3000,
    "github/acme/nets/weights/pose.bin": b"pose" * 500,
    "github/acme/nets/head.obj": b"v 0 0 0\n",
}
NETWORKS = {  # name: role, places, kind of converter
    "sharp": ("detect", ["github/acme/nets/weights/sharp.bin", "github/acme/nets/weights/sharp.json"], "mxnet"),
    "plain": ("detect", ["pip/tinywheel==1.0/tinywheel/nets/plain.bin"], "tflite"),
    "mesh": ("align", ["pip/tinywheel==1.0/tinywheel/nets/mesh.bin"], "tflite"),
    "pose": ("pose", ["github/acme/nets/weights/pose.bin"], "mb05"),
    "iris": ("iris", ["pip/tinywheel==1.0/tinywheel/nets/mesh.bin"], "tflite"),
    "head": ("geometry", ["github/acme/nets/head.obj"], "canonical_face"),
}
ROLES = {
    "detect": {"candidates": ["sharp", "plain"]},
    "align": {"candidates": ["mesh"]},
    "pose": {"candidates": ["pose"], "without": "the pose will come from the mesh"},
    "iris": {"candidates": ["iris"], "without": "there will be no irises"},
    "geometry": {"candidates": ["head"], "without": "another head will be used"},
}


def _source(place):
    kind, rest = place.split("/", 1)
    parts = rest.split("/")
    if kind == "github":
        value = "{}/{}@{}:{}".format(parts[0], parts[1], COMMIT, "/".join(parts[2:]))
    else:
        value = "{}:{}".format(parts[0], "/".join(parts[1:]))
    return {kind: value, "sha256": hashlib.sha256(FILES[place]).hexdigest(), "size": len(FILES[place])}


def content():
    """The manifest as plain data, for a test to change."""
    networks = {}
    for name, (role, places, kind) in NETWORKS.items():
        networks[name] = {
            "role": role, "sources": [_source(place) for place in places], "licence": {"spdx": "MIT"},
            "outputs": {"points": [1, 4]}, "decode": {}, "convert": {"kind": kind}}
        if kind != "canonical_face":
            networks[name]["input"] = {"shape": [1, 3, 8, 8], "colour": "rgb", "scale": 1.0, "offset": [0, 0, 0]}
    wheels = {WHEEL: {"platform": PLATFORM, "python": "3.11", "implementation": "cp", "size": 40000}}
    return {"schema": 1, "wheels": wheels, "roles": copy.deepcopy(ROLES), "networks": networks}


def write_manifest(path, data=None):
    path.write_text(yaml.safe_dump(content() if data is None else data))
    return str(path)


def tiny_manifest(tmp_path, **roles):
    """`roles`: network -> those that it has instead of its one."""
    data = content()
    for name, several in roles.items():
        del data["networks"][name]["role"]
        data["networks"][name]["roles"] = several
    return read_manifest(write_manifest(tmp_path / "tiny.yaml", data))


def write_mirror(folder, places=tuple(FILES)):
    for place in places:
        path = os.path.join(str(folder), *place.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(FILES[place])
    return str(folder)


def write_wheel(folder, without=()):
    """A wheel with the files of the manifest and one more. Returns its path."""
    path = os.path.join(str(folder), "tinywheel-1.0-cp311-cp311-{}.whl".format(PLATFORM))
    info = "tinywheel-1.0.dist-info/"
    with zipfile.ZipFile(path, "w") as archive:
        for place, data in FILES.items():
            if place.startswith("pip/") and place not in without:
                archive.writestr(place.split("/", 2)[2], data)
        archive.writestr("tinywheel/other.bin", b"not wanted")
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: tinywheel\nVersion: 1.0\n")
        tag = "cp311-cp311-" + PLATFORM
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {}\n".format(tag))
        archive.writestr(info + "RECORD", "")
    return path


class PretendConverter:
    """Stands in for engines.convert and the linter, keeps its `calls` and what was `linted`. A test may change `shapes` (of
    outputs), `variant`, `error`, `faults`.
    """

    def __init__(self):
        self.calls, self.linted, self.faults = [], [], []
        self.shapes = {"points": (1, 4)}
        self.variant = True
        self.error = None

    @staticmethod
    def _value(name, shape):
        dims = [SimpleNamespace(dim_value=n) for n in shape]
        tensor = SimpleNamespace(shape=SimpleNamespace(dim=dims))
        return SimpleNamespace(name=name, type=SimpleNamespace(tensor_type=tensor))

    def convert(self, kind, files, options):
        self.calls.append(kind)
        if self.error is not None:
            raise self.error
        data = b"".join(open(f, "rb").read() for f in files)
        graph = SimpleNamespace(
            input=[self._value("input", (1, 3, 8, 8))], output=[self._value(n, s) for n, s in self.shapes.items()])
        return SimpleNamespace(graph=graph, data=b"onnx:" + data)

    def cpu_variant(self, model):
        return SimpleNamespace(data=b"cpu:" + model.data) if self.variant else None

    @staticmethod
    def serialise(model):
        return model.data

    @staticmethod
    def decode_numbers(kind, files):
        return {"mean": [0.1, 2e-17], "std": [1.0, 3.0]} if kind == "mb05" else {}

    def lint_file(self, path):
        self.linted.append(os.path.basename(path))
        return {"faults": self.faults, "nodes": ["node"]}

    def canonical_face(self, files):
        self.calls.append("canonical_face")
        return b"table:" + open(files[0], "rb").read()

    @staticmethod
    def canonical_mesh(files):
        return b"surface:" + open(files[0], "rb").read()

    def install(self, monkeypatch):
        for name in ("convert", "cpu_variant", "serialise", "decode_numbers", "canonical_face", "canonical_mesh"):
            monkeypatch.setattr("engines.convert." + name, getattr(self, name))
        monkeypatch.setattr("engines.fetch.store.lint_file", self.lint_file)
        return self


def no_network(monkeypatch):
    """GitHub answers nobody and no package index is there; pip and the sockets are real."""
    import socket
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr("engines.fetch.web.RAW", "http://127.0.0.1:%d/{origin}/{commit}/{path}" % port)
    index_of(monkeypatch, None)


def index_of(monkeypatch, folder):
    """Make pip see the wheels in `folder` and nothing else."""
    for name in [n for n in os.environ if n.upper().startswith("PIP_") or n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    if folder is not None:
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("NANOFACE_MIRROR", raising=False)


def files_below(folder):
    """Relative path -> content of every file but the lock."""
    found = {}
    for root, _, names in os.walk(str(folder)):
        for name in names:
            if name != ".lock":
                path = os.path.join(root, name)
                with open(path, "rb") as f:
                    found[os.path.relpath(path, str(folder)).replace(os.sep, "/")] = f.read()
    return found
