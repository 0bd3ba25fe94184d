"""The replies of an RTSP server, which come on the connection of the pictures: RFC 2326, 10.12 (interleaved) and 11.3."""
import re

from edge.core.errors import SourceError
from edge.sources.origin import ELSEWHERE, Origin

LONGEST_HEAD = 1 << 16
# as strict as that FFmpeg reads each of them alike: it skips blanks, drops a lone CR, and ends a head at a NUL
HEAD = re.compile(rb"(?:RTSP/1\.[01] \d\d\d(?: [^\r\n\0]*)?|[A-Z_]+ [!-~]+ RTSP/1\.\d)\r\n"
                  rb"(?:[^\r\n\0$][^\r\n\0]*\r\n)*\r\n")
LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,9})[ \t]*", re.IGNORECASE)
BY_TCP = re.compile(rb"transport:[ \t]*[\w-]+/[\w-]+/TCP[ \t]*(?:[;,].*)?", re.IGNORECASE)
BY_UDP = ("{} sends its pictures by UDP, which is refused unless "
          "OPENCV_FFMPEG_CAPTURE_OPTIONS='rtsp_transport;udp' is set")


class Replies:
    """Checks the stream of an RTSP server: pictures pass, a redirection is refused."""

    def __init__(self, origin: Origin) -> None:
        self._origin, self._held, self._passing = origin, b"", 0

    def checked(self, data: bytes) -> bytes:
        """What may be passed on now. Raises SourceError."""
        self._held += data
        end = 0
        while end < len(self._held):
            if not self._passing:
                self._passing = self._next(end)
            if not self._passing:
                break
            step = min(self._passing, len(self._held) - end)
            end, self._passing = end + step, self._passing - step
        passed, self._held = self._held[:end], self._held[end:]
        return passed

    def _next(self, at: int) -> int:
        """The length of what begins there; 0 where that is not known yet."""
        if self._held[at:at + 1] == b"$":
            return 4 + int.from_bytes(self._held[at + 2:at + 4], "big") if len(self._held) >= at + 4 else 0
        if self._held[at:at + 2] == b"\r\n":
            return 2  # FFmpeg takes it for an empty reply
        end = self._held.find(b"\r\n\r\n", at)
        if end < 0:
            if len(self._held) - at > LONGEST_HEAD:
                raise SourceError("{} gives no answer of RTSP".format(self._origin.shown))
            return 0
        head = self._held[at:end + 4]
        lines = head.split(b"\r\n")
        lengths = [line for line in lines if line.lower().startswith(b"content-length")]
        length = LENGTH.fullmatch(lengths[0]) if lengths else None
        if re.match(rb"RTSP/1\.[01] 3", head):
            raise SourceError(ELSEWHERE.format(self._origin.shown, ""))
        if not HEAD.fullmatch(head) or len(lengths) > 1 or (lengths and length is None):
            raise SourceError("{} gives no answer of RTSP".format(self._origin.shown))
        if any(line.lower().startswith(b"transport:") and not BY_TCP.fullmatch(line) for line in lines):
            raise SourceError(BY_UDP.format(self._origin.shown))
        return len(head) + (int(length.group(1)) if length is not None else 0)
