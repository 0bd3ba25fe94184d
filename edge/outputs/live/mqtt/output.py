"""The output: what to publish now, to a broker that comes and goes."""
import logging
import os
from collections import deque
from typing import Any, Deque, List, Optional

from edge.core import clock
from edge.core.errors import OutputError
from edge.core.parts import SHAPES
from edge.host.reading import readable_by_all, reason, single_line
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.mqtt import messages
from edge.outputs.live.mqtt.claim import ANOTHERS, OURS, RELEASE, Claim, Saying
from edge.outputs.live.mqtt.connection import Connection, Login, Received, TooMuch
from edge.outputs.live.mqtt.deadbands import EVERY_S, Told
from edge.outputs.live.mqtt.identity import box_id
from edge.outputs.live.mqtt.messages import Message, Topics
from edge.outputs.live.mqtt.quantities import QUANTITIES, SHAPE, Reading
from edge.outputs.live.output import LiveOutput, Record

OLDEST_S = 10.0  # an event that comes later than so is not told: who hears of it would take it for one of now
MOST_WAITING = 100  # messages of events
AGAIN_S = 1.0  # between two answers to the same message
log = logging.getLogger(__name__)


class MqttOutput(LiveOutput):
    """mqtt://BROKER[/TOPIC]. The Sender connects again; here nothing waits longer than Connection.open()."""

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        keys = spec.keys
        self.landmarks, self.landmarks68, self.shapes = False, False, bool(keys.get("shapes", False))
        box = keys.get("id") or box_id()
        self.topics = Topics(spec.topic or "nanoface/" + box, box, keys.get("discovery_prefix", messages.HOMEASSISTANT))
        self._discovery = bool(keys.get("homeassistant", True))
        every_s, factor = keys.get("every", EVERY_S), keys.get("deadband", 1.0)
        self._reading = Reading(every_s / EVERY_S)
        self._state = Told(QUANTITIES, every_s, factor, "presence")
        self._shapes = Told(dict.fromkeys(SHAPES, SHAPE), every_s, factor)
        self._run = os.urandom(8).hex()
        self._claims = {topic: Claim(self._run) for topic in self.topics.owners}
        self._connection: Optional[Connection] = None
        self._online = self._deaf = False  # deaf: nothing is subscribed to
        self._events_waiting: Deque[Message] = deque(maxlen=MOST_WAITING)
        self._answered_at = float("-inf")
        self._published = self._late = self._ignored = 0

    @property
    def condition(self) -> str:  # type: ignore[override]
        if self._connection is None:
            return ""
        if any(claim.state == ANOTHERS for claim in self._claims.values()):
            return "another nanoface is {} at this broker: give this one a name of its own, id=NAME".format(self.topics.prefix)
        if not self._online:
            return "asks whether another nanoface is {}".format(self.topics.prefix)
        if any(claim.asked(clock.monotonic()) for claim in self._claims.values()):
            return "another nanoface wants to be {} at this broker: give it a name of its own, id=NAME".format(
                self.topics.prefix)
        return "the broker sent more than it was asked for: nothing of it is read" if self._deaf else ""

    def more_counts(self) -> Any:
        return {"messages": self._published, "late": self._late, "refused": self._ignored}

    def open(self) -> None:
        connection = Connection(self.name, self._address(), self._login(), messages.status(self.topics, False),
                                "nanoface-" + self._run)
        try:
            connection.open()
            if not self._deaf:
                connection.subscribe(self.topics.owners + (self.topics.status,) + (
                    (self.topics.birth,) if self._discovery else ()))
        except OutputError:
            connection.close()
            raise
        self._connection, self._online = connection, False
        now = clock.monotonic()
        for topic, claim in self._claims.items():
            if self._deaf:
                claim.own(now)
            else:
                self._say(topic, claim.begin(now))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        online, self._online = self._online, False
        try:
            for topic in self._claims if online and not self._deaf else ():
                connection.publish(Message(topic, *RELEASE))
        except OutputError:
            pass  # it has gone before
        if online:
            connection.part(messages.status(self.topics, False))
        else:
            connection.close()

    def send(self, record: Optional[Record], events: List[Record], now: float) -> None:
        connection = self._open_one()
        try:
            for received in connection.step():
                self._take(received, now)
        except TooMuch:
            self._deaf = True
            raise
        self._reading.take(record, events, now)
        for event in events:
            self._wait_for_turn(event, record)
        for topic, claim in self._claims.items():
            self._say(topic, claim.step(now))
        if any(claim.state == ANOTHERS for claim in self._claims.values()):
            for topic, claim in self._claims.items():  # all or none: else each of two might have one, and both be silent
                self._say(topic, claim.give_up(now))
        if any(claim.state != OURS for claim in self._claims.values()):
            self._online = False
            self._events_waiting.clear()
        elif connection.free:
            self._tell(now)

    def _tell(self, now: float) -> None:
        """Newest wins: what could not be sent before is made anew."""
        if not self._online:
            self._announce()
            self._state.forget()
            self._shapes.forget()
        while self._events_waiting and self._open_one().free:
            self._publish(self._events_waiting.popleft())
        told = self._state.next(self._reading.values(now), now)
        if told is not None:
            self._publish(messages.state(self.topics, told))
        told = self._shapes.next(self._reading.shapes(now), now) if self.shapes else None
        if told is not None:
            self._publish(messages.shapes(self.topics, told))
        if not self._online:
            self._publish(messages.status(self.topics, True))
            self._online = True

    def _announce(self) -> None:
        if self._discovery:
            self._publish(messages.discovery(self.topics))

    def _take(self, received: Received, now: float) -> None:
        """One message of the broker; whatever is not expected is counted and forgotten."""
        topic, payload, retained = received
        if topic in self._claims:
            self._say(topic, self._claims[topic].take(payload, retained, now))
            return
        # our own "offline" as another's last will, such as that of a run of ours before this one
        again = {self.topics.status: messages.OFFLINE, self.topics.birth: messages.ONLINE}.get(topic)
        if retained or payload != again or not self._online:
            self._ignored += payload not in (messages.ONLINE, messages.OFFLINE)
        elif now - self._answered_at >= AGAIN_S:
            self._answered_at = now
            if topic == self.topics.birth:
                self._announce()
            self._publish(messages.status(self.topics, True))

    def _wait_for_turn(self, event: Record, record: Optional[Record]) -> None:
        at, now = event.get("captured_at"), None if record is None else record.get("captured_at")
        if at is not None and now is not None and now - at > OLDEST_S:
            self._late += 1
        else:
            self._events_waiting.append(messages.event(self.topics, event))

    def _say(self, topic: str, sayings: List[Saying]) -> None:
        for saying in sayings:
            self._publish(Message(topic, *saying))

    def _publish(self, message: Message) -> None:
        self._open_one().publish(message)
        self._published += 1

    def _open_one(self) -> Connection:
        if self._connection is None:
            raise OutputError("output {} is not connected".format(self.name))
        return self._connection

    def _address(self) -> Any:
        return self.spec.address

    def _login(self) -> Login:
        """Raises OutputError where the password cannot be read."""
        keys = self.spec.keys
        path, password = keys.get("password_file"), ""
        if path:
            try:
                password = single_line(path)
            except (OSError, ValueError) as e:
                raise OutputError("output {}: password_file {}: {}; write the password into it, on one line".format(
                    self.name, path, reason(e)))
            if readable_by_all(path):
                log.warning("%s holds a password and can be read by everybody on this machine: chmod o= %s", path, path)
        return Login(keys.get("user", ""), password, bool(keys.get("tls", False)), keys.get("ca_file"))


make = MqttOutput
