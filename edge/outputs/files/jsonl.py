"""The frame record as lines of JSON."""
import json
from typing import Any, Dict

from edge.core.contracts import Output
from edge.core.parts import NO_PARTS, Parts
from edge.outputs.files.file import LineFile
from edge.outputs.kinds import OutputOptions, OutputSpec


class JsonlOutput(Output):
    """One line for each frame, in frame order, and behind it one for each event that was told with it.

    A killed process leaves whole lines, at most the last one short.
    """

    fatal = True

    def __init__(self, spec: OutputSpec, blocking: bool, parts: Parts = NO_PARTS) -> None:
        self.name, self.blocking = spec.text, blocking
        self.ask(parts)
        self._file = LineFile(spec)
        # a record holds nothing twice: to look for circles takes a tenth of the time
        self._encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode

    def open(self) -> None:
        self._file.open()

    def emit(self, item: Dict[str, Any]) -> None:
        if not self.events:
            self._file.write(self._encode(item) + "\n")
            return
        frame = [{key: value for key, value in item.items() if key != "events"}] if "frame" in item else []
        self._file.write("".join(self._encode(line) + "\n" for line in frame + item["events"]))

    def close(self) -> None:
        self._file.close()


def make(spec: OutputSpec, options: OutputOptions) -> Output:
    return JsonlOutput(spec, options.blocking, options.parts)
