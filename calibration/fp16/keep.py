"""Which layers of a network are to be kept in FP32, so that FP16 costs no more than is allowed.

Layers whose values do not fit float16 always are, and those that calculate with places (PLACES). Of the others the costliest
come first: each layer is run in FP16 alone, and they are pinned in the order of what that costs, until the network as a whole
keeps its tolerances with room to spare. Products are summed in FP16 there, because the tactic that TensorRT will take is not
known beforehand.
"""
from typing import TYPE_CHECKING, AbstractSet, Any, Dict, FrozenSet, List, Mapping, NamedTuple, Sequence

import numpy as np

from calibration.fp16.halfmath import FP16_SUMS, FP32, FP32_SUMS, LARGEST
from calibration.fp16.ranges import Range, merged, of_tensors
from edge.store.models import StoredNetwork
from engines.verify.agreement import Difference, combined, differences

if TYPE_CHECKING:  # it loads onnx
    from calibration.fp16.emulate import Emulation, Step, Tensors

FUSED = frozenset(("Relu", "PRelu", "LeakyRelu", "Clip", "Sigmoid"))  # run in one kernel with what comes before
WEIGHTED = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
MOVING = frozenset("""
    Concat Constant DepthToSpace Expand Flatten Gather Identity MaxPool Pad Relu Reshape Slice SpaceToDepth Split Squeeze
    Transpose Unsqueeze
""".split())  # nothing is calculated: what goes in is rounded already
PLACES = "geo/"  # begins the names of nodes whose values are pixels or cells: float16 has steps of an eighth of them
MARGIN = 0.5  # share of a tolerance that may be used up here: other faces and other tactics cost more
MOST_PINNED = 0.5  # share of the layers that calculate, from which on the whole network is better built in FP32
RANKED_ON = 2  # frames, the worst ones


class Verdict(NamedTuple):
    """What FP16 does to one network. `errors` by the kind of emulation, before anything is pinned; `kept` with the pins."""

    ranges: Mapping[str, Range]
    errors: Mapping[str, Sequence[Difference]]
    overflowing: Sequence[str]  # tensors
    fp32_layers: Sequence[str]  # in the order of the graph
    whole: bool
    kept: Sequence[Difference]


class _Frame(NamedTuple):
    feeds: Mapping[str, np.ndarray]
    exact: "Tensors"


def judge(stored: StoredNetwork, emulation: "Emulation", feeds: Sequence[Mapping[str, np.ndarray]],
          odd: Sequence[Mapping[str, np.ndarray]] = ()) -> Verdict:
    """Run the network on each of `feeds` in FP32 and in both kinds of FP16, and choose what is to stay in FP32. Of `odd`
    feeds only the ranges count: what a network gives for a picture without a face need not be precise, but must be finite.
    """
    ranges: Dict[str, Range] = {}
    for feed in odd:
        ranges = merged(ranges, of_tensors(emulation.run(feed, FP32)))
    frames = []
    for feed in feeds:
        exact = emulation.run(feed, FP32)
        ranges = merged(ranges, of_tensors(exact))
        frames.append(_Frame(feed, exact))
    search = _Search(stored, emulation, frames)
    errors = {how: combined(search.differences(how)) for how in (FP32_SUMS, FP16_SUMS)}
    overflowing = [name for name, r in ranges.items() if r.overflows]
    forced = with_activations(emulation.steps, _touching(emulation, frozenset(overflowing)) | _of_places(emulation, ranges))
    pinned = search.pins(forced)
    calculating = [step.node.name for step in emulation.steps if step.node.op_type not in MOVING]
    whole = len(pinned.intersection(calculating)) > MOST_PINNED * len(calculating)
    if whole:
        pinned = frozenset()
    kept = combined(search.differences(FP32 if whole else FP16_SUMS, pinned)) if pinned or whole else errors[FP16_SUMS]
    return Verdict(ranges, errors, overflowing, [s.node.name for s in emulation.steps if s.node.name in pinned], whole, kept)


def with_activations(steps: "Sequence[Step]", pinned: AbstractSet[str]) -> FrozenSet[str]:
    """With each convolution also the activation behind it, with which TensorRT makes one kernel of it: pinned alone, it
    would cost that.
    """
    readers: "Dict[str, List[Step]]" = {}
    for step in steps:
        for name in step.reads:
            readers.setdefault(name, []).append(step)
    found = set(pinned)
    for step in steps:
        behind = readers.get(step.gives[0], [])
        if step.node.name in pinned and step.node.op_type in WEIGHTED and len(behind) == 1:
            found.update(s.node.name for s in behind if s.node.op_type in FUSED)
    return frozenset(found)


def _touching(emulation: "Emulation", tensors: FrozenSet[str]) -> FrozenSet[str]:
    """Nodes that give or read one of the tensors, or a constant that does not fit float16."""
    large = {name for name, value in emulation.constants.items()
             if value.dtype == np.float32 and value.size and not np.abs(value).max() <= LARGEST}
    return frozenset(step.node.name for step in emulation.steps
                     if tensors.intersection(step.gives + step.reads) or large.intersection(step.node.input))


def _of_places(emulation: "Emulation", ranges: Mapping[str, Range]) -> FrozenSet[str]:
    """Nodes that are named so, and those that only reshape what they give to an output. Whole numbers have no precision."""
    named = {step.gives[0]: step.node.name for step in emulation.steps if step.node.name.startswith(PLACES)}
    last = {step.gives[0]: step.node.name for step in emulation.steps
            if step.gives[0] in emulation.outputs and named.keys() >= set(step.reads)}
    return frozenset(name for tensor, name in list(named.items()) + list(last.items()) if tensor in ranges)


class _Search:
    def __init__(self, stored: StoredNetwork, emulation: "Emulation", frames: Sequence[_Frame]) -> None:
        self._stored, self._emulation, self._frames = stored, emulation, frames

    def differences(self, how: str, pinned: AbstractSet[str] = frozenset()) -> List[List[Difference]]:
        """One list for each frame."""
        return [self._compared(f, self._emulation.run(f.feeds, how, pinned)) for f in self._frames]

    def pins(self, forced: FrozenSet[str]) -> FrozenSet[str]:
        """The forced layers, and as many of the costliest layers as are needed."""
        found = self.differences(FP16_SUMS, forced)
        if _within(found):
            return forced
        ranking = self._ranking(forced, found)
        least, most = 0, 1  # with `least` of them it is not within, with `most` it is, or nothing helps
        while most < len(ranking) and not self._enough(forced, ranking[:most]):
            least, most = most, min(2 * most, len(ranking))
        while most - least > 1:
            middle = (least + most) // 2
            if self._enough(forced, ranking[:middle]):
                most = middle
            else:
                least = middle
        return self._union(forced, ranking[:most])

    def _enough(self, forced: FrozenSet[str], worst: Sequence[str]) -> bool:
        return _within(self.differences(FP16_SUMS, self._union(forced, worst)))

    def _union(self, forced: FrozenSet[str], worst: Sequence[str]) -> FrozenSet[str]:
        return forced | with_activations(self._emulation.steps, frozenset(worst))

    def _ranking(self, forced: AbstractSet[str], found: Sequence[Sequence[Difference]]) -> List[str]:
        """Names of the layers that calculate, the one that costs most in FP16 first."""
        order = sorted(range(len(found)), key=lambda i: -_excess(found[i]))[:RANKED_ON]
        costs = {}
        for number, step in enumerate(self._emulation.steps):
            name = step.node.name
            if name not in forced and step.node.op_type not in MOVING and step.node.op_type not in FUSED:
                costs[name] = max(_excess(self._compared(
                    self._frames[i], self._emulation.alone(self._frames[i].exact, number, FP16_SUMS))) for i in order)
        return sorted(costs, key=lambda name: -costs[name])

    def _compared(self, frame: _Frame, found: Mapping[str, np.ndarray]) -> List[Difference]:
        names = self._emulation.outputs
        return differences(self._stored, {name: frame.exact[name] for name in names}, {name: found[name] for name in names})


def _within(found: Sequence[Sequence[Difference]]) -> bool:
    return all(_excess(of_one) <= MARGIN for of_one in found)


def _excess(found: Sequence[Difference]) -> float:
    """The largest error, in tolerances; what is no number is worse than anything."""
    sizes: List[Any] = [d.worst / d.tolerance if np.isfinite(d.worst) else np.inf for d in found]
    return max(sizes or [0.0])
