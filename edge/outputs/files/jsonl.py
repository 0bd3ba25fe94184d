"""The frame record as lines of JSON."""
import json
from typing import Any, Dict

from edge.core.contracts import Output
from edge.outputs.files.file import LineFile
from edge.outputs.kinds import OutputOptions, OutputSpec


class JsonlOutput(Output):
    """One line for each frame, in frame order. A killed process leaves whole lines, at most the last one short."""

    fatal = True

    def __init__(self, spec: OutputSpec, blocking: bool, landmarks: bool = False) -> None:
        self.name, self.blocking, self.landmarks = spec.text, blocking, landmarks
        self._file = LineFile(spec)
        # a record holds nothing twice: to look for circles takes a tenth of the time
        self._encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode

    def open(self) -> None:
        self._file.open()

    def emit(self, item: Dict[str, Any]) -> None:
        self._file.write(self._encode(item) + "\n")

    def close(self) -> None:
        self._file.close()


def make(spec: OutputSpec, options: OutputOptions) -> Output:
    return JsonlOutput(spec, options.blocking, options.landmarks)
