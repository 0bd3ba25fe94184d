"""From the text of `--output` to the object that writes it."""
from typing import Callable, Dict, NamedTuple

from edge.core.contracts import Output
from edge.outputs.csv import CsvOutput
from edge.outputs.images import FolderOutput, PictureOutput
from edge.outputs.jsonl import JsonlOutput
from edge.outputs.overlay import Style
from edge.outputs.spec import OutputSpec
from edge.outputs.video import Fps, VideoOutput
from edge.outputs.window import WindowOutput


class OutputOptions(NamedTuple):
    """What every output of a run is told."""

    landmarks: bool  # the records hold the points: CSV gives them columns
    mirror: bool  # pictures are shown as in a mirror; texts are not
    blocking: bool  # the source is a file: outputs to files may make it wait
    fps: Fps  # frames per second of the source, where it is known
    stage_times: bool = True  # the panel in pictures


def make_output(spec: OutputSpec, options: OutputOptions) -> Output:
    """The output, not yet opened."""
    style = Style(mirror=options.mirror, stage_times=options.stage_times)
    makers: Dict[str, Callable[[], Output]] = {
        "jsonl": lambda: JsonlOutput(spec, options.blocking),
        "csv": lambda: CsvOutput(spec, options.blocking, options.landmarks),
        "video": lambda: VideoOutput(spec, options.blocking, style, options.fps),
        "images": lambda: FolderOutput(spec, options.blocking, style),
        "image": lambda: PictureOutput(spec, options.blocking, style),
        "window": lambda: WindowOutput(spec, style),
    }
    return makers[spec.kind]()
