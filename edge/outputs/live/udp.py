"""Datagrams: to one address, and a socket that listens. Neither ever waits."""
import errno
import socket
from typing import Dict, Iterator, Optional, Tuple

from edge.core import clock
from edge.core.errors import OutputError
from edge.core.rules import Address
from edge.host.reading import reason

# what is read at a time: a flood takes no more of the processor, and the kernel drops the rest. It is all that the kernel
# holds of short ones, so that with every frame there is room again for one that is no flood
MOST_AT_ONCE, MOST_S = 1024, 0.003
MOST_OF_ONE = 32  # of them that one socket is heard with: the others' requests are not behind what it makes us read
BUFFER = 1 << 20  # bytes that the kernel is asked to hold; Linux gives 416 kB unless told otherwise
LARGEST = 4096  # of a datagram: no request is that long
ANSWER_S = 1.0  # a refusal comes back within it: until then nothing is known of what was sent


class UdpTarget:
    """Where datagrams are sent to."""

    def __init__(self, name: str, address: Address) -> None:
        self._name, self._address = name, address
        self._socket: Optional[socket.socket] = None
        self.refused = False  # the machine is there, and nothing listens at the port
        self._refused_at = 0.0

    def open(self) -> None:
        """Raises OutputError where the name is not known or no network leads there."""
        family, address = _resolved(self._name, self._address)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.connect(address)
        except OSError as e:
            self.close()
            raise OutputError("output {}: {} cannot be reached: {}".format(self._name, self._address.text, reason(e)))

    def send(self, data: bytes) -> None:
        """A datagram that the network has no room for is dropped, as the network does itself. Raises OutputError."""
        if self._socket is None:
            raise OutputError("output {} is closed".format(self._name))
        try:
            try:
                self._socket.send(data)
            except ConnectionRefusedError:  # what was sent before came to no one
                self.refused, self._refused_at = True, clock.monotonic()
                self._socket.send(data)  # it was not sent; somebody may listen now
            if self.refused and clock.monotonic() - self._refused_at > ANSWER_S:
                self.refused = False
        except (ConnectionRefusedError, BlockingIOError, InterruptedError):
            pass
        except OSError as e:
            if e.errno != errno.ENOBUFS:
                raise OutputError("output {}: {} cannot be reached: {}".format(self._name, self._address.text, reason(e)))

    @property
    def condition(self) -> str:
        return "nothing listens at {}".format(self._address.text) if self.refused else ""

    def close(self) -> None:
        """May be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class UdpListener:
    """A socket that programs send to."""

    def __init__(self, name: str, address: Address, shared: bool = False) -> None:
        """`shared`: others may listen there too, each of which gets what is sent to all."""
        self._name, self._address, self._shared = name, address, shared
        self._read = memoryview(bytearray(LARGEST))
        self.refused = 0  # datagrams, beyond MOST_OF_ONE
        self._socket: Optional[socket.socket] = None

    def open(self) -> None:
        """Raises OutputError where something else listens there."""
        family, address = _resolved(self._name, self._address)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        if self._shared:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        try:
            self._socket.bind(address)
        except OSError as e:
            self.close()
            raise OutputError("output {} cannot listen at {}: {}".format(self._name, self._address.text, reason(e)))

    @property
    def port(self) -> int:
        return 0 if self._socket is None else int(self._socket.getsockname()[1])

    def received(self) -> Iterator[Tuple[bytes, Tuple[str, int]]]:
        """What came since the last call, and from whom (host, port); at most MOST_AT_ONCE, and for MOST_S. Of one longer
        than LARGEST the beginning."""
        over_at = clock.monotonic() + MOST_S
        heard: Dict[Tuple[str, int], int] = {}
        for _ in range(MOST_AT_ONCE):
            if self._socket is None or clock.monotonic() > over_at:
                return
            try:
                size, sender = self._socket.recvfrom_into(self._read)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an answer of ours was refused: no datagram
                continue
            place = (sender[0], sender[1])
            heard[place] = heard.get(place, 0) + 1
            if heard[place] > MOST_OF_ONE:
                self.refused += 1
                continue
            yield bytes(self._read[:size]), place

    def send(self, data: bytes, to: Tuple[str, int]) -> bool:
        """False: it cannot be sent now."""
        try:
            return self._socket is not None and self._socket.sendto(data, to) == len(data)
        except OSError:
            return False

    def close(self) -> None:
        """May be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _resolved(name: str, address: Address) -> Tuple[int, Tuple[str, int]]:
    try:
        found = socket.getaddrinfo(address.host, address.port, 0, socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as e:
        raise OutputError("output {}: there is no host {}: {}".format(name, address.host, getattr(e, "strerror", None) or e))
    family, _, _, _, place = found[0]
    return family, place[:2] if len(place) == 2 else place  # type: ignore[return-value]
