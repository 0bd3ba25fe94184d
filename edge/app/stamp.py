"""What made a recording: for who gets it with a bug report. No path, name, address or text of a user, but for the name of
the file of a network of one's own."""
import platform
from typing import AbstractSet, Any, Callable, Dict, Mapping, Sequence

from edge import __version__
from edge.config.load import Config
from edge.core.contracts import Source, Stage
from edge.core.records import SCHEMA
from edge.geometry.camera import load
from edge.sources.spec import CAMERA, classify


class Stamp:
    """Asked once frames come, so that it knows what runs."""

    def __init__(self, config: Config, source: Source) -> None:
        self._config, self._source = config, source
        self.stages: Sequence[Stage] = ()
        self.coarse: AbstractSet[str] = frozenset()  # the shapes that are told roughly
        self.profile: Callable[[], Mapping[str, str]] = dict  # whose face it is, which is not told

    def facts(self) -> Dict[str, Any]:
        """Plain JSON. Of a replay those of what is replayed."""
        if self._source.facts is not None:
            return dict(self._source.facts)
        config = self._config
        found: Dict[str, Any] = {
            "nanoface": __version__, "schema": SCHEMA, "python": platform.python_version(), "machine": platform.machine(),
            "source": CAMERA if config.source.spec is None else classify(config.source.spec).kind,
            "live": self._source.live, "stills": self._source.stills, "fps": self._source.fps,
            "networks": {stage.name: ["{} {}".format(runner.model, runner.backend).strip() for runner in stage.runners]
                         for stage in self.stages if stage.runners},
            "fov_deg": config.camera.fov_deg, "smoothing": config.smoothing.enabled, "shapes": config.output.any_shapes,
            "coarse": sorted(self.coarse), "max_faces": config.tracking.max_faces,
            "profile": bool(self.profile()),
        }
        own = {stage.name: runner.own for stage in self.stages for runner in stage.runners if runner.own}
        if own:  # of the user's own: what it is like, and its hash; the file's name is that of the network
            found["own_networks"] = own
        if config.camera.intrinsics:
            found["camera"] = load(config.camera.intrinsics)._asdict()
        return found
