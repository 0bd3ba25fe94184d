"""What a relay with all that listens really has open, as the system tells it, and what the doctor says of that."""
import ipaddress
import os
import socket

import pytest
from patience import wait_until

from edge.config.load import load_config
from edge.doctor.machine import OK, Machine
from edge.doctor.outputs import check_outputs, listeners
from edge.outputs.kinds import KINDS, NEVER, UDP, OutputOptions, protocol
from edge.outputs.relay.sender import RelaySender
from edge.outputs.spec import parse_output

OPTIONS = OutputOptions(False, False, False, lambda: None)
LISTENING = sorted(name for name, kind in KINDS.items() if kind.listens != NEVER)
pytestmark = pytest.mark.skipif(not os.path.exists("/proc/net/udp"), reason="this system has no /proc/net")


def free_port(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if protocol(name) == UDP else socket.SOCK_STREAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Relay:
    """A real one, until it has opened everything."""

    def __init__(self, texts):
        self.texts, self.specs = texts, [parse_output(text) for text in texts]
        self._sender = RelaySender(self.specs, OPTIONS)

    def __enter__(self):
        self._sender.start()
        wait_until(lambda: self._sender.pid and len(self.has()) >= len(self.texts), "all open")
        return self

    def __exit__(self, *error):
        assert self._sender.close(30.0)

    def has(self):
        """(protocol, host, port) of each socket of the process that waits for others."""
        folder = "/proc/{}/fd".format(self._sender.pid)
        links = set()
        for name in os.listdir(folder):
            try:
                links.add(os.readlink(os.path.join(folder, name)))
            except OSError:
                pass  # a file that was closed meanwhile
        return {(one.protocol, one.host, one.port) for one in listeners(Machine(os.environ))
                if "socket:[{}]".format(one.inode) in links}


def doctor_of(texts):
    config = load_config(None, {"outputs": texts}, {"NANOFACE_CONFIG": os.devnull})
    return check_outputs(config, Machine(os.environ), lambda name: "1.0")


def test_nothing_listens_beyond_this_machine_unless_told_to():
    with Relay(["{}://:{}".format(name, free_port(name)) for name in LISTENING]) as relay:
        has = relay.has()
        assert all(ipaddress.ip_address(host).is_loopback for _, host, _ in has), has
        ports = {port for _, _, port in has}
        assert ports == {spec.address.port for spec in relay.specs if spec.bound} | {47779}
        told = [(f.state, f.text) for f in doctor_of(relay.texts)]
    for spec in relay.specs:
        assert any(state == OK and text.startswith(spec.text) and (
            "for programs on this machine; nanoface (process" in text or "127.0.0.1:47779, on this machine" in text)
            for state, text in told), told


def test_what_is_told_to_listens_to_all_and_the_doctor_says_so():
    texts = ["{}://0.0.0.0:{}".format(name, free_port(name)) for name in LISTENING]
    with Relay(texts) as relay:
        has = relay.has()
        assert {host for _, host, _ in has} == {"0.0.0.0"} and len(has) == len(LISTENING)
        told = [f.text for f in doctor_of(texts)]
    assert sum("everybody in its networks" in text for text in told) >= len(LISTENING)
