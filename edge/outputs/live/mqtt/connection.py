"""paho-mqtt without its threads: each call does what the socket allows now, and the Sender decides when to connect again."""
import selectors
import ssl
import struct
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

from edge.core import clock
from edge.core.errors import OutputError
from edge.core.rules import Address
from edge.host.reading import reason
from edge.outputs.live.mqtt.messages import Message

CONNECT_S = 2.0  # until the broker took us
FLUSH_S = 1.0  # for the last words
STALLED_S = 10.0  # a broker that takes nothing for so long is gone
KEEPALIVE_S = 10  # one and a half of it after the power went the broker tells our will
MOST_PACKETS = 64  # that are read at a time
# bytes that a broker may send: it is asked for a few short messages. What is more would fill the memory
ALLOWED, ALLOWED_PER_S = 1 << 18, 1 << 10
REFUSED = (4, 5, 134, 135)  # codes of MQTT 3.1.1, and what paho 2 makes of them
# of a broker that does not keep to the protocol, paho raises whatever its parsing stumbles over
BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error)


class Login(NamedTuple):
    user: str = ""
    password: str = ""
    tls: bool = False
    ca_file: Optional[str] = None


class Received(NamedTuple):
    topic: str
    payload: bytes
    retained: bool


class TooMuch(OutputError):
    """The broker sends more than it was asked for."""


class Connection:
    """To one broker; a new one for each attempt."""

    def __init__(self, name: str, address: Address, login: Login, will: Message, client_id: str) -> None:
        self._name, self._address = name, address
        self._client: Any = _client(client_id)
        self._client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        if login.user:
            self._client.username_pw_set(login.user, login.password or None)
        self._login = login
        self._selector = selectors.DefaultSelector()
        self._code: Optional[Any] = None  # of the broker's answer
        self._received: List[Received] = []
        self._began = self._free_at = clock.monotonic()
        self._taken = 0
        self._too_much = False
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    def open(self) -> None:
        """Raises OutputError where the broker does not take us within CONNECT_S."""
        self._client._connect_timeout = CONNECT_S  # paho 1.6 has no name for it
        self._count_bytes()
        try:
            if self._login.tls:
                self._client.tls_set(ca_certs=self._login.ca_file)
            self._client.connect(self._address.host, self._address.port, KEEPALIVE_S)
            self._selector.register(self._client.socket(), selectors.EVENT_READ)
        except ssl.SSLError as e:
            raise self._error("{} is no broker with a certificate that is trusted: {}; see ca_file=".format(
                self._address.text, reason(e)))
        except (OSError, ValueError) as e:
            where = " (ca_file {})".format(self._login.ca_file) if self._login.ca_file else ""
            raise self._error("no broker at {}: {}{}".format(self._address.text, reason(e), where))
        end = clock.monotonic() + CONNECT_S
        while self._code is None:
            left_s = end - clock.monotonic()
            if left_s <= 0.0:
                raise self._error("{} does not answer as an MQTT broker does".format(self._address.text))
            self._turn(min(0.1, left_s))
        self._check_code()

    def _check_code(self) -> None:
        if self._code in REFUSED:
            cure = "check user= and password_file=" if self._login.user else "it wants user= and password_file="
            raise self._error("the broker at {} refuses the login: {}".format(self._address.text, cure))
        if self._code != 0:
            raise self._error("the broker at {} refuses: {}".format(self._address.text, self._code))

    @property
    def free(self) -> bool:
        """All that was published is sent; else something newer may come before more is queued."""
        return not self._client.want_write()

    def subscribe(self, topics: Sequence[str]) -> None:
        self._do(lambda: self._client.subscribe([(topic, 0) for topic in topics]))

    def publish(self, message: Message) -> None:
        self._do(lambda: self._client.publish(message.topic, message.payload, 0, message.retain))

    def step(self) -> List[Received]:
        """What came. Raises OutputError when the connection is gone."""
        self._turn(0.0)
        now = clock.monotonic()
        if self.free:
            self._free_at = now
        elif now - self._free_at > STALLED_S:
            raise self._error("the broker at {} takes nothing any more".format(self._address.text))
        received, self._received = self._received, []
        return received

    def close(self, flush: bool = True) -> None:
        """A clean end: the will is not told. May be called twice."""
        client, self._client = self._client, None
        self._selector.close()
        if client is None:
            return
        try:
            end = clock.monotonic() + FLUSH_S
            client.disconnect()
            with selectors.DefaultSelector() as writable:
                if flush and client.socket() is not None and client.want_write():
                    writable.register(client.socket(), selectors.EVENT_WRITE)
                    while client.socket() is not None and client.want_write() and clock.monotonic() < end:
                        writable.select(0.1)
                        client.loop_write()
            if client.socket() is not None:
                client.socket().close()
        except BROKEN:
            pass  # it is over in any case

    def _turn(self, wait_s: float) -> None:
        """Read what is there, write what waits, keep alive."""
        ended = 0
        for _ in range(MOST_PACKETS):
            taken = self._client.socket()
            if ended or taken is None or not (self._selector.select(wait_s) or self._pending(taken)):
                break
            wait_s = 0.0
            ended = self._do(self._client.loop_read)
        if not ended and self._client.want_write():
            ended = self._do(self._client.loop_write)
        ended = ended or self._do(self._client.loop_misc)
        if self._too_much:
            raise TooMuch("output {}: the broker at {} sends more than it was asked for".format(
                self._name, self._address.text))
        if self._code not in (None, 0):
            self._check_code()
        if ended or self._client.socket() is None:
            raise self._error("the broker at {} has closed the connection".format(self._address.text))

    @staticmethod
    def _pending(connected: Any) -> bool:
        """What TLS has read of the socket already."""
        return isinstance(connected, ssl.SSLSocket) and connected.pending() > 0

    def _do(self, call: Callable[[], Any]) -> int:
        try:
            result = call()
        except BROKEN as e:
            raise self._error("the broker at {} does not keep to MQTT: {}".format(self._address.text, reason(e)))
        return int(result) if isinstance(result, int) else 0

    def _count_bytes(self) -> None:
        """paho keeps a message of any size, and any number of those of QoS 2."""
        receive = self._client._sock_recv

        def counted(size: int) -> bytes:
            data: bytes = receive(min(size, 1 << 14))
            self._taken += len(data)
            if self._taken > ALLOWED + ALLOWED_PER_S * (clock.monotonic() - self._began):
                self._too_much = True
                raise ConnectionError("too much")
            return data

        self._client._sock_recv = counted

    def _on_connect(self, *told: Any) -> None:
        self._code = told[3]

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        self._received.append(Received(message.topic, message.payload, bool(message.retain)))

    def _error(self, text: str) -> OutputError:
        return OutputError("output {}: {}".format(self._name, text))


def _client(client_id: str) -> Any:
    import paho.mqtt.client as client

    if hasattr(client, "CallbackAPIVersion"):  # paho 2
        return client.Client(client.CallbackAPIVersion.VERSION2, client_id=client_id)
    return client.Client(client_id=client_id)
