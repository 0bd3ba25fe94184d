"""Answers that were recorded, or made up: for tests of what stands above a runner."""
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple, Union

import numpy as np

from edge.core.contracts import Crop, Runner, Tensor, Ticket
from edge.core.errors import EngineError
from edge.runtimes.cpu.runner import Finished, check_crops, check_feeds, opened

Outputs = Mapping[str, np.ndarray]
Answers = Union[Sequence[Outputs], Callable[[Sequence[Crop], Any], Outputs]]


class RecordedRunner(Runner):
    """`answers`: one for each submit, in order, or a function of crops and image (of () and the feeds for infer())."""

    def __init__(self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], answers: Answers) -> None:
        self.model, self.backend = name, "recorded"
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.asked: List[Tuple[Sequence[Crop], Any]] = []  # crops and image of every submit
        self.run_s = 0.0
        self._answers = answers
        self._lent: Any = None  # the outputs that the caller may still look at; None: not open

    def open(self) -> None:
        self._lent = {}

    def submit(self, image: np.ndarray, crops: Sequence[Crop]) -> Ticket:
        opened(self, self._lent)
        check_crops(self, crops)
        return Finished(self._answer(tuple(crops), image))

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        opened(self, self._lent)
        check_feeds(self, feeds)
        return self._answer((), feeds)

    def close(self) -> None:
        self._lent = None

    def _answer(self, crops: Sequence[Crop], image: Any) -> Dict[str, np.ndarray]:
        self.asked.append((crops, image))
        answer = self._answers(crops, image) if callable(self._answers) else self._next(self._answers)
        for array in self._lent.values():
            array.fill(np.nan)  # a reader of the last answer gets no numbers
        self._lent = {t.name: np.array(answer[t.name], np.float32).reshape(t.shape) for t in self.outputs}
        return dict(self._lent)

    def _next(self, answers: Sequence[Outputs]) -> Outputs:
        if len(self.asked) > len(answers):
            raise EngineError("the recording of network {} ends after {} answers".format(self.model, len(answers)))
        return answers[len(self.asked) - 1]
