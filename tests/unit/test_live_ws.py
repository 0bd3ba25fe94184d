"""ws://: what is sent, who may connect, and that one client is never another's."""
import json

import numpy as np
import pytest
from live_web import event, exchange, made, record, upgrade
from patience import wait_until

from edge.core.errors import OutputError
from edge.outputs.live.web.origin import host_is_ours, origin_is_allowed
from edge.outputs.live.web.receivers import MOST_EVENTS, STALLED_S, Message, Receivers, WebSocketPeer, message
from edge.outputs.live.web.ws import encode

POINTS = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def output():
    one = made("ws://:8765?origin=https://Example.org/")
    one.open()
    yield one
    one.close()


def told(*args):
    return [json.loads(text) for text in encode(*args)]


def test_events_are_messages_of_their_own_behind_their_record():
    item = dict(record(7), events=[event(1)])
    assert told(item, [event(0), event(1)], False, True) == [
        {key: value for key, value in item.items() if key != "events"}, event(0), event(1)]
    assert told(None, [event(3)], False, True) == [event(3)]
    assert told(None, [], False, True) == []


def test_points_are_lists_where_they_were_asked_for_and_else_absent():
    item = record(landmarks=POINTS, eye_contours={"right": POINTS[:, :2]})
    face = told(item, [], True, True)[0]["faces"][0]
    assert face["landmarks"] == POINTS.tolist() and face["eye_contours"] == {"right": POINTS[:, :2].tolist()}
    face = told(item, [], False, True)[0]["faces"][0]
    assert not {"landmarks", "eye_contours"} & set(face) and face["box"] == record()["faces"][0]["box"]


def test_shapes_that_another_output_asked_for_are_left_out():
    item = record(expression={"mouth_open": 0.1, "jawOpen": 0.2}, missing={"browDownLeft": "far", "gaze": "eyes shut"})
    face = told(item, [], False, False)[0]["faces"][0]
    assert face["expression"] == {"mouth_open": 0.1} and face["missing"] == {"gaze": "eyes shut"}
    assert told(item, [], False, True)[0]["faces"][0]["expression"]["jawOpen"] == 0.2


@pytest.mark.parametrize("text, parts", [
    ("ws://", (False, True, True)), ("ws://?landmarks=true", (True, True, True)),
    ("ws://?shapes=false&events=false", (False, False, False))])
def test_it_asks_for_what_its_keys_say(text, parts):
    assert tuple(made(text).parts) == parts + (False, False)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70000])
def test_a_frame_reads_back(size):
    frame = message("x" * size).frame
    assert frame[0] == 0x81
    short, rest = frame[1], frame[2:]
    length = int.from_bytes(rest[:{126: 2, 127: 8}[short]], "big") if short > 125 else short
    header = 2 if size < 126 else 4 if size < 65536 else 10
    assert length == size and frame.endswith(b"x" * size) and len(frame) == size + header


class Transport:
    def __init__(self):
        self.waits, self.sent, self.aborted = 0, [], False
        self.peer = WebSocketPeer(self)

    def get_write_buffer_size(self):
        return self.waits

    def is_closing(self):
        return self.aborted

    def write(self, data):
        self.sent.append(data)

    def abort(self):
        self.aborted = True


def frames(*texts):
    return [Message(text, text.encode()) for text in texts]


def test_a_client_that_does_not_read_gets_the_newest_message_and_all_events_later_and_others_lose_nothing():
    receivers, slow, quick = Receivers(), Transport(), Transport()
    receivers.add(slow.peer)
    receivers.add(quick.peer)
    slow.waits = 1
    for i in range(5):
        newest, told = frames("m{}".format(i), "e{}".format(i))
        receivers.tell(newest, [told], float(i))
    assert slow.sent == [] and quick.sent == [b"m%de%d" % (i, i) for i in range(5)] and receivers.skipped == 4
    slow.waits = 0
    receivers.tell(None, [], 5.0)
    receivers.tell(None, [], 5.1)
    assert slow.sent == [b"m4e0e1e2e3e4"] and len(quick.sent) == 5


def test_a_client_that_stands_still_is_cut_off_and_what_waits_for_it_is_bounded():
    receivers, slow = Receivers(), Transport()
    receivers.add(slow.peer)
    slow.waits = 1
    receivers.tell(None, frames("e") * (3 * MOST_EVENTS), 0.0)
    receivers.tell(None, frames("f"), STALLED_S)
    assert not slow.aborted and len(receivers) == 1
    slow.waits = 0
    receivers.tell(None, [], STALLED_S)
    assert slow.sent == [b"e" * (MOST_EVENTS - 1) + b"f"]
    slow.waits = 1
    receivers.tell(frames("m")[0], [], 100.0)
    receivers.tell(frames("m")[0], [], 100.1 + STALLED_S)
    assert slow.aborted and len(receivers) == 0 and receivers.counts() == {"cut_off": 1, "skipped": 1}


@pytest.mark.parametrize("host, ours", [
    ("localhost:8765", True), ("LOCALHOST", True), ("127.0.0.1:8765", True), ("127.1.2.3", True), ("[::1]:8765", True),
    ("192.0.2.5:8765", True), ("box.local", True), ("box.local.:80", True), ("[::ffff:192.0.2.5]:80", True),
    ("192.0.2.6:8765", False), ("evil.example", False), ("localhost.evil.example:8765", False),
    ("127.0.0.1.evil.example", False),
    ("0.0.0.0:8765", False), ("", False), (None, False), ("[::1", False), ("::", False)])
def test_the_host_of_a_request_is_this_machine_or_it_is_refused(host, ours):
    assert host_is_ours(host, ["192.0.2.5", "Box.local"]) == ours


@pytest.mark.parametrize("headers, allowed", [
    ({}, True), ({"Origin": "http://localhost:3000"}, True), ({"Origin": "https://127.0.0.1"}, True),
    ({"Origin": "http://[::1]:80"}, True), ({"Origin": "https://example.org"}, True),
    ({"Origin": "https://EXAMPLE.org"}, True),
    ({"Origin": "http://example.org"}, False), ({"Origin": "null"}, False), ({"Origin": ""}, False),
    ({"Origin": "http://localhost.evil.example"}, False), ({"Origin": "http://127.0.0.1.evil.example"}, False),
    ({"Origin": "http://localhost:3000\n"}, False), ({"Origin": "file://"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, True), ({"Sec-Fetch-Site": "none"}, True)])
def test_a_page_connects_only_from_this_machine_or_from_where_the_user_said(headers, allowed):
    assert origin_is_allowed(headers, ["https://example.org"]) == allowed


@pytest.mark.parametrize("request_bytes, status", [
    (upgrade(), b"101"), (upgrade("localhost:80"), b"101"), (upgrade(Origin="http://localhost:8000"), b"101"),
    (upgrade(Origin="https://example.org"), b"101"), (upgrade(Origin="https://evil.example"), b"403"),
    (upgrade("evil.example"), b"403"), (upgrade(path="/other"), b"404"), (upgrade().replace(b"n: 13", b"n: 9"), b"400"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"200"),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx", b"404"),
    (b"GET / HTTP/1.0\r\n\r\n", b"403"), (b"\x16\x03\x01 garbage\r\n\r\n", b"400")])
def test_requests_are_answered_as_they_deserve(output, request_bytes, status):
    head = exchange(output.port, request_bytes)
    assert head.split(b" ")[1] == status, head


def test_no_compression_is_agreed_to(output):
    head = exchange(output.port, upgrade(Sec_WebSocket_Extensions="permessage-deflate"))
    assert head.startswith(b"HTTP/1.1 101") and b"deflate" not in head.lower()


def test_a_browser_is_told_in_one_line_what_this_is(output):
    said = exchange(output.port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\n\n")
    assert said.partition(b"\r\n\r\n")[2].startswith(b"nanoface: a WebSocket") and said.count(b"docs/records.md") == 1


def test_a_taken_port_is_told_in_one_line(output):
    with pytest.raises(OutputError, match=r"output ws://\S* cannot listen at 127.0.0.1:\d+: Address already in use"):
        made("ws://:8765", ("127.0.0.1", output.port)).open()


def test_it_can_be_opened_again_and_counts_on(output):
    exchange(output.port, upgrade("evil.example"))
    wait_until(lambda: output.more_counts()["refused"] == 1)
    for _ in range(3):
        output.close()
        output.close()
        output.send(record(), [], 0.0)
        output.open()
    assert exchange(output.port, upgrade()).startswith(b"HTTP/1.1 101") and output.more_counts()["refused"] == 1
