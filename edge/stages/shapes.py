"""The blend shapes of one track: against its own face at rest, with what a shut eye hides put back, smoothed."""
from typing import List, Optional, Sequence

import numpy as np

from edge.core.packet import Face
from edge.face.blendshapes import Blendshapes
from edge.face.centre import Centre
from edge.face.measures import IRISES, LIDS, TURN_UNIT_DEG, TURNS
from edge.face.neutral import Neutral
from edge.geometry.filters import OneEuro, OneEuroSettings

SMOOTHING = OneEuroSettings(min_cutoff_hz=2.5, beta=3.0, derivative_cutoff_hz=2.0)  # speeds in shapes per second
NEARLY_SHUT = -0.55  # change of the lids below which an iris is not trusted, and a look down is that of the lids
SHUT_WITHIN = 0.2  # change beyond that, over which a blink becomes certain
ASKEW, ASKEW_WITHIN = 0.3, 0.1  # of the one eye's change from the other's: a squeezed cheek keeps lids of a wink apart
GONE_WITH_THE_EYE = 0.8  # of a look down, when the eye is shut
OPEN_SHARE = 0.75  # of the open level: the lids of an eye below it tell nothing of rest
EYES = ("right", "left")
DOING = 0.3  # of the largest answers of the eyes, which move at rest, counts as doing something
NO_FACE = "the points are none of a face"


class ShapesOfTrack:
    """Puts the shapes into `expression`."""

    def __init__(self, shapes: Blendshapes, smooth: bool, centre: bool) -> None:
        of_lids = np.array([name.startswith(("lids", "upperLid", "lidFold")) and not name.endswith((" x", " z"))
                            for name in shapes.measures.names])
        self._shapes, self._centre, self._learn = shapes, Centre(shapes.rest, shapes.prior_s, of_lids), centre
        self._smooth = OneEuro(SMOOTHING) if smooth else None
        self._profile: Optional[np.ndarray] = None  # measures of one; None: what is learned
        at, names = shapes.measures.at, shapes.names
        self._irises = [slice(at[name + " x"], at[name + " x"] + 2) for name in IRISES]
        self._lids, self._yaw = [at[name] for name in LIDS], at[TURNS[0]]
        self._looks = [np.zeros(2), np.zeros(2)]
        self._of_eye = [[i for i, name in enumerate(names) if name.startswith("eye") and name.endswith(side.capitalize())]
                        for side in EYES]
        self._blinks = [names.index("eyeBlink" + side.capitalize()) for side in EYES]
        self._downs = [names.index("eyeLookDown" + side.capitalize()) for side in EYES]
        self._down = [0.0, 0.0]
        self._lively = np.array([DOING if name.startswith("eye") else 1.0 for name in names])

    def use(self, neutral: Optional[Neutral]) -> None:
        """The face at rest of a profile, or None: what is learned."""
        self._profile = None if neutral is None else self._shapes.measures.at_rest(neutral, self._shapes.rest)

    def __call__(self, face: Face, time_s: float, lids: Optional[Sequence[Optional[float]]] = None) -> Face:
        """A face with an `expression`, before its points are smoothed; `lids` as Measures.of takes them."""
        with np.errstate(all="ignore"):  # points may be anything
            return self._with_shapes(face, time_s, lids)

    def _with_shapes(self, face: Face, time_s: float, lids: Optional[Sequence[Optional[float]]]) -> Face:
        measures = self._shapes.measures.of(face, lids)
        if measures is None:
            return self._without(face, range(len(self._shapes.names)), NO_FACE)
        change = self._shapes.measures.change(measures, self._centre.neutral if self._profile is None else self._profile)
        shut = [bool(change[lids] < NEARLY_SHUT) for lids in self._lids]
        self._see_through(change, measures, shut)
        told = self._shapes.answer(change)
        self._blink(told, change)
        self._look_down(told, shut)
        if self._learn and self._profile is None:
            self._learn_rest(measures, told, shut, time_s)
        if self._smooth is not None:
            blinks = told[self._blinks]
            told = self._smooth(told, time_s).copy()
            told[self._blinks] = blinks
        expression = dict(face.expression or ())
        expression.update(zip(self._shapes.names, told.tolist()))
        face = face._replace(expression=expression)
        for i, side in enumerate(EYES):
            if measures[self._lids[i]] != measures[self._lids[i]]:
                face = self._without(face, self._of_eye[i], face.missing.get("eye_open_" + side, "no eye contours"))
        return face

    def _without(self, face: Face, which: Sequence[int], reason: str) -> Face:
        names = [self._shapes.names[i] for i in which]
        missing, expression = dict(face.missing), dict(face.expression or ())
        for name in names:
            expression.pop(name, None)
            missing[name] = reason
        return face._replace(expression=expression, missing=missing)

    def _see_through(self, change: np.ndarray, measures: np.ndarray, shut: List[bool]) -> None:
        """An eye that shuts looks where the other one does; when both do, where they last did."""
        known = [not shut[i] and bool(measures[iris.start] == measures[iris.start]) for i, iris in enumerate(self._irises)]
        for i, iris in enumerate(self._irises):
            if known[i]:
                self._looks[i] = change[iris].copy()
            elif known[1 - i]:
                self._looks[i] = change[self._irises[1 - i]].copy()
            change[iris] = self._looks[i]

    def _look_down(self, told: np.ndarray, shut: List[bool]) -> None:
        """A lid that falls is no look down."""
        for i in (0, 1):
            if not shut[i]:
                self._down[i] = float(told[self._downs[i]])
            elif not shut[1 - i]:
                self._down[i] = float(told[self._downs[1 - i]])
            told[self._downs[i]] = self._down[i] * (1.0 - GONE_WITH_THE_EYE * float(told[self._blinks[i]]))

    def _blink(self, told: np.ndarray, change: np.ndarray) -> None:
        """Lids that are shut are, whatever else the face does; so are those much nearer to it than the other eye's."""
        right, left = (float(change[lids]) for lids in self._lids)
        for blink, lids, other in zip(self._blinks, (right, left), (left, right)):
            shut, wink = (NEARLY_SHUT - lids) / SHUT_WITHIN, (other - lids - ASKEW) / ASKEW_WITHIN
            told[blink] = max(told[blink], min(1.0, shut), min(1.0, wink) if lids and other else 0.0)

    def _learn_rest(self, measures: np.ndarray, told: np.ndarray, shut: List[bool], time_s: float) -> None:
        usable = np.ones(len(measures), bool)
        for i, lids in enumerate(self._lids):
            usable[lids] = usable[self._irises[i]] = bool(measures[lids] > OPEN_SHARE * self._centre.neutral[lids])
        turned = (float(measures[self._yaw]) * TURN_UNIT_DEG, float(measures[self._yaw + 1]) * TURN_UNIT_DEG)
        self._centre.learn(measures, usable, float((told * self._lively).max()), turned, time_s)
