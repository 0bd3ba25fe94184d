"""An output that is written in the pipeline's own thread, with no queue and no thread between."""
import threading
from typing import Any, Dict, Optional

from edge.core import contracts
from edge.core.errors import OutputError
from edge.host import waiting
from edge.outputs.sender import CLOSED, FAILED, NEW, OK


class DirectSender(contracts.Sender):
    """For a file: an output that is `fatal` and `blocking`. The pipeline waits for it anyway, and nothing is tried again.

    start() and put() come from one thread; close() also from another, where it waits for a record that is being written.
    """

    fatal = True

    def __init__(self, output: contracts.Output) -> None:
        self.name, self.needs_picture = output.name, output.needs_picture
        self.ask(output.parts)
        self.error: Optional[BaseException] = None
        self._output, self._writing = output, threading.Lock()
        self._state = NEW
        self._counts = {"sent": 0, "failed": 0, "dropped": 0}

    @property
    def note(self) -> str:  # type: ignore
        return self._output.note

    def start(self) -> None:
        self._output.open()
        self._state = OK

    def put(self, item: Any) -> bool:
        with self._writing:
            if self._state != OK:
                self._counts["dropped"] += 1
                return False
            try:
                self._output.emit(item)
            except OutputError as e:
                self._failed(e)
                return False
            self._counts["sent"] += 1
            return True

    def close(self, timeout_s: float) -> bool:
        if not waiting.acquire(self._writing, timeout_s):
            return False
        try:
            self._output.close()
        except OutputError as e:
            if self._state != FAILED:
                self._failed(e)
        finally:
            self._state = CLOSED if self._state in (NEW, OK) else self._state
            self._writing.release()
        return True

    def stats(self) -> Dict[str, Any]:
        state = self._state if self.error is None else "{}: {}".format(self._state, self.error)
        return dict(self._counts, state=state)

    def _failed(self, error: OutputError) -> None:
        self._state, self.error = FAILED, error
        self._counts["failed"] += 1
