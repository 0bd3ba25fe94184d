"""What the environment asks of the simulator. Read at each use, so that a test can change it within one process."""
import json
import os
from collections import namedtuple

PREFIX = "NANOFACE_SIM_"
DEFAULT_GPU, DEFAULT_CC, DEFAULT_VERSION, DEFAULT_MEMORY_MB = "NVIDIA Tegra X1", "5.3", "8.2.1.8", 3964
# milliseconds for which TensorRT 8.2 keeps the interpreter lock; on a Nano these are seconds
DEFAULT_HELD_MS = {"first": 40.0, "runtime": 2.0, "builder": 2.0, "context": 20.0, "serialize": 5.0, "supports_model": 5.0}

Board = namedtuple("Board", "gpu compute_capability tensorrt memory_bytes")
_parsed = {}  # name -> (bytes, what it says); parsing anew costs more than the call it belongs to


# where os.environ keeps its bytes: asking itself takes 2 us, more than the call it is for
_raw = os.environ._data
_keys = {}


def text(name, default=""):
    key = _keys.get(name)
    if key is None:
        key = _keys[name] = os.environ.encodekey(PREFIX + name)
    value = _raw.get(key)
    return os.fsdecode(value) if value else default


def table(name):
    """A JSON object of the environment; an empty one where it is not set."""
    key = _keys.get(name)
    if key is None:
        key = _keys[name] = os.environ.encodekey(PREFIX + name)
    raw = _raw.get(key)
    found = _parsed.get(name)
    if found is None or found[0] != raw:
        content = json.loads(os.fsdecode(raw)) if raw else {}
        if not isinstance(content, dict):
            raise ValueError("{}{} of the simulator must be a JSON object, not {}".format(PREFIX, name, raw))
        found = _parsed[name] = (raw, content)
    return found[1]


def board():
    major, minor = text("CC", DEFAULT_CC).split(".")
    memory_mb = float(text("MEMORY_MB", str(DEFAULT_MEMORY_MB)))
    return Board(text("GPU", DEFAULT_GPU), (int(major), int(minor)), text("TENSORRT", DEFAULT_VERSION),
                 int(memory_mb * 1048576))


def fault(name, names=()):
    """What NANOFACE_SIM_FAULTS says of a fault: None, a number, or True. A list or object picks engines by name."""
    faults = table("FAULTS")
    if not faults:
        return None
    value = faults.get(name)
    if isinstance(value, dict):
        return by_name(value, names)
    if isinstance(value, (list, tuple)):
        return True if any(n in value for n in names) else None
    if isinstance(value, str):
        return True if value in names or value == "*" else None
    return None if value is False else value


def by_name(values, names, default=None):
    """The value of the first of an engine's names that is listed, else that of "*"."""
    for name in names:
        if name in values:
            return values[name]
    return values.get("*", default)


def device_s(names):
    """Modelled seconds of one execution of the engine (or launch of the kernel); 0 where it is computed and measured."""
    values = table("DEVICE_MS")
    return float(by_name(values, names, 0.0)) / 1000.0 if values else 0.0


def held_s(call):
    return float(table("HELD_MS").get(call, DEFAULT_HELD_MS[call])) / 1000.0
