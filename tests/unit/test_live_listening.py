"""Nothing listens beyond this machine unless its user named an address."""
import ipaddress

import pytest

from edge.outputs.kinds import ALWAYS, KINDS, NEVER
from edge.outputs.spec import parse_output

LISTENING = sorted(name for name, kind in KINDS.items() if kind.listens != NEVER)


def bare(name):
    return ["{}://".format(name), "{}:".format(name), name, "{}://:{}".format(name, KINDS[name].port)]


@pytest.mark.parametrize("name, text", [(name, text) for name in LISTENING for text in bare(name)])
def test_what_listens_does_so_on_this_machine_alone(name, text):
    spec = parse_output(text)
    assert spec.listens and ipaddress.ip_address(spec.address.host).is_loopback and spec.address.port == KINDS[name].port


@pytest.mark.parametrize("name", LISTENING)
@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_it_listens_to_networks_where_an_address_says_so(name, host):
    spec = parse_output("{}://{}".format(name, host))
    assert spec.listens and not ipaddress.ip_address(spec.address.host).is_loopback


def test_these_listen():
    assert set(LISTENING) == {"ifacialmocap", "vts-phone", "vts", "ws", "socketio-server"}
    assert all(KINDS[name].live for name in LISTENING) and {KINDS[name].listens for name in LISTENING} > {ALWAYS}
