"""Messages to systemd's service manager (sd_notify): datagrams to the socket that it names in the environment."""
import os
import re
import socket
from typing import Mapping, Optional

from edge.core.redact import hide

LONGEST_STATUS = 300  # characters; systemctl shows one line


class Notifier:
    """Does nothing without a service manager, never raises and never waits. May be used from several threads."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._socket = _datagrams() if self._address else None
        self.watchdog_s = _watchdog_s(environ)

    @property
    def listening(self) -> bool:
        """There is a service manager to notify."""
        return self._socket is not None

    def ready(self) -> bool:
        return self._send("READY=1")

    def status(self, text: str) -> bool:
        return self._send("STATUS=" + " ".join(hide(text).split())[:LONGEST_STATUS])

    def watchdog(self) -> bool:
        """A sign of life. False where it did not go out: to be tried again soon."""
        return self._send("WATCHDOG=1")

    def stopping(self) -> bool:
        return self._send("STOPPING=1")

    def extend_timeout(self, seconds: float) -> bool:
        """Start, stop and watchdog time out no sooner than `seconds` from now."""
        return self._send("EXTEND_TIMEOUT_USEC={:.0f}".format(seconds * 1e6))

    def _send(self, text: str) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError:  # its queue is full, or it restarts: what matters is sent again
            return False
        return True


def _address(text: str) -> str:
    """A path, or an abstract name where it begins with @. The board's systemd has no other kind."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _datagrams() -> Optional[socket.socket]:
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        return None
    try:
        opened = socket.socket(family, socket.SOCK_DGRAM)
    except OSError:
        return None
    opened.setblocking(False)
    return opened


def _watchdog_s(environ: Mapping[str, str]) -> Optional[float]:
    """Seconds without a sign of life until the process is killed; None without a watchdog, or for another process."""
    pid = environ.get("WATCHDOG_PID", "")
    if pid and pid != str(os.getpid()):
        return None
    usec = environ.get("WATCHDOG_USEC", "")
    return int(usec) / 1e6 if re.match(r"[0-9]{1,18}\Z", usec) and int(usec) > 0 else None
