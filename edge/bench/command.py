"""`nanoface bench`: the pipeline and every network alone on frames that were decoded up front, in rounds."""
import json
from typing import TextIO

from edge.bench.measure import measure_alone, measure_pipeline
from edge.bench.replay import decoded
from edge.bench.text import figures, lines
from edge.config.load import Config
from edge.core.errors import ConfigError


def run_bench(config: Config, count: int, rounds: int, as_json: bool, out: TextIO) -> None:
    """Measure `rounds` over the first `count` frames, and write the figures to `out`. Raises EdgeErrors."""
    if config.source.boxes is not None:
        raise ConfigError("boxes of a file are no network to measure: leave --boxes out")
    frames = decoded(config, count)
    result = figures(measure_pipeline(config, frames, rounds), config, frames, measure_alone(config, frames[0], rounds))
    out.write((json.dumps(result, indent=1) if as_json else "\n".join(lines(result))) + "\n")
