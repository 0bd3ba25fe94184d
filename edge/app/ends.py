"""Both ends of a pipeline, from the configuration: what the source is asked for, and the senders of the outputs."""
import os
import sys
from typing import List, Optional, Sequence

from edge.app.networks import Report
from edge.config.load import Config
from edge.core.contracts import Source
from edge.outputs.kinds import OutputOptions, live_picture, make_output
from edge.outputs.pictures.window import DisplayState
from edge.outputs.sender import Sender
from edge.outputs.spec import OutputSpec
from edge.sources.live.controls import Controls
from edge.sources.spec import SourceOptions

FILE_QUEUE = 4  # items that wait before a file output that may make the pipeline wait: writing comes in bursts


def source_options(config: Config) -> SourceOptions:
    camera = config.camera
    return SourceOptions(controls=Controls(camera.exposure, camera.gain, camera.white_balance, camera.power_line_hz),
                         **{name: getattr(config.source, name) for name in SourceOptions._fields if name != "controls"})


def make_senders(specs: Sequence[OutputSpec], config: Config, source: Source,
                 report: Optional[Report] = None) -> List[Sender]:
    """One thread for each output; files wait for a file, nothing waits for anything else. With `report` a live picture
    may open by itself."""
    blocking = not source.live
    options = OutputOptions(config.output.landmarks, config.output.mirror, blocking,
                            lambda: source.fps, config.output.draw_times, lambda: source.name)
    outputs = [make_output(spec, options) for spec in specs]
    if report is not None and not any(spec.kind == "window" for spec in specs):
        here = DisplayState(os.environ, sys.platform, sys.stderr.isatty(), source.live, source.stills, bool(specs))
        outputs += live_picture(config.output.window, here, options, lambda text: report("note", text))
    return [Sender(output, FILE_QUEUE if output.blocking else 1) for output in outputs]
