"""What an RTSP server says on the connection that its pictures come by, too: RFC 2326, 10.12 (interleaved) and 11.3."""
import re

from edge.errors import SourceError
from edge.sources.origin import ELSEWHERE, Origin

LONGEST_HEAD = 1 << 16


class Replies:
    """What an RTSP server says, looked through: pictures pass, a redirection is refused."""

    def __init__(self, origin: Origin) -> None:
        self._origin, self._held, self._passing = origin, b"", 0

    def judged(self, data: bytes) -> bytes:
        """What may be handed on now. Raises SourceError."""
        self._held += data
        end = 0
        while end < len(self._held):
            if not self._passing:
                self._passing = self._next(end)
            if not self._passing:
                break
            step = min(self._passing, len(self._held) - end)
            end, self._passing = end + step, self._passing - step
        told, self._held = self._held[:end], self._held[end:]
        return told

    def _next(self, at: int) -> int:
        """The length of what begins there; 0 where that is not known yet."""
        if self._held[at:at + 1] == b"$":
            return 4 + int.from_bytes(self._held[at + 2:at + 4], "big") if len(self._held) >= at + 4 else 0
        end = self._held.find(b"\r\n\r\n", at)
        if end < 0:
            if len(self._held) - at > LONGEST_HEAD:
                raise SourceError("{} gives no answer of RTSP".format(self._origin.shown))
            return 0
        head = self._held[at:end + 4]
        lines = head.split(b"\r\n")
        lengths = [line for line in lines if line.lower().startswith(b"content-length")]
        if b"\n" in head.replace(b"\r\n", b"") or len(lengths) > 1 or any(line[:1] == b"$" for line in lines):
            raise SourceError("{} gives no answer of RTSP".format(self._origin.shown))  # FFmpeg would read it differently
        if head.startswith(b"RTSP/") and not re.match(rb"RTSP/1\.[01] [12456]\d\d(?: |\r)", head):
            raise SourceError(ELSEWHERE.format(self._origin.shown, ""))
        return len(head) + (int(lengths[0].partition(b":")[2]) if lengths else 0)
