"""A runner whose network sees pictures of the size that each crop has: one runner of a CPU for each size."""
from collections import OrderedDict
from typing import Callable, Dict, Mapping, Sequence, Tuple

import numpy as np

from edge.core.contracts import Crop, Runner, Ticket
from edge.runtimes.cpu.runner import opened

Size = Tuple[int, int]  # width, height
KEPT = 3  # each holds the memory of all layers; a camera has one, a folder of pictures many


class SizedRunner(Runner):
    """Loads the network for a size when a crop of it comes first, which takes tenths of a second."""

    def __init__(self, model: str, first: Size, make: Callable[[Size], Runner]) -> None:
        """`first` is opened with it, so that what cannot run is known before the first frame."""
        self.model = model
        self._first, self._make = first, make
        self._at = OrderedDict()  # type: OrderedDict[Size, Runner]
        self._gone_s = 0.0  # of those that were closed

    @property
    def run_s(self) -> float:  # type: ignore[override]
        """Of all sizes."""
        return self._gone_s + sum(runner.run_s for runner in list(self._at.values()))

    def open(self) -> None:
        self.close()
        self._gone_s = 0.0
        runner = self._sized(self._first)
        self.inputs, self.outputs, self.backend, self.note = runner.inputs, runner.outputs, runner.backend, runner.note

    def submit(self, image: np.ndarray, crops: Sequence[Crop]) -> Ticket:
        opened(self, self._at or None)
        return self._sized(crops[0].size if crops else self._first).submit(image, crops)

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        opened(self, self._at or None)
        return self._sized(self._first).infer(feeds)

    def close(self) -> None:
        while self._at:
            self._end_oldest()

    def _sized(self, size: Size) -> Runner:
        if size not in self._at:
            runner = self._make(size)
            runner.open()
            self._at[size] = runner
            while len(self._at) > KEPT:
                self._end_oldest()
        self._at.move_to_end(size)
        return self._at[size]

    def _end_oldest(self) -> None:
        _, runner = self._at.popitem(last=False)
        self._gone_s += runner.run_s
        runner.close()
