"""Faces that were recorded, for who wants no more than some of their parts: what edge.outputs.record made of them then."""
from typing import AbstractSet, Any, Dict, List, Sequence

from edge.core.packet import Eyes
from edge.core.parts import SHAPES, Parts

NOT_FINITE = "not finite"
NOT_MEASURED = "not measured"  # the stage that would have filled it in is not there, or gave no reason
NAMES_OF_SHAPES = frozenset(SHAPES)
OF_THE_ENCODER = (NOT_FINITE, NOT_MEASURED)  # reasons that it gives itself, for what is asked for
POINTS = ("landmarks", "eye_contours")
OF_POINTS = frozenset(POINTS + tuple("eye_contours." + side for side in Eyes._fields))
OF_EXPRESSION = "expression."  # before the name of a part
Face = Dict[str, Any]


def replayed(faces: Sequence[Face], parts: Parts, hidden: AbstractSet[str], as_lists: bool) -> List[Face]:
    """New ones; `faces` has every part, with arrays of points, and stays as it is. `hidden`: shapes that are not wanted."""
    return [_face(face, parts, hidden, as_lists) for face in faces]


def _face(face: Face, parts: Parts, hidden: AbstractSet[str], as_lists: bool) -> Face:
    told = dict(face)
    if not parts.landmarks:
        for name in POINTS:
            told.pop(name, None)
    elif as_lists:
        told.update((name, _lists(told[name])) for name in POINTS if name in told)
    if hidden and "expression" in told:
        told["expression"] = {name: value for name, value in told["expression"].items() if name not in hidden}
    told["missing"] = {name: reason for name, reason in face.get("missing", {}).items() if not (
        not parts.landmarks and name in OF_POINTS and reason in OF_THE_ENCODER
        or name in hidden or name.partition(OF_EXPRESSION)[2] in hidden and reason in OF_THE_ENCODER)}
    return told


def _lists(points: Any) -> Any:
    return {side: each.tolist() for side, each in points.items()} if isinstance(points, dict) else points.tolist()
