"""What goes to the service manager's socket; a real one, in each form that it can have."""
import os
import socket
import sys
import uuid

import pytest
from patience import PATIENCE_S

from edge.telemetry.notify import LONGEST_STATUS, Notifier

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no AF_UNIX sockets here")
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract names are Linux's")


@pytest.fixture(params=["path", pytest.param("abstract", marks=linux_only)])
def manager(request, tmp_path):
    """A listening socket and the name under which the environment gives it."""
    name = str(tmp_path / "notify") if request.param == "path" else "@nanoface-" + uuid.uuid4().hex
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind("\0" + name[1:] if name.startswith("@") else name)
    listening.settimeout(PATIENCE_S)
    yield listening, name
    listening.close()


def test_each_call_is_one_datagram(manager):
    listening, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    assert notifier.listening
    assert all([notifier.ready(), notifier.status("two\nlines"), notifier.watchdog(), notifier.stopping(),
                notifier.extend_timeout(1.5)])
    assert [listening.recv(1000) for _ in range(5)] == [
        b"READY=1", b"STATUS=two lines", b"WATCHDOG=1", b"STOPPING=1", b"EXTEND_TIMEOUT_USEC=1500000"]


def test_status_that_is_long_or_not_ascii_still_goes_out(manager):
    listening, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    assert notifier.status(u"\u00e9" * 1000)
    assert listening.recv(4000).decode("utf-8") == "STATUS=" + u"\u00e9" * LONGEST_STATUS


@pytest.mark.parametrize("name", ["", "relative", "vsock:2:1234", "/nowhere/at/all", "@nobody-listens-here", "/" + 300 * "x"])
def test_nobody_who_listens_is_no_trouble(name):
    notifier = Notifier({"NOTIFY_SOCKET": name} if name else {})
    told = [notifier.ready(), notifier.status("x"), notifier.watchdog(), notifier.stopping(), notifier.extend_timeout(1.0)]
    assert told == [False] * 5


def test_a_manager_that_does_not_read_holds_up_nobody(manager):
    listening, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    answers = [notifier.watchdog() for _ in range(5000)]
    assert answers[0] and not answers[-1]  # its queue is full: told so, and not waited for
    listening.setblocking(False)
    while True:
        try:
            listening.recv(100)
        except BlockingIOError:
            break
    assert notifier.watchdog()


@pytest.mark.parametrize("environ, expected", [
    ({}, None),
    ({"WATCHDOG_USEC": "30000000"}, 30.0),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
    ({"WATCHDOG_USEC": "0"}, None),
    ({"WATCHDOG_USEC": "soon"}, None),
])
def test_the_watchdog_is_that_of_this_process(environ, expected):
    assert Notifier(environ).watchdog_s == expected
