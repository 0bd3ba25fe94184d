"""Both ends of a pipeline, from the configuration: the options of the source, and the senders of the outputs."""
import os
import sys
from typing import Any, Callable, List, Mapping, Optional, Sequence

from edge.app.camera import camera_of
from edge.app.networks import Report
from edge.config.load import Config
from edge.core import contracts
from edge.core.contracts import Output, Source
from edge.core.parts import Parts
from edge.outputs.direct import DirectSender
from edge.outputs.kinds import KINDS, OutputOptions, OutputSpec, make_output
from edge.outputs.pictures.window import DisplayState, opens_by_itself
from edge.outputs.relay.sender import RelaySender
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_output
from edge.sources.live.controls import Controls
from edge.sources.spec import SourceOptions

FILE_QUEUE = 4  # items that wait before a file output that may make the pipeline wait: writing comes in bursts
NOTHING = ("this run shows and writes nothing: --output image:PATH.jpg keeps its newest frame, --output video:PATH.mp4 "
           "the film")


def source_options(config: Config) -> SourceOptions:
    camera = config.camera
    return SourceOptions(controls=Controls(camera.exposure, camera.gain, camera.white_balance, camera.power_line_hz),
                         **{name: getattr(config.source, name) for name in SourceOptions._fields if name != "controls"})


def make_senders(specs: Sequence[OutputSpec], config: Config, source: Source, report: Optional[Report] = None,
                 direct: bool = False, stamp: Callable[[], Mapping[str, Any]] = dict) -> List[contracts.Sender]:
    """One thread for each output, and one process for all that speak to other programs; files wait for a file, nothing waits
    for anything else. With `report` a live picture
    may open by itself. `direct`: records go into files in the pipeline's own thread; what takes long, as points and
    pictures do, or may wait for its reader, keeps a thread."""
    blocking = not source.live
    options = OutputOptions(config.output.landmarks, config.output.mirror, blocking,
                            lambda: source.fps, config.output.draw_times, lambda: source.name,
                            shapes=config.output.any_shapes, events=config.output.events,
                            coarse=config.output.coarse_shapes, stamp=stamp, style=config.output.style,
                            camera=lambda: camera_of(config, source.facts))
    live = [spec for spec in specs if KINDS[spec.kind].live]
    senders: List[contracts.Sender] = [RelaySender(live, options, report)] if live else []
    senders += [_sender(make_output(spec, options), direct and _is_plain_file(spec.path))
                for spec in specs if spec not in live]
    if report is not None and not any(spec.kind == "window" for spec in specs):
        here = DisplayState(os.environ, sys.platform, sys.stderr.isatty(), source.live, source.stills, bool(specs))
        senders += map(_sender, live_picture(config.output.window, here, options, lambda text: report("note", text)))
    return senders


def asked(senders: Sequence[contracts.Sender]) -> Parts:
    """What the stages are to make: what any output wants to know. Pictures show the points."""
    return Parts(any(s.landmarks or s.needs_picture for s in senders), any(s.shapes for s in senders),
                 any(s.events for s in senders), any(s.parts.coarse for s in senders))


def _sender(output: Output, direct: bool = False) -> contracts.Sender:
    if direct and output.blocking and not output.needs_picture and not output.landmarks:
        return DirectSender(output)
    return Sender(output, FILE_QUEUE if output.blocking else 1)


def _is_plain_file(path: str) -> bool:
    """One that is there, or can be made: no pipe and no device, whose reader may keep the writer waiting."""
    return bool(path) and (os.path.isfile(path) or not os.path.exists(path))


def live_picture(wanted: Any, here: DisplayState, options: OutputOptions, note: Callable[[str], None]) -> List[Output]:
    """The window that no output names, if there is to be one: `wanted` is output.window. `note` is called, in any thread,
    with why one that opens by itself does not."""
    if wanted is not True and (wanted is False or not opens_by_itself(here)):
        return []
    hint = "" if here.outputs else "; " + NOTHING
    by_itself = options._replace(note=lambda reason: note("no live picture: {}{}".format(reason, hint)))
    return [make_output(parse_output("window"), options if wanted is True else by_itself)]
