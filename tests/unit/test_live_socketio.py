"""socket.io: the texts of both generations, the payload that their pages read, pings, and what a server refuses."""
import json
import math
import re
import socket
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_web import exchange, made, record, upgrade
from patience import PATIENCE_S, wait_until

from edge.core.errors import OutputError
from edge.geometry.rotation import from_angles
from edge.outputs.live.loop import Loop
from edge.outputs.live.signals import at_rest
from edge.outputs.live.socketio import frames
from edge.outputs.live.socketio.link import SHORTEST_PING_S
from edge.outputs.live.socketio.payload import payload
from edge.outputs.live.socketio.sessions import JOIN_S, MOST_SESSIONS, Session, Sessions
from edge.outputs.live.web.server import MOST_HEAD

TEXTS = st.text(max_size=30).map(lambda text: "4" + text.replace("\x1e", ""))


def face(yaw=0.0, pitch=0.0, roll=0.0, **changes):
    return at_rest()._replace(rotation=from_angles(yaw, pitch, roll), tracked=True, **changes)


def test_the_head_is_in_three_js_exactly_ours():
    euler = payload(face(-10.0, 15.0, 5.0))["euler"]
    assert euler == [-15.0, 10.0, -5.0]
    x, y, z = (math.radians(angle) for angle in euler)  # three.js: Rx Ry Rz for its order XYZ
    rx = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    ry = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    rz = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    assert np.allclose(rx.dot(ry).dot(rz), from_angles(-10.0, 15.0, 5.0), atol=1e-6)


def test_eyes_and_lids_have_their_signs_units_and_order():
    told = payload(face(gaze={"right": (20.0, -10.0), "left": (10.0, -10.0)}, eye_open={"right": 0.2, "left": 1.0}))
    assert told["eye"] == [round(-math.radians(15.0), 4), round(math.radians(10.0), 4)]
    assert told["blink"] == [0.3, 0.06]  # the subject's left first; the right is closed: below 0.1


@pytest.mark.parametrize("mouth_open, changes", [
    (0.0, 0), (0.05, 0), (0.12, 1), (0.22, 1), (0.25, 2), (0.5, 2), (0.55, 3), (1.0, 3)])
def test_the_mouth_passes_the_thresholds_of_their_page(mouth_open, changes):
    ratio = payload(face(mouth_open=mouth_open))["mouth"]
    assert sum(ratio > threshold for threshold in (0.2, 0.4, 0.6)) == changes and 0.0 <= ratio < 1.0


def test_what_is_not_finite_is_at_rest():
    nan = float("nan")
    told = payload(face(gaze={"right": (nan, nan), "left": (0.0, 0.0)}, eye_open={"right": nan, "left": 1.0}, mouth_open=nan,
                        shapes={"jawOpen": nan}))
    assert told == {"euler": [0.0, 0.0, 0.0], "eye": [0.0, 0.0], "mouth": 0.0, "blink": [0.3, 0.0], "shapes": {"jawOpen": 0.0}}


@pytest.mark.parametrize("text, expected", [
    (frames.packet(frames.CONNECT), "40"), (frames.packet(frames.CONNECT, "/kizuna"), "40/kizuna,"),
    (frames.packet(frames.CONNECT, "/kizuna", {"sid": "a"}), '40/kizuna,{"sid":"a"}'),
    (frames.event("result_data", {"mouth": 0.5}), '42/kizuna,["result_data",{"mouth":0.5}]'),
    (frames.packet(frames.ERROR, "/x", "Invalid namespace"), '44/x,"Invalid namespace"'),
    (frames.joined(["40", "2"], 4), "40\x1e2"), (frames.joined(["40", "42[1]"], 3), "2:405:42[1]"),
    (frames.opening("a", 25.0, 20.0, 9, True),
     '0{"sid":"a","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":9}')])
def test_texts_are_as_the_protocol_writes_them(text, expected):
    assert text == expected


@pytest.mark.parametrize("text, expected", [
    ("0", ("0", "/", "")), ("0/kizuna", ("0", "/kizuna", "")), ("0/kizuna,", ("0", "/kizuna", "")),
    ("0/kizuna?token=1,", ("0", "/kizuna", "")), ('0/kizuna,{"sid":"a"}', ("0", "/kizuna", '{"sid":"a"}')),
    ('2/kizuna,7["a","/b"]', ("2", "/kizuna", '["a","/b"]')), ('2["a"]', ("2", "/", '["a"]')),
    ('51-/kizuna,["a",{"_placeholder":true}]', ("5", "/kizuna", '["a",{"_placeholder":true}]'))])
def test_packets_of_both_generations_are_read(text, expected):
    assert tuple(frames.read(text)) == expected


@pytest.mark.parametrize("text", ["", "7", "x", "\0"])
def test_no_packet_is_told(text):
    with pytest.raises(ValueError):
        frames.read(text)


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_payloads_read_back(texts):
    def units(text):
        return len(text.encode("utf-16-le")) // 2
    assert frames.split("\x1e".join(texts).encode("utf-8"), 4) == texts
    assert frames.split("".join("{}:{}".format(units(text), text) for text in texts).encode("utf-8"), 3) == texts
    binary = b"".join(b"\0" + bytes(int(digit) for digit in str(len(text.encode("utf-8")))) + b"\xff" + text.encode("utf-8")
                      for text in texts)
    assert frames.split(binary, 3) == texts


@given(st.binary(max_size=60), st.sampled_from([3, 4]),
       st.sampled_from([b"", b"\0", b"\1", b"3:", b"99999999999:", b"\0\1\xff"]))
def test_a_payload_of_anything_is_packets_or_a_value_error(data, generation, start):
    try:
        assert len(frames.split(start + data, generation)) <= frames.MOST_PACKETS
    except ValueError as e:
        assert str(e)


@pytest.mark.parametrize("payload_text, generation", [
    (b"1:2" * 33, 3), (b"\x1e" * 33, 4), (b"5:2", 3), (b":2", 3), (b"-1:2", 3), (b"999999999:2", 3), (b"\0\1\xff", 3),
    (b"\0\xff2", 3), (b"\0\x0b\xff2", 3), (b"d=1%3A2", 3), (b"\xff\xfe", 4)])
def test_a_payload_that_is_none_is_refused(payload_text, generation):
    with pytest.raises(ValueError):
        frames.split(payload_text, generation)


@pytest.mark.parametrize("text", ["", "40", "0", "0[]", "0{}", '0{"pingInterval":"1","pingTimeout":1}', "0" + "[" * 5000,
                                  '0{"pingInterval":true,"pingTimeout":1}', '0{"pingInterval":-1,"pingTimeout":1}',
                                  '0{"pingInterval":NaN,"pingTimeout":1}'])
def test_a_first_packet_without_times_is_no_server(text):
    with pytest.raises(ValueError):
        frames.read_opening(text)


# the client, before servers of a few lines


@pytest.fixture
def standin():
    """standin(handler) -> port of a WebSocket server that calls handler(response) for its only client."""
    loop, closing = Loop("stand-in").start(), []

    async def begin(handler):
        from aiohttp import web

        async def serve(request):
            response = web.WebSocketResponse()
            await response.prepare(request)
            await handler(response)
            return response
        runner = web.ServerRunner(web.Server(serve))
        await runner.setup()
        closing.append(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return site._server.sockets[0].getsockname()[1]

    yield lambda handler: loop.run(begin(handler), PATIENCE_S)
    for close in closing:
        loop.run(close(), PATIENCE_S)
    loop.close(PATIENCE_S)


OPENING = '0{"sid":"a","upgrades":[],"pingInterval":%d,"pingTimeout":600000}'


def test_an_old_server_is_pinged_and_a_new_ones_pings_are_answered(standin):
    said = {3: [], 4: []}

    async def old(response):
        await response.send_str(OPENING % 20)
        await response.send_str("40")
        said[3].append((await response.receive()).data)
        await response.send_str("40/kizuna,")
        while len(said[3]) < 4:
            said[3].append((await response.receive()).data)
            await response.send_str("3")
        await response.receive()

    async def new(response):
        await response.send_str(OPENING % 600000)
        said[4].append((await response.receive()).data)
        await response.send_str('40/kizuna,{"sid":"b"}')
        while len(said[4]) < 4:
            await response.send_str("2")
            said[4].append((await response.receive()).data)
        await response.receive()

    outputs = [made("socketio://", ("127.0.0.1", standin(handler))) for handler in (old, new)]
    for output in outputs:
        output.open()
    wait_until(lambda: all(len(texts) == 4 for texts in said.values()))
    assert said == {3: ["40/kizuna,", "2", "2", "2"], 4: ["40/kizuna,", "3", "3", "3"]}
    assert [output._link.generation for output in outputs] == [3, 4]
    for output in outputs:
        output.tick()
        output.close()


@pytest.mark.parametrize("texts, why", [
    (["40"], "is no socket.io server: no OPEN packet"),
    ([OPENING % 600000, '44/kizuna,{"message":"Invalid namespace"}'], "is a socket.io server without /kizuna"),
    ([OPENING % 600000, "41/kizuna,"], "is a socket.io server without /kizuna"),
    ([OPENING % 600000], "is gone: it closed the connection")])
def test_why_there_is_no_connection_is_one_line(standin, texts, why):
    async def serve(response):
        for text in texts:
            await response.send_str(text)

    output = made("socketio://", ("127.0.0.1", standin(serve)))
    with pytest.raises(OutputError) as error:
        output.open()
    assert why in str(error.value) and "\n" not in str(error.value) and str(error.value).startswith("output socketio://")
    output.close()


@pytest.mark.parametrize("said, why", [("2", "it sends too much"), ("x" * 70000, "it closed the connection"),
                                       (None, "it sends too much")], ids=["messages", "a huge one", "pings"])
def test_a_server_that_floods_us_is_left(standin, said, why):
    async def serve(response):
        await response.send_str(OPENING % 600000)
        await response.send_str("40/kizuna,{}")
        for _ in range(20000):
            await (response.ping(b"x") if said is None else response.send_str(said))
        await response.receive()  # until we leave: one that ends by itself may be seen to before its messages are read

    output = made("socketio://", ("127.0.0.1", standin(serve)))
    output.open()
    wait_until(lambda: output._link.lost)
    assert why in output._link.lost
    output.close()


@pytest.mark.parametrize("interval", ["1e-300", "0.001"])
def test_a_server_that_wants_to_be_pinged_all_the_time_is_pinged_as_often_as_makes_sense(standin, interval):
    pings = []

    async def serve(response):
        await response.send_str('0{"sid":"a","upgrades":[],"pingInterval":%s,"pingTimeout":600000}' % interval)
        await response.send_str("40")
        await response.send_str("40/kizuna,")
        while True:
            pings.append((time.monotonic(), (await response.receive()).data))

    output = made("socketio://", ("127.0.0.1", standin(serve)))
    output.open()
    wait_until(lambda: len(pings) > 6)
    assert pings[6][0] - pings[1][0] >= 4 * SHORTEST_PING_S
    output.close()


def test_a_server_that_leads_elsewhere_is_not_followed():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        output = made("socketio://", server.getsockname())
        answer = threading.Thread(target=lambda: server.accept()[0].sendall(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"))
        answer.start()
        with pytest.raises(OutputError, match="it leads elsewhere"):
            output.open()
        answer.join()
        output.close()


def test_a_connection_that_ends_is_told_with_the_next_frame_or_tick(standin):
    async def serve(response):
        await response.send_str(OPENING % 600000)
        await response.receive()
        await response.send_str("40/kizuna,{}")

    output = made("socketio://", ("127.0.0.1", standin(serve)))
    output.open()
    wait_until(lambda: output._link.lost)
    with pytest.raises(OutputError, match="is gone: it closed the connection"):
        output.tick()
    output.close()
    with pytest.raises(OutputError, match="is closed"):
        output.emit(record())


# the server


@pytest.fixture
def server():
    one = made("socketio-server://:6789?origin=https://example.org")
    one.open()
    yield one
    one.close()


def ask(server, query, method="GET", body="", **headers):
    """(status, headers, text)"""
    lines = ["{} /socket.io/?{} HTTP/1.1".format(method, query), "Host: 127.0.0.1", "Connection: close",
             "Content-Length: {}".format(len(body))]
    lines += ["{}: {}".format(name.replace("_", "-"), value) for name, value in headers.items()]
    said = exchange(server.port, "\r\n".join(lines + ["", body]).encode(), b"never").decode()
    head, _, text = said.partition("\r\n\r\n")
    return int(head.split()[1]), head.lower(), text


def opened(server, generation):
    """The id of a session over long polling, joined."""
    _, _, text = ask(server, "EIO={}&transport=polling".format(generation))
    if generation == 3:
        assert text.startswith(re.match(r"\d+:", text).group() + "0{") and text.endswith("2:40")
    sid = re.search('"sid":"([^"]+)"', text).group(1)
    query = "EIO={}&transport=polling&sid={}".format(generation, sid)
    status, _, text = ask(server, query, "POST", "10:40/kizuna," if generation == 3 else "40/kizuna,")
    assert (status, text) == (200, "ok")
    assert "40/kizuna," in ask(server, query)[2]
    return query


@pytest.mark.parametrize("query, status, code", [
    ("EIO=2&transport=polling", 400, 5), ("transport=polling", 400, 5), ("EIO=4&transport=flashsocket", 400, 0),
    ("EIO=4&transport=polling&sid=unknown", 400, 1), ("EIO=4&transport=websocket", 400, 3), ("EIO=4", 400, 0)])
def test_a_wrong_request_has_its_error_of_engine_io(server, query, status, code):
    told, _, text = ask(server, query)
    assert told == status and json.loads(text)["code"] == code and server.more_counts()["refused"] == 1


@pytest.mark.parametrize("generation", [3, 4])
def test_a_poll_gets_the_newest_frame_and_no_frame_without_a_face(server, generation):
    query = opened(server, generation)
    assert server.condition == "1 receiver"
    server.emit(record(faces=0))
    for mouth in (0.0, 0.35, 1.0):
        server.emit(record(expression={"mouth_open": mouth}))
    first = ask(server, query)[2]
    server.tick()
    second = ask(server, query)[2]
    mouths = re.findall('"mouth":([0-9.]+)', first + second)
    assert mouths == ["0.0", "0.7407"] and server.more_counts()["skipped"] == 1


def test_a_page_of_an_allowed_origin_may_read_and_no_other(server):
    status, head, _ = ask(server, "EIO=4&transport=polling", Origin="https://example.org")
    assert status == 200 and "access-control-allow-origin: https://example.org" in head and "credentials: true" in head
    status, head, _ = ask(server, "EIO=4&transport=polling", "OPTIONS", Origin="http://localhost:8000",
                          Access_Control_Request_Private_Network="true")
    assert status == 204 and "allow-private-network: true" in head and "allow-headers: content-type" in head
    status, head, _ = ask(server, "EIO=4&transport=polling", Origin="https://evil.example")
    assert status == 403 and "access-control" not in head
    assert exchange(server.port, upgrade("evil.example", "/socket.io/?EIO=4&transport=websocket")).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("body", ["", "x", "9" * 40, "4" * 2000, "40/" + "x" * 2000, "44\x1e" * 40, "2" * 30])
def test_any_body_of_a_session_leaves_the_others_alone(server, body):
    good, bad = opened(server, 4), opened(server, 4)
    for _ in range(5):
        assert ask(server, bad, "POST", body)[0] in (200, 400)
    server.emit(record(expression={"mouth_open": 0.35}))
    assert '"mouth":0.5' in ask(server, good)[2]


def test_a_body_that_is_too_long_ends_its_connection(server):
    query = opened(server, 4)
    body = "4" * (4 * MOST_HEAD)
    try:
        exchange(server.port, "POST /socket.io/?{} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{}".format(
            query, len(body), body).encode())
    except OSError:
        pass
    wait_until(lambda: server.more_counts()["refused"] >= 1)
    assert ask(server, query, "POST", "3")[0] == 200


def test_sessions_are_bounded_and_those_that_joined_stay():
    sessions = Sessions()
    first = sessions.begin(4, 0.0)
    first.joined = True
    others = [sessions.begin(4, 0.0) for _ in range(3 * MOST_SESSIONS)]
    assert len(sessions._all) == MOST_SESSIONS and sessions.get(first.sid) is first and others[0].over
    for one in sessions._all.values():
        one.joined = True
    assert sessions.begin(4, 0.0) is None and sessions.refused == 2 * MOST_SESSIONS + 2


def test_sessions_that_are_silent_or_join_nothing_end_and_others_are_pinged():
    sessions = Sessions()
    silent, alive, idle, old = (sessions.begin(generation, 0.0) for generation in (4, 4, 4, 3))
    silent.joined = alive.joined = old.joined = True
    assert list(sessions.look_after(JOIN_S + 1.0)) == [idle]
    sessions.end(idle)
    alive.heard_at = old.heard_at = 40.0
    assert list(sessions.look_after(46.0)) == [silent] and alive._packets == ["2"] and old._packets == []


def test_a_session_that_fetches_nothing_holds_no_more_than_some_packets():
    session = Session(4, 0.0)
    for _ in range(1000):
        session.say("3")
        if session.over:
            break
    assert session.over and len(session._packets) < 200
