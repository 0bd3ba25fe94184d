"""Who has asked for datagrams, and for how long each gets them.

The sender of a request may be forged, so what is sent at a request is bounded: to the address that asked and none else, to a
limited number of ports, within the local networks unless told otherwise, for a limited time, and no longer than the port
is open. Each port has a connected socket, which learns of a refusal and takes in nothing.
"""
import errno
import ipaddress
import socket
from typing import Any, Callable, Dict, Optional, Set, Tuple

CLOSED_S = 3.0  # so long a port may refuse what comes: some programs ask first and listen then
OPEN_AFTER = 4  # datagrams without a refusal: Linux tells of it with every second one
TAILNETS = ipaddress.ip_network("100.64.0.0/10")


class Requesters:
    """Used in one thread; the counts may be read in any."""

    def __init__(self, most: int, anywhere: bool = False) -> None:
        """`anywhere`: also those beyond the local networks."""
        self.refused = 0  # requests that were valid, and are not served
        self._most, self._anywhere = most, anywhere
        self._served: Dict[Tuple[str, int], _Requester] = {}

    def __len__(self) -> int:
        return len(self._served)

    @property
    def forms(self) -> Set[str]:
        """What is asked for, each once."""
        return {requester.form for requester in self._served.values()}

    def take(self, host: str, port: int, form: str, until: float, now: float) -> bool:
        """Whether datagrams of this form go there from now on. Asked again, it is the later request that holds."""
        found = self._served.get((host, port))
        if found is None:
            if len(self._served) >= self._most:
                self._end(lambda requester: now >= requester.until)
            link = _connected(host, port) if len(self._served) < self._most and (self._anywhere or is_near(host)) else None
            if link is None:
                self.refused += 1
                return False
            found = self._served[(host, port)] = _Requester(link)
        found.form, found.until, found.closed_since = form, until, None
        return True

    def stop(self, host: str) -> None:
        for place in [place for place in self._served if place[0] == host]:
            self._served.pop(place).link.close()

    def send(self, datagrams: Callable[[str], bytes], now: float) -> None:
        """`datagrams` gives that of a form."""
        self._end(lambda requester: now >= requester.until or requester.send(datagrams(requester.form), now))

    def close(self) -> None:
        self._end(lambda requester: True)

    def _end(self, over: "Callable[[_Requester], bool]") -> None:
        for place in [place for place, requester in self._served.items() if over(requester)]:
            self._served.pop(place).link.close()


class _Requester:
    """A port of somebody who asked."""

    def __init__(self, link: Any) -> None:
        self.link = link
        self.form, self.until = "", 0.0
        self.closed_since: Optional[float] = None
        self._taken = 0  # datagrams since the last refusal

    def send(self, data: bytes, now: float) -> bool:
        """Whether that was the last one: nobody has listened there for a while."""
        try:
            self.link.send(data)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as e:
            if e.errno == errno.ENOBUFS:
                return False
            self._taken = 0
            if self.closed_since is None:
                self.closed_since = now
            return now - self.closed_since >= CLOSED_S
        self._taken += 1
        if self._taken >= OPEN_AFTER:
            self.closed_since = None
        return False


def is_near(host: str) -> bool:
    """On this machine, in a private network or on the same link. Not an address of many."""
    address: Any = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or address.is_unspecified or address.is_reserved and not address.is_loopback:
        return False
    return bool(address.is_loopback or address.is_private or address.is_link_local
                or address.version == 4 and address in TAILNETS)


def is_here(host: str) -> bool:
    """An address of this machine: what goes there comes from it."""
    link = _connected(host, 9)
    if link is None:
        return False
    with link:
        return bool(link.getsockname()[0] == host)


def _connected(host: str, port: int) -> Any:
    """None where no datagram can go there, as to a broadcast address."""
    link = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    link.setblocking(False)
    try:
        link.connect((host, port))
    except (OSError, OverflowError):
        link.close()
        return None
    return link
