"""The face of one person at rest: what a capture measures, and what it makes of many frames."""
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.core.packet import POINTS
from edge.face.eyes import CLOSED_SHARE
from edge.geometry.rotation import distance_deg, nearest

Angles = Tuple[float, float]  # (yaw, pitch) in degrees in the head frame
LARGEST = 120.0  # degrees or millimetres of an eye
FARTHEST_MM = 1000.0  # of a point of a face from the middle of its head
Sides = Tuple[Optional[Angles], Optional[Angles]]  # of the subject's right and left eye
Place = Tuple[float, float, float]
Places = Tuple[Optional[Place], Optional[Place]]


class Neutral(NamedTuple):
    """A profile."""

    name: str
    network: str  # that gave the points
    still: np.ndarray  # (468, 3) as still_points() has them
    lids: Tuple[Angles, Angles]  # (open, closed) of the right, of the left eye: lid distance over eye width
    gaze: Sides  # of each eye while it looks into the lens, as measured; None where no iris was seen
    rotation: np.ndarray  # (3, 3) of the resting head
    lens: Sides = (None, None)  # where the lens then was, as seen by each eye: what `gaze` would be without an error
    irises: Places = (None, None)  # where each iris lies among the still points, mm
    turn: Angles = (0.0, 0.0)  # of the head as seen along its own line of sight: that of the points' placement


class Signals(NamedTuple):
    """What one frame tells of one face; nothing of it is smoothed or learned."""

    face: int  # track id
    score: float
    light: float  # mean of the pixels of its box, 0..255
    rotation: Any = None  # (3, 3), None where it is not known
    place_mm: Optional[Tuple[float, float, float]] = None
    still: Any = None  # (468, 3), None where it is not known
    lids: Tuple[Optional[float], Optional[float]] = (None, None)
    looks: Sides = (None, None)
    lens: Sides = (None, None)
    mouth: float = 0.0  # 0..1
    irises: Places = (None, None)
    turn: Angles = (0.0, 0.0)


class Taken(NamedTuple):
    """The result of a capture."""

    neutral: Neutral
    frames: int
    seconds: float
    spread_mm: float  # root mean square distance of a frame's points from the mean face
    turned_deg: float  # the same of the head's rotations


def neutral_of(name: str, network: str, taken: Sequence[Signals], shut: Sequence[Signals], seconds: float) -> Taken:
    """Medians over `taken`, all of them with points and rotation; `shut`: frames of blinks, which show the closed eyes."""
    points = np.array([signals.still for signals in taken])
    still = np.median(points, axis=0)
    rotation = nearest(np.sum([signals.rotation for signals in taken], axis=0))
    lids = [_lids(taken, shut, i) for i in (0, 1)]
    gaze, lens, irises = (tuple(_middle([getattr(signals, what)[i] for signals in taken]) for i in (0, 1))
                          for what in ("looks", "lens", "irises"))
    turn = _middle([signals.turn for signals in taken])
    neutral = Neutral(name, network, still, (lids[0], lids[1]), gaze, rotation, lens, irises, turn)
    turned = [distance_deg(rotation, signals.rotation) for signals in taken]
    spread_mm = float(np.sqrt(((points - still) ** 2).sum(axis=2).mean()))
    return Taken(neutral, len(taken), seconds, spread_mm, float(np.sqrt(np.mean(np.square(turned)))))


def _lids(taken: Sequence[Signals], shut: Sequence[Signals], i: int) -> Angles:
    """The closed level is known only where the person has blinked; it never lies near the open one."""
    opened = float(np.median([signals.lids[i] for signals in taken]))
    usual = CLOSED_SHARE * opened
    return opened, min([usual] + [lids for lids in (signals.lids[i] for signals in shut) if lids is not None])


def _middle(seen: Sequence[Optional[Tuple[float, ...]]]) -> Any:
    """The median of some numbers; None where fewer than half of the frames have them."""
    known = [found for found in seen if found is not None]
    if not known or len(known) < len(seen) / 2:
        return None
    return tuple(np.median(known, axis=0).tolist())


def facts_of(taken: Taken) -> Dict[str, Any]:
    """What a profile's file has of it: plain numbers, lists and texts."""
    neutral = taken.neutral
    return {"network": neutral.network, "frames": taken.frames, "seconds": round(taken.seconds, 2),
            "spread_mm": round(taken.spread_mm, 3), "turned_deg": round(taken.turned_deg, 3),
            "still": np.round(neutral.still, 3).tolist(), "rotation": np.round(neutral.rotation, 6).tolist(),
            "lids": np.round(neutral.lids, 5).tolist(), "turn": np.round(neutral.turn, 3).tolist(),
            **{what: [None if eye is None else np.round(eye, 3).tolist() for eye in getattr(neutral, what)]
               for what in ("gaze", "lens", "irises")}}


def of_facts(facts: Mapping[str, Any]) -> Neutral:
    """Raises ValueError that names what cannot be."""
    network = facts.get("network")
    if not isinstance(network, str) or not network:
        raise ValueError("its network is no text")
    still, rotation = _array(facts, "still", (POINTS, 3)), _array(facts, "rotation", (3, 3))
    lids = _array(facts, "lids", (2, 2))
    if np.abs(still).max() > FARTHEST_MM or np.ptp(still, axis=0).min() < 1.0:
        raise ValueError("its points are no face")
    if np.abs(rotation.dot(rotation.T) - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0.0:
        raise ValueError("its rotation is none")
    if lids.min() < 0.0 or lids.max() > 1.0 or not (lids[:, 0] > lids[:, 1]).all():
        raise ValueError("its eyelids are none")
    (right, left) = lids.tolist()
    return Neutral(str(facts.get("name")), network, still, ((right[0], right[1]), (left[0], left[1])),
                   _sides(facts, "gaze", 2), rotation, _sides(facts, "lens", 2), _sides(facts, "irises", 3),
                   tuple(_array(facts, "turn", (2,)).tolist()))  # type: ignore[arg-type]


def _array(facts: Mapping[str, Any], key: str, shape: Tuple[int, ...]) -> np.ndarray:
    try:
        found = np.array(facts.get(key), np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.zeros(0)
    if found.shape != shape or not np.isfinite(found).all():
        raise ValueError("its {} is not {} numbers".format(key, " x ".join(map(str, shape))))
    return found


def _sides(facts: Mapping[str, Any], key: str, count: int) -> Any:
    """So many numbers for each eye, or None."""
    found = facts.get(key)
    if not isinstance(found, list) or len(found) != 2:
        raise ValueError("its {} is not one for each eye".format(key))
    eyes = tuple(None if one is None else tuple(_array({key: one}, key, (count,)).tolist()) for one in found)
    if any(eye is not None and max(map(abs, eye)) > LARGEST for eye in eyes):
        raise ValueError("its {} is none".format(key))
    return eyes
