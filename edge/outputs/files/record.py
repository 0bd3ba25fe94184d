"""The run itself, to be replayed: the frame records with points, shapes and events, and no picture."""
from typing import Any, Dict

from edge.core.contracts import Output
from edge.outputs.files.file import LineFile
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.recording.writing import Writer


class RecordOutput(Output):
    """One chunk for each frame. A killed process leaves whole ones, at most the last one short."""

    fatal = True
    landmarks = shapes = events = coarse = arrays = True  # the 68 points where they are asked for

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        self.name, self.blocking, self.landmarks68 = spec.text, options.blocking, options.landmarks68
        self._file, self._stamp = LineFile(spec), options.stamp
        self._writer = Writer()
        self._began = self._whole = False

    def open(self) -> None:
        self._file.open()

    def emit(self, item: Dict[str, Any]) -> None:
        head = b"" if self._began else self._writer.head(self._stamp())
        self._whole = False
        self._file.write_bytes(head + self._writer.frame(item))
        self._began = self._whole = True

    def close(self) -> None:
        try:
            if self._whole:  # else a frame is missing, and it has no end
                self._whole = False
                self._file.write_bytes(self._writer.end())
        finally:
            self._file.close()


def make(spec: OutputSpec, options: OutputOptions) -> Output:
    return RecordOutput(spec, options)
