"""By which names an engine is known to NANOFACE_SIM_FAULTS, _DEVICE_MS and _ANSWERS.

A graph's own name often says nothing (torch-jit-export), so an engine is also called after the file with the same bytes
in a store of networks: $NANOFACE_SIM_ONNX, $NANOFACE_HOME/onnx or the checkout's engines/onnx.
"""
import hashlib
import json
import os

from . import settings

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))


def names_of(content, graph_name, path=""):
    """The file's name in the store first, then the name of the file that it was parsed from, the graph's, the sha256."""
    digest = hashlib.sha256(content).hexdigest()
    found = [_stored(digest), _stem(path) if path else "", graph_name, digest]
    return [name for number, name in enumerate(found) if name and name not in found[:number]]


def _stored(digest):
    home = os.environ.get("NANOFACE_HOME")
    folders = [settings.text("ONNX"), os.path.join(home, "onnx") if home else "", os.path.join(_ROOT, "engines", "onnx")]
    for folder in folders:
        if folder and os.path.isdir(folder):
            name = _in_index(folder, digest) or _by_content(folder, digest)
            if name:
                return name
    return ""


def _in_index(folder, digest):
    try:
        with open(os.path.join(folder, "index.json"), encoding="utf-8") as f:
            networks = json.load(f)["networks"]
        return next((name for name in sorted(networks) if networks[name].get("sha256") == digest), "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _by_content(folder, digest):
    for name in sorted(os.listdir(folder)):
        if name.endswith(".onnx"):
            with open(os.path.join(folder, name), "rb") as f:
                if hashlib.sha256(f.read()).hexdigest() == digest:
                    return _stem(name)
    return ""


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0]
