"""Outputs whose target is a picture, a film or a folder, by its name."""
from edge.core.contracts import Output
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.pictures.images import FolderOutput, PictureOutput
from edge.outputs.pictures.painter import Painter
from edge.outputs.pictures.video import SUFFIX, VideoOutput


def output_of(spec: OutputSpec, options: OutputOptions, painter: Painter) -> Output:
    """Of a kind whose target is PICTURES: what writes the painter's pictures there."""
    if spec.is_folder:
        return FolderOutput(spec, options.blocking, painter)
    if spec.target.lower().endswith(SUFFIX):
        return VideoOutput(spec, options.blocking, painter, options.fps)
    return PictureOutput(spec, options.blocking, painter)
