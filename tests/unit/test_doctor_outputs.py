"""What the doctor says of live outputs: packages, hosts, and who listens at which port."""
import json
import os
import socket

import pytest
from fakes.board import command, tree

from edge.config.load import load_config
from edge.core.redact import hide
from edge.doctor import examine
from edge.doctor.machine import OK, WARN, Machine
from edge.doctor.outputs import check_outputs, listeners
from edge.doctor.packages import Probe, Software

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "  1: {}:{:04X} 00000000:0000 {} 00000000:00000000 00:00000000 00000000  {}        0 {} 2 0 0\n"
PASSWD = "root:x:0:0::/:\nnanoface:x:998:998::/:\n"
LOOPBACK, EVERYWHERE = "0100007F", "00000000"


def here(tmp_path, udp="", tcp="", udp6="", **more):
    """A machine with these sockets; what is not a row is as on a machine without IPv6."""
    files = {"proc/net/udp": HEAD + udp, "proc/net/tcp": HEAD + tcp, "etc/passwd": PASSWD}
    if udp6:
        files["proc/net/udp6"] = HEAD + udp6
    return tree(tmp_path, dict(files, **more))


def found(machine, *outputs, missing=()):
    config = load_config(None, {"outputs": list(outputs)}, {"NANOFACE_CONFIG": os.devnull})
    findings = check_outputs(config, machine, lambda name: None if name in missing else "1.0")
    assert all(bool(f.cure) == (f.state != OK) and "\n" not in f.text for f in findings)
    return [(f.state, f.text, f.cure) for f in findings]


def udp(port, host=EVERYWHERE, uid=1000, inode=77, state="07"):
    return ROW.format(host, port, state, uid, inode)


def test_without_live_outputs_nothing_is_said(tmp_path):
    assert found(here(tmp_path)) == found(here(tmp_path), "jsonl:a.jsonl", "csv:b.csv") == []


@pytest.mark.parametrize("output, text", [
    ("vts", "vts looks for its program at TCP 127.0.0.1:8001, and where that tells of itself: it listens at UDP "
     "127.0.0.1:47779, on this machine"),
    ("vts://0.0.0.0", "vts://0.0.0.0 looks for its program where that tells of itself: it listens at UDP 0.0.0.0:47779, "
     "where everybody in its networks may send"),
    ("vts-phone", "vts-phone listens at UDP 127.0.0.1:21412, for programs on this machine"),
    ("ws://0.0.0.0:9", "ws://0.0.0.0:9 listens at TCP 0.0.0.0:9, where everybody in its networks may read it"),
    ("ws://[::]", "ws://[::] listens at TCP [::]:8765, where everybody in its networks may read it"),
    ("ws://192.0.2.7", "ws://192.0.2.7 listens at TCP 192.0.2.7:8765, where its network may read it"),
    ("ws://localhost", "ws://localhost listens at TCP localhost:8765, for programs on this machine"),
    ("opentrack://192.0.2.7", "opentrack://192.0.2.7 sends to UDP 192.0.2.7:4242"),
    ("mqtt://192.0.2.7/a", "mqtt://192.0.2.7/a connects to TCP 192.0.2.7:1883"),
    ("opentrack", "opentrack sends to UDP 127.0.0.1:4242, this machine; nothing listens there now"),
])
def test_what_goes_where_is_told(tmp_path, output, text):
    assert found(here(tmp_path), output) == [(OK, text, "")]


def test_a_program_that_listens_on_this_machine_is_seen(tmp_path):
    machine = here(tmp_path, udp=udp(4242, LOOPBACK))
    assert found(machine, "opentrack") == [(OK, "opentrack sends to UDP 127.0.0.1:4242, this machine", "")]


@pytest.mark.parametrize("rows, taken", [
    (udp(21412), True), (udp(21412, LOOPBACK), True), (udp(21412, "0A0200C0"), False), (udp(21413), False),
    (udp(21412, state="01"), False),
])
def test_a_port_that_another_program_has_is_a_warning_with_another_port(tmp_path, rows, taken):
    [(state, text, cure)] = found(here(tmp_path, udp=rows), "vts-phone")
    assert state == (WARN if taken else OK)
    if taken:
        assert text == "vts-phone: UDP port 21412 is taken by a program of user 1000"
        assert cure == "end that program, or name another port, as in vts-phone://127.0.0.1:21413"


def test_the_other_protocols_port_is_not_the_same(tmp_path):
    assert found(here(tmp_path, tcp=udp(21412, state="0A")), "vts-phone")[0][0] == OK
    assert found(here(tmp_path, tcp=udp(8765, state="0A")), "ws")[0][0] == WARN


def test_the_services_own_port_is_no_trouble_and_all_of_its_ports_are_listed(tmp_path):
    machine = here(tmp_path, udp=udp(21412, uid=998) + udp(5353), tcp=udp(8765, LOOPBACK, 998, state="0A"))
    (_, first, _), (state, last, _) = found(machine, "vts-phone")
    assert first.endswith("; nanoface's service has the port now")
    assert (state, last) == (OK, "the service listens at TCP 127.0.0.1:8765, UDP 0.0.0.0:21412")
    assert found(machine) == [(OK, last, "")]


def test_the_process_that_has_a_port_is_named_where_this_user_may_know(tmp_path):
    machine = here(tmp_path, udp=udp(21412), **{"proc/4711/cmdline": "/usr/bin/vbridger\0--x\0"})
    fds = tmp_path / "proc" / "4711" / "fd"
    fds.mkdir()
    (fds / "5").symlink_to("socket:[77]")
    assert "is taken by vbridger (process 4711)" in found(machine, "vts-phone")[0][1]
    (tmp_path / "proc" / "4711" / "cmdline").write_text("/usr/bin/python3\0-m\0nanoface\0run\0")
    assert found(machine, "vts-phone")[0] == (OK, "vts-phone listens at UDP 127.0.0.1:21412, for programs on this machine; "
                                              "nanoface (process 4711) has the port now", "")


def test_a_package_that_is_not_there_has_its_command(tmp_path):
    (state, text, cure), _ = found(here(tmp_path), "vmc://192.0.2.7", missing=("pythonosc",))
    assert state == WARN and text == "vmc://192.0.2.7: the package pythonosc is not installed, nothing is sent"
    assert "pip install" in cure and "python-osc" in cure


@pytest.mark.parametrize("script, state, text", [
    ("exit 0", OK, "vmc://board.local sends to UDP board.local:39540"),
    ("exit 2", WARN, "vmc://board.local: there is no host board.local"),
])
def test_a_hosts_name_is_asked_for(tmp_path, script, state, text):
    machine = here(tmp_path)
    command(tmp_path, "getent", '[ "$1 $2" = "ahosts board.local" ] || exit 9; ' + script)
    assert found(machine, "vmc://board.local")[0][:2] == (state, text)


def test_nonsense_in_the_systems_tables_is_left_out(tmp_path):
    rows = "x\n  1: nonsense 0 07\n" + ROW.format("zz", 5, "07", 0, 1) + ROW.format("0100007F00", 5, "07", 0, 1) + udp(7)
    assert [(one.port, one.host) for one in listeners(here(tmp_path, udp=rows))] == [(7, "0.0.0.0")]
    assert list(listeners(tree(tmp_path / "bare", {"etc/passwd": ""}))) == []


@pytest.mark.skipif(not os.path.exists("/proc/net/udp"), reason="this system has no /proc/net")
@pytest.mark.parametrize("family, kind, host", [
    (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1"), (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"),
    (socket.AF_INET6, socket.SOCK_DGRAM, "::1")])
def test_real_sockets_are_found(family, kind, host):
    with socket.socket(family, kind) as real:
        try:
            real.bind((host, 0))
        except OSError:
            pytest.skip("no address " + host)
        if kind == socket.SOCK_STREAM:
            real.listen(1)
        port = real.getsockname()[1]
        told = [one for one in listeners(Machine(os.environ)) if one.port == port and one.host == host]
        assert [one.protocol for one in told] == ["TCP" if kind == socket.SOCK_STREAM else "UDP"]
        output = "{}://:{}".format("ws" if kind == socket.SOCK_STREAM else "vts-phone", port)
        [(state, text, _)] = [f for f in found(Machine(os.environ), output) if output in f[1]][:1]
        assert "(process {})".format(os.getpid()) in text or family == socket.AF_INET6


def test_the_whole_report_has_them_and_shows_no_password(tmp_path):
    config = load_config(None, {"outputs": ["ws", "vmc://192.0.2.7"]}, {"NANOFACE_CONFIG": os.devnull})
    software = Software((3, 11, 0), lambda name: Probe("1.0", "", ""), lambda name: "1.0")
    report = examine.as_json(examine.examine(config, here(tmp_path), software))
    texts = [f["text"] for f in report["findings"] if f["name"] == "output"]
    assert len(texts) == 2 and json.dumps(report) == hide(json.dumps(report))
