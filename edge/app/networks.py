"""Which network serves each role: the first candidate that was built, with its runner."""
from typing import Callable, Optional, Sequence, Tuple

import numpy as np

from edge.app.own import open_own
from edge.config.load import Config
from edge.core.contracts import Runner
from edge.core.errors import ConfigError, ModelError
from edge.core.roles import DETECT, OFF
from edge.face import head as heads
from edge.host import commands
from edge.models.detectors.table import MULTIPLES, make_detector, scaled_detector
from edge.models.spec import Detector
from edge.runtimes.choose import need_runtime, open_runner, open_sized
from edge.store import models, plans, ways
from edge.store.canonical import CANONICAL_FACE

Report = Callable[[str, str], None]  # event ("note", "warning", "loss", "progress", "state"), one line of text


class Networks:
    """Opens the runner of each role: the first candidate that was built; reports where it is not the preferred one."""

    def __init__(self, config: Config, report: Report) -> None:
        self._config, self._models = config, config.models
        self._home = models.home_dir()
        self._report = report
        self._tuned = plans.chosen(self._home) if ways.with_plans(config.models.runtime) else {}

    def required(self, role: str, candidates: Sequence[str]) -> Tuple[Runner, models.StoredNetwork]:
        """Raises ModelError where no candidate was built. Of several, `nanoface build --tune` may have found the best."""
        if self._models.own(role):
            return open_own(self._home, self._models, role)
        if not self._any_built(candidates):
            need_runtime(self._models.runtime)
        in_order = ways.preferred(self._home, self._config, role, self._tuned)
        network = self._first(role, in_order)
        config = self._models
        runner = open_runner(network, config.runtime, memory=config.memory, crops=config.crops, graphs=config.graphs)
        return runner, network

    def detector(self) -> Tuple[Runner, Detector]:
        """As required(), with what decodes it; where frames are to be resized for it, of the size that they come to."""
        scale, candidates = self._models.detector_scale, self._models.detect
        overlap = self._config.tracking.detect_overlap
        if scale is None:
            runner, network = self.required(DETECT, candidates)
            return runner, make_detector(network.like, overlap, network.size)
        if self._models.own(DETECT):
            raise ConfigError("a detector of your own has one size of its input: leave --detector-scale "
                              "(models.detector_scale) out")
        if not self._any_built(candidates):
            need_runtime(self._models.runtime)
        name = self._first(DETECT, ways.preferred(self._home, self._config, DETECT, self._tuned)).name
        if name not in MULTIPLES:
            raise ConfigError("{} has one size of its input: leave --detector-scale (models.detector_scale) out, or take "
                              "--detector {}".format(name, ", ".join(MULTIPLES)))
        detector = scaled_detector(name, scale, overlap)
        return open_sized(models.locate(self._home, name, any_size=True), self._models.runtime, detector.size), detector

    def _first(self, role: str, in_order: Sequence[str]) -> models.StoredNetwork:
        network, skipped = models.first_available(self._home, in_order)
        if skipped:
            self._report("note", "{}: {} not built, using {}".format(role, " and ".join(skipped), network.name))
        tuned = self._tuned.get(role)
        if tuned in in_order[len(skipped) + 1:]:
            self._report("note", "{}: {}, which --tune chose, has no plan, using {}: {}".format(
                role, tuned, network.name, commands.run("build --networks " + str(tuned))))
        return network

    def optional(self, role: str, candidates: Sequence[str],
                 instead: str) -> Optional[Tuple[Runner, models.StoredNetwork]]:
        """The same, or None where it is switched off or not built; `instead`: what happens then."""
        if tuple(candidates) == (OFF,):
            return None
        if not self._models.own(role) and not self._any_built(candidates):
            self._report("note", "{}: {} not built, {}".format(role, " and ".join(candidates), instead))
            return None
        return self.required(role, candidates)

    def _any_built(self, candidates: Sequence[str]) -> bool:
        return not models.read_index(self._home).keys().isdisjoint(candidates)

    def head(self) -> heads.HeadModel:
        """The canonical face, or the head of our own measuring where it was not fetched."""
        if CANONICAL_FACE not in models.read_index(self._home):
            self._report("note", "pose: {} not fetched, using the head of our own measuring".format(CANONICAL_FACE))
            return heads.measured()
        path = models.locate(self._home, CANONICAL_FACE).file
        try:
            table = np.load(path)
        except (OSError, ValueError) as e:
            raise ModelError("{} cannot be read ({}): {}".format(path, e, models.cure()))
        return heads.of_canonical(table)
