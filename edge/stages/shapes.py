"""The blend shapes of one track: against its own face at rest, with what a shut eye hides put back, smoothed."""
import math
from typing import List, Optional, Sequence

import numpy as np

from edge.core.packet import Eyes, Face
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
EYES = Eyes._fields
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
        self._eyes, self._lids, self._yaw = at[IRISES[0] + " x"], at[LIDS[0]], at[TURNS[0]]
        self._irises = [at[name + " x"] for name in IRISES]
        self._all = np.ones(len(shapes.rest), bool)
        self._looks = [(0.0, 0.0), (0.0, 0.0)]
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
        moved = change[self._lids:self._yaw].tolist()
        shut = [moved[0] < NEARLY_SHUT, moved[1] < NEARLY_SHUT]
        self._see_through(change, measures, shut)
        told = self._shapes.answer(change)
        blinks = self._blink(told, moved)
        self._look_down(told, blinks, shut)
        if self._learn and self._profile is None and self._centre.due(time_s):
            self._learn_rest(measures, told, time_s)
        values = (told if self._smooth is None else self._smooth(told, time_s)).tolist()
        for i, blink in zip(self._blinks, blinks):
            values[i] = blink
        expression = dict(face.expression or ())
        expression.update(dict(zip(self._shapes.names, values)))  # of known size, which spares making room again and again
        face = face._replace(expression=expression)
        for i, side in enumerate(EYES):
            if moved[i] == 0.0 and math.isnan(measures[self._lids + i]):
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
        known = [not shut[i] and not math.isnan(measures[iris]) for i, iris in enumerate(self._irises)]
        seen = change[self._eyes:self._lids].tolist()
        for i, iris in enumerate(self._irises):
            by = i if known[i] else 1 - i
            if known[by]:
                x, y = seen[3 * by:3 * by + 2]
                self._looks[i] = x, y
            if by != i:
                change[iris:iris + 2] = self._looks[i]

    def _look_down(self, told: np.ndarray, blinks: Sequence[float], shut: List[bool]) -> None:
        """A lid that falls is no look down."""
        for i in (0, 1):
            if not shut[i]:
                self._down[i] = told.item(self._downs[i])
            elif not shut[1 - i]:
                self._down[i] = told.item(self._downs[1 - i])
            told[self._downs[i]] = self._down[i] * (1.0 - GONE_WITH_THE_EYE * blinks[i])

    def _blink(self, told: np.ndarray, lids: Sequence[float]) -> List[float]:
        """Lids that are shut are, whatever else the face does; so are those much nearer to it than the other eye's."""
        blinks = []
        for i, moved, other in zip(self._blinks, lids, reversed(lids)):
            shut, wink = (NEARLY_SHUT - moved) / SHUT_WITHIN, (other - moved - ASKEW) / ASKEW_WITHIN
            blink = max(told.item(i), min(1.0, shut), min(1.0, wink) if moved and other else 0.0)
            told[i] = blink
            blinks.append(blink)
        return blinks

    def _learn_rest(self, measures: np.ndarray, told: np.ndarray, time_s: float) -> None:
        usable = self._all
        right, left, yaw, pitch = measures[self._lids:self._yaw + 2].tolist()
        for i, lids in enumerate((right, left)):
            if not lids > OPEN_SHARE * self._centre.neutral.item(self._lids + i):
                usable = usable.copy()
                usable[self._lids + i] = usable[self._irises[i]:self._irises[i] + 2] = False
        turned = yaw * TURN_UNIT_DEG, pitch * TURN_UNIT_DEG
        self._centre.learn(measures, usable, float((told * self._lively).max()), turned, time_s)
