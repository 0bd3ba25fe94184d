"""Attacks from the network, row by row: what was tried, and what is refused."""
import os
import socket
import threading
import time

import pytest
from patience import PATIENCE_S

from edge.telemetry import metricsserver
from edge.telemetry.metricsserver import MOST_CLIENTS, SCRAPE_S, Page, Server

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"nanoface_faces 1.0\n"


class Endpoint:
    """The metrics with a page of `size` bytes, and the connections of a test."""

    def __init__(self, size=0):
        self.rendered = 0
        self.server = Server(("127.0.0.1", 0), Page(self._page, "text/plain"))
        self._body = BODY + b"#" * size
        self._held = []

    def _page(self):
        self.rendered += 1
        return self._body

    def connect(self):
        connection = socket.create_connection(self.server.address, timeout=PATIENCE_S)
        self._held.append(connection)
        return connection

    def ask(self, request=GET):
        with socket.create_connection(self.server.address, timeout=PATIENCE_S) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))

    def close(self):
        for connection in self._held:
            connection.close()
        self.server.close()


@pytest.fixture
def endpoint():
    made = []

    def make(size=0):
        made.append(Endpoint(size))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ended(connection):
    """Whether the server ends this connection, however it does that."""
    try:
        while connection.recv(1 << 16):
            pass
    except (ConnectionResetError, BrokenPipeError):
        pass
    return True


def nothing(metrics):
    return metrics.connect()


def half_a_request(metrics):
    connection = metrics.connect()
    connection.sendall(GET[:20])
    return connection


def never_read(metrics):
    connection = metrics.connect()
    connection.sendall(GET)
    return connection


@pytest.mark.parametrize("hold", [nothing, half_a_request, never_read])
def test_a_slow_client_hinders_no_other_and_is_ended(endpoint, hold):
    metrics = endpoint(size=20 << 20)
    held = [hold(metrics) for _ in range(5)]
    assert all(metrics.ask().endswith(b"#") for _ in range(3))
    assert all(ended(connection) for connection in held)


def test_a_byte_now_and_then_does_not_make_the_limit_longer(endpoint, monkeypatch):
    monkeypatch.setattr(metricsserver, "SCRAPE_S", 0.5)
    connection = endpoint().connect()
    began = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() - began < PATIENCE_S:
            connection.sendall(b"x")
            time.sleep(0.05)
    assert SCRAPE_S == 2.0


def test_a_flood_of_connections_costs_no_thread_and_few_descriptors_and_the_next_scrape_is_answered(endpoint):
    metrics = endpoint()
    metrics.ask()
    threads, before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    flood = [metrics.connect() for _ in range(60)]
    assert BODY in metrics.ask()
    ours = len(os.listdir("/proc/self/fd")) - before - len(flood)
    assert ours <= MOST_CLIENTS and threading.active_count() == threads


def test_more_connections_in_a_second_than_are_taken_wait_and_are_served(endpoint, monkeypatch):
    monkeypatch.setattr(metricsserver, "MOST_A_SECOND", 3)
    metrics = endpoint()
    assert all(BODY in metrics.ask() for _ in range(7))
    assert metrics.rendered < 7  # and a page that is fresh is given to all


@pytest.mark.parametrize("hold", [nothing, half_a_request, never_read])
def test_the_end_waits_for_no_client(endpoint, hold, monkeypatch):
    monkeypatch.setattr(metricsserver, "SCRAPE_S", 2 * PATIENCE_S)
    metrics = endpoint(size=20 << 20)
    held = [hold(metrics) for _ in range(5)]
    metrics.ask()
    began = time.monotonic()
    metrics.server.close()
    assert time.monotonic() - began < PATIENCE_S
    assert all(ended(connection) for connection in held)


@pytest.mark.parametrize("request_, status", [
    (b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 20000 + b"\r\n\r\n", b"431"),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n", b"405"),
    (b"GET http://else.where/metrics HTTP/1.1\r\n\r\n", b"404"), (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", b"404"),
    (b"CONNECT else.where:80 HTTP/1.1\r\n\r\n", b"405"), (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
    (b"\r\n\r\n", b"400"), (b"GET /metrics\r\n\r\n", b"400"),
])
def test_what_is_no_scrape_is_refused_and_nothing_is_put_together_for_it(endpoint, request_, status):
    metrics = endpoint()
    try:
        assert metrics.ask(request_).startswith(b"HTTP/1.1 " + status)
    except ConnectionResetError:
        assert status == b"431"  # the rest of the request was not read
    assert metrics.rendered == 0 and BODY in metrics.ask()


@pytest.mark.parametrize("request_, body", [
    (GET, BODY), (b"HEAD /metrics HTTP/1.1\r\n\r\n", b""), (b"GET / HTTP/1.0\r\n\r\n", metricsserver.HINT),
    (b"GET /metrics?debug=1 HTTP/1.1\r\nAccept: */*\r\n\r\n", BODY),
])
def test_a_scrape_is_answered(endpoint, request_, body):
    head, _, reported = endpoint().ask(request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and reported == body


def test_a_record_that_changes_while_it_is_read_is_one_failed_scrape(endpoint, monkeypatch):
    metrics = endpoint()

    def changes():
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(metrics, "_page", changes)
    broken = Server(("127.0.0.1", 0), Page(changes, "text/plain"))
    metrics.server, whole = broken, metrics.server
    whole.close()
    assert metrics.ask().startswith(b"HTTP/1.1 500") and metrics.ask(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")
