"""ws:// with clients that others wrote, and through a Sender as in the relay."""
import json
import socket

import numpy as np
from live_web import event, made, record, upgrade
from patience import PATIENCE_S, wait_until

from edge.outputs.live.loop import Loop
from edge.outputs.live.web.receivers import MOST_EVENTS
from edge.outputs.live.web.ws import MOST_CLIENTS
from edge.outputs.sender import Sender


async def listen(url, got):
    import websockets

    async with websockets.connect(url) as connection:
        async for text in connection:
            got.append(json.loads(text))


def test_several_clients_get_records_and_events_with_points_as_lists():
    points = np.round(np.random.RandomState(1).rand(468, 3) * 640.0, 2)
    output = made("ws://?landmarks=true")
    sender, loop, clients = Sender(output), Loop("clients").start(), [[], [], []]
    sender.start()
    try:
        for got in clients:
            loop.spawn(listen("ws://localhost:{}".format(output.port), got))
        wait_until(lambda: sender.stats()["state"] == "3 receivers")
        sender.put(dict(record(5, landmarks=points), events=[event(1)]))
        wait_until(lambda: all(len(got) == 2 for got in clients))
        for got in clients:
            assert [one.get("event", one["frame"]) for one in got] == [5, "blink"]
            assert np.array_equal(got[0]["faces"][0]["landmarks"], points)
    finally:
        assert loop.close(PATIENCE_S) and sender.close(PATIENCE_S)
    assert sender.stats()["failed"] == 0 and not output._server._connections


def test_a_client_that_stops_reading_gets_the_newest_and_the_others_all():
    output = made("ws://?landmarks=true")
    output.open()
    loop, got, number = Loop("clients").start(), [], 0
    try:
        with socket.create_connection(("127.0.0.1", output.port), PATIENCE_S) as slow:
            slow.sendall(upgrade())
            loop.spawn(listen("ws://127.0.0.1:{}/".format(output.port), got))
            wait_until(lambda: output.condition == "2 receivers")
            points = np.ones((468, 3))
            while output.more_counts()["skipped"] < 5:
                number += 1
                output.emit(dict(record(number, landmarks=points), events=[event(number)]))
                wait_until(lambda: len(got) == 2 * number)  # noqa: B023 (it is called at once)
            said, last = b"", '"frame":{},'.format(number).encode()
            while last not in said:
                output.tick()
                said += slow.recv(1 << 20)
        assert [one["frame"] for one in got if "event" not in one] == list(range(1, number + 1))
        assert said.count(b'"event"') >= min(number - 1, MOST_EVENTS) and said.count(b'"landmarks"') < number
    finally:
        assert loop.close(PATIENCE_S)
        output.close()


def test_no_more_clients_than_there_is_room_for():
    output = made("ws://")
    output.open()
    try:
        peers = [socket.create_connection(("127.0.0.1", output.port), PATIENCE_S) for _ in range(MOST_CLIENTS + 3)]
        for peer in peers:
            peer.sendall(upgrade())
        answers = [peer.recv(4096).split()[1] for peer in peers]
        assert answers.count(b"101") == MOST_CLIENTS and answers.count(b"503") == 3
        assert output.more_counts()["refused"] == 3 and output.condition == "{} receivers".format(MOST_CLIENTS)
        for peer in peers:
            peer.close()
        wait_until(lambda: output.condition == "nobody receives it")
    finally:
        output.close()
