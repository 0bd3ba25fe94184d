"""The code of the crop kernel that `nanoface build` compiled on this board: plans/crop.cubin, and a sidecar with the source's
hash and the GPU's architecture. A cubin runs on GPUs of its own architecture only.
"""
import hashlib
import os
from typing import Any, Dict

from edge.core.errors import EngineError
from edge.host import commands
from edge.host.process import CODE
from edge.host.safeopen import open_read
from edge.store.plans import CUBIN, CUBIN_SIDECAR, plans_dir, read_object

SCHEMA = 1
SOURCE = "crop.cu"


def read_cubin(home: str, compute_capability: str) -> bytes:
    """The stored code for GPUs of `compute_capability` ("5.3"), checked. Raises EngineError, whose text is the cure."""
    path, sidecar = os.path.join(plans_dir(home), CUBIN), _sidecar(os.path.join(plans_dir(home), CUBIN_SIDECAR))
    if sidecar["arch"] != arch(compute_capability):
        raise EngineError("{} was built for {}, the GPU here is {}: {}".format(
            path, sidecar["arch"], arch(compute_capability), _cure()))
    if sidecar["source_sha256"] != source_sha256():
        raise EngineError("{} was built of another version of {}: {}".format(path, SOURCE, _cure()))
    try:
        with os.fdopen(open_read(path), "rb") as f:
            cubin = f.read()
    except OSError as e:
        raise EngineError("{} cannot be read ({}): {}".format(path, e.strerror or e, _cure())) from e
    if (len(cubin), hashlib.sha256(cubin).hexdigest()) != (sidecar["size"], sidecar["sha256"]):
        raise EngineError("{} is not what was built, it was cut short or altered: {}".format(path, _cure()))
    return cubin


def arch(compute_capability: str) -> str:
    """What nvcc calls it: "5.3" -> sm_53."""
    return "sm_" + compute_capability.replace(".", "")


def source_path() -> str:
    return os.path.join(CODE, "edge", "runtimes", "gpu", SOURCE)


def source_sha256() -> str:
    """Of the source of this version. Raises EngineError where it was not installed with it."""
    try:
        with open(source_path(), "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()
    except OSError as e:
        raise EngineError("{} cannot be read ({}): install nanoface again".format(
            source_path(), e.strerror or e)) from e


def _sidecar(path: str) -> Dict[str, Any]:
    sidecar = read_object(path, _cure())
    if sidecar is None:
        raise EngineError("the crop kernel was not built for this board: {}".format(_cure()))
    if sidecar.get("schema") != SCHEMA or not all(
            isinstance(sidecar.get(key), kind) for key, kind in
            (("sha256", str), ("size", int), ("source_sha256", str), ("arch", str))):
        raise EngineError("{} is damaged: {}".format(path, _cure()))
    return sidecar


def _cure() -> str:
    return commands.run("build")
