"""The record as an output tells it that sends whole records: without what it did not ask for, and with lists."""
from typing import Any, Dict, Mapping

import numpy as np

from edge.core.parts import Parts
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.record import NAMES_OF_SHAPES

POINTS = ("landmarks", "eye_contours")


def parts_of(spec: OutputSpec, options: OutputOptions) -> Parts:
    """Shapes and events are told unless the address says otherwise."""
    return Parts(options.landmarks, spec.keys.get("shapes", True), spec.keys.get("events", True))


def told(record: Mapping[str, Any], parts: Parts) -> Dict[str, Any]:
    """Of a frame, without "events". Another output may have asked for more."""
    found = {key: value for key, value in record.items() if key != "events"}
    if "faces" in found:
        found["faces"] = [_face(face, parts) for face in found["faces"]]
    return found


def _face(face: Mapping[str, Any], parts: Parts) -> Dict[str, Any]:
    found = {key: _plain(value) for key, value in face.items() if parts.landmarks or key not in POINTS}
    if not parts.shapes and "expression" in found:
        found["expression"] = {name: value for name, value in found["expression"].items() if name not in NAMES_OF_SHAPES}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else value
