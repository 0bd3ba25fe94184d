"""Stored inputs of a network and ONNX Runtime's answers to them: what any other runtime is compared with.

`onnx/<name>.reference.npz` is made where ONNX Runtime is installed, beside the conversion, and read with numpy alone: on a
board with JetPack's numpy there is no ONNX Runtime. Entries: `about` (JSON text), and for case i `i/pixels` (N, H, W, 3 uint8
in the network's colours, so that no decoder of pictures is involved) and `i/out/<output>` (float32).
"""
import io
import json
import os
from importlib.util import find_spec
from typing import Any, Dict, List, Mapping, NamedTuple

import numpy as np

from edge.core.errors import EdgeError, ModelError
from edge.core.roles import ONNXRUNTIME
from edge.host.disk import write_whole
from edge.host.reading import parse_json, reason
from edge.store.models import StoredNetwork, locate, onnx_dir, read_index
from edge.store.models import cure as fetch
from engines.manifest.entries import Input
from engines.manifest.read import read_manifest
from engines.verify import stills
from engines.verify.agreement import quantities_of
from engines.zipreading import DAMAGE, open_npz

SCHEMA = 1


class Case(NamedTuple):
    """One input and what ONNX Runtime makes of it, by the names of the network's tensors; all float32."""

    feeds: Dict[str, np.ndarray]
    outputs: Dict[str, np.ndarray]


def path_of(home: str, name: str) -> str:
    return os.path.join(onnx_dir(home), name + ".reference.npz")


def cases(home: str, name: str) -> List[Case]:
    """The stored cases of a network. Raises ModelError where there are none, or those of another version of it."""
    entry = read_index(home).get(name)
    sha256 = str(entry.get("sha256")) if isinstance(entry, dict) else ""
    path = path_of(home, name)
    cure = "{} where ONNX Runtime is installed".format(fetch(name))
    try:
        with open_npz(path) as archive:
            about = _about(archive)
            if about.get("schema") != SCHEMA or about.get("sha256") != sha256:
                raise ModelError("{} is of another version of {}: {}".format(path, name, cure))
            return [_case(archive, number, about) for number in range(about["cases"])]
    except FileNotFoundError:
        raise ModelError("there are no stored answers to compare {} with ({}): {}".format(name, path, cure))
    except DAMAGE as e:
        raise ModelError("{} cannot be read ({}): {}".format(path, reason(e), cure)) from e


def make(home: str, name: str) -> bool:
    """Run a stored network in ONNX Runtime on its inputs and keep the answers; False for what is no network.

    Raises EngineError without ONNX Runtime, ModelError for a network that it cannot run, StorageError.
    """
    network = read_manifest().networks.get(name)
    if network is None or network.input is None:
        return False
    stored = locate(home, name)
    quantities_of(stored, {})
    pixels = stills.crops(stored.role, name)
    about = {"schema": SCHEMA, "sha256": stored.sha256, "runtime": "", "input": "", "cases": len(pixels),
             "scale": network.input.scale, "offset": list(network.input.offset)}
    arrays: Dict[str, np.ndarray] = {}
    runner = _onnx_runner(stored)
    runner.open()
    try:
        about["runtime"], about["input"] = runner.backend, runner.inputs[0].name
        for number, batch in enumerate(pixels):
            arrays["{}/pixels".format(number)] = batch
            answer = runner.infer({runner.inputs[0].name: feed_of(batch, network.input)})
            arrays.update(("{}/out/{}".format(number, output), values.copy()) for output, values in answer.items())
    finally:
        runner.close()
    content = io.BytesIO()
    np.savez_compressed(content, about=np.array(json.dumps(about, sort_keys=True)), **arrays)  # type: ignore
    write_whole(path_of(home, name), content.getvalue())
    return True


def keep_current(home: str, name: str) -> None:
    """Make the cases of a network anew unless they are those of its present version. Does nothing where that cannot be
    done: a comparison then reports why.
    """
    if find_spec(ONNXRUNTIME) is None or _is_current(home, name):
        return
    try:
        make(home, name)
    except EdgeError:
        return


def current_cases(home: str, name: str) -> List[Case]:
    """The stored cases, made first where that is needed and ONNX Runtime is installed. Raises ModelError."""
    if find_spec(ONNXRUNTIME) is not None and not _is_current(home, name):
        make(home, name)
    return cases(home, name)


def feed_of(pixels: np.ndarray, look: Input) -> np.ndarray:
    """(N, 3, H, W) float32, contiguous, from (N, H, W, 3) uint8: value = pixel * scale + offset."""
    values = pixels.transpose(0, 3, 1, 2) * np.float32(look.scale)
    return np.ascontiguousarray(values + np.array(look.offset, np.float32).reshape(3, 1, 1))


def _is_current(home: str, name: str) -> bool:
    """Without reading the pictures: `about` alone."""
    try:
        with open_npz(path_of(home, name)) as archive:
            about = _about(archive)
        return about.get("schema") == SCHEMA and about.get("sha256") == read_index(home)[name]["sha256"]
    except DAMAGE + (EdgeError,):
        return False


def _about(archive: Any) -> Dict[str, Any]:
    about = parse_json(str(archive["about"]).encode("utf-8"))
    if not isinstance(about, dict):
        raise ValueError("it has no description")
    return about


def _case(archive: Any, number: int, about: Mapping[str, Any]) -> Case:
    pixels, start = archive["{}/pixels".format(number)], "{}/out/".format(number)
    look = Input(pixels.shape, "", float(about["scale"]), tuple(about["offset"]))
    outputs = {name[len(start):]: archive[name] for name in archive.files if name.startswith(start)}
    return Case({about["input"]: feed_of(pixels, look)}, outputs)


def _onnx_runner(stored: StoredNetwork) -> Any:
    """On the file that plans are built of, not on what the CPU runtimes make of it: so that is verified as well."""
    from edge.runtimes.cpu.onnx import OnnxRunner
    return OnnxRunner(stored._replace(cpu_file=stored.file))
