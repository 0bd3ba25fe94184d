"""A runner that may turn out to be another: under `auto`, a plan that does not load leaves its network to the next runtime."""
from typing import Callable, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge.core.contracts import Crop, Runner, Ticket
from edge.core.errors import EngineError
from edge.runtimes.cpu.runner import opened

Candidate = Tuple[str, Callable[[], Runner]]  # runtime, and what makes its runner


class FallbackRunner(Runner):
    """Once open, it is the first candidate that opened. A later failure is no reason to change: a run keeps its arithmetic.

    While it is open, submit and infer are the chosen runner's own, so that the choice costs nothing.
    """

    def __init__(self, model: str, candidates: Sequence[Candidate]) -> None:
        """The preferred candidate first."""
        self.model = model
        self._candidates = tuple(candidates)
        self._chosen: Optional[Runner] = None

    @property
    def run_s(self) -> float:  # type: ignore[override]
        """As the chosen runner counts it."""
        return 0.0 if self._chosen is None else self._chosen.run_s

    def open(self) -> None:
        """Raises the last candidate's ModelError where none opens."""
        self.close()
        why = ""
        for runtime, make in self._candidates[:-1]:
            try:
                self._adopt(make(), why, runtime)
                return
            except EngineError as e:
                why += "{}; ".format(e)
        runtime, make = self._candidates[-1]
        self._adopt(make(), why, runtime)

    def submit(self, image: np.ndarray, crops: Sequence[Crop]) -> Ticket:
        """Of a runner that is not open: raises EngineError."""
        return opened(self, None)  # type: ignore

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Of a runner that is not open: raises EngineError."""
        return opened(self, None)  # type: ignore

    def close(self) -> None:
        """What it was stays in backend and note."""
        for name in ("submit", "infer"):
            self.__dict__.pop(name, None)
        if self._chosen is not None:
            self._chosen.close()

    def take_device_ms(self) -> Sequence[float]:
        return () if self._chosen is None else self._chosen.take_device_ms()

    def _adopt(self, runner: Runner, why: str, runtime: str) -> None:
        """Open it and forward to it. `why`: the failures of the candidates before it."""
        runner.open()
        self._chosen = runner
        self.inputs, self.outputs, self.backend, self.model = runner.inputs, runner.outputs, runner.backend, runner.model
        self.note = "{}{} instead".format(why, runtime) if why else runner.note
        self.__dict__.update(submit=runner.submit, infer=runner.infer)
