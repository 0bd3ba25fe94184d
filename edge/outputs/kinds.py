"""From the text of `--output` to the object that writes it."""
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from edge.core.contracts import Output
from edge.outputs.files.csv import CsvOutput
from edge.outputs.files.jsonl import JsonlOutput
from edge.outputs.pictures.images import FolderOutput, PictureOutput
from edge.outputs.pictures.overlay import Style
from edge.outputs.pictures.video import Fps, VideoOutput
from edge.outputs.pictures.window import DisplayState, WindowOutput, opens_by_itself
from edge.outputs.spec import OutputSpec, parse_output

NOTHING = ("this run shows and writes nothing: --output image:PATH.jpg keeps its newest frame, --output video:PATH.mp4 "
           "the film")


class OutputOptions(NamedTuple):
    """What every output of a run is told."""

    landmarks: bool  # the records hold the points: CSV gives them columns
    mirror: bool  # pictures are shown as in a mirror; texts are not
    blocking: bool  # the source is a file: outputs to files may make it wait
    fps: Fps  # frames per second of the source, where it is known
    stage_times: bool = True  # the panel in pictures
    title: Callable[[], str] = str  # of a window: the source's name
    note: Optional[Callable[[str], None]] = None  # of a window that opens by itself: why it did not


def make_output(spec: OutputSpec, options: OutputOptions) -> Output:
    """The output, not yet opened."""
    style = Style(mirror=options.mirror, stage_times=options.stage_times)
    makers: Dict[str, Callable[[], Output]] = {
        "jsonl": lambda: JsonlOutput(spec, options.blocking),
        "csv": lambda: CsvOutput(spec, options.blocking, options.landmarks),
        "video": lambda: VideoOutput(spec, options.blocking, style, options.fps),
        "images": lambda: FolderOutput(spec, options.blocking, style),
        "image": lambda: PictureOutput(spec, options.blocking, style),
        "window": lambda: WindowOutput(spec, style, options.title, options.note),
    }
    return makers[spec.kind]()


def live_picture(wish: Any, here: DisplayState, options: OutputOptions, note: Callable[[str], None]) -> List[Output]:
    """The window that nobody named among the outputs, if there is to be one: `wish` is output.window. `note` is told, in
    any thread, why one that opens by itself does not."""
    hint = "" if here.outputs else "; " + NOTHING
    if wish is True:
        return [make_output(parse_output("window"), options)]
    if wish is False or not opens_by_itself(here):
        return []
    by_itself = options._replace(note=lambda reason: note("no live picture: {}{}".format(reason, hint)))
    return [make_output(parse_output("window"), by_itself)]
