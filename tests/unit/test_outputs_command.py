"""`nanoface outputs`: what it lists, and what the test face does at real sockets."""
import json
import signal
import socket
import struct
import threading

import pytest
from in_process import InProcess
from patience import PATIENCE_S
from whole_runs import finish, launch

from edge.outputs.kinds import KINDS, form_of
from edge.outputs.live.traps import TRAPS


@pytest.fixture
def nanoface(tmp_path, capfd):
    return InProcess(tmp_path, capfd)


@pytest.fixture
def receiver():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        yield found


def port_of(sock):
    return sock.getsockname()[1]


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return port_of(found)


def test_every_kind_is_listed_with_its_example_options_and_traps(nanoface):
    done = nanoface("outputs")
    assert done.code == 0 and done.err == ""
    for name, kind in KINDS.items():
        alone = nanoface("outputs", name).out
        assert alone in done.out and alone.startswith(form_of(name) + "  " + kind.text)
        assert kind.example in alone and all(key + "=" in alone for key in kind.keys)
        assert all(trap in alone for trap in TRAPS.get(name, ()))
        assert kind.port is None or str(kind.port) in alone


def test_every_live_kind_has_traps_in_one_line_each():
    assert set(TRAPS) == {name for name, kind in KINDS.items() if kind.live}
    assert all("\n" not in trap and trap.strip() for traps in TRAPS.values() for trap in traps)


def test_a_program_reads_the_same(nanoface):
    rows = json.loads(nanoface("outputs", "--json").out)
    assert [row["kind"] for row in rows] == list(KINDS)
    row = json.loads(nanoface("outputs", "vmc", "--json").out)
    assert row == rows[list(KINDS).index("vmc")] and row["port"] == 39540 and row["options"]["names"]["allowed"]


@pytest.mark.parametrize("words, hint", [
    (["vmcc"], "did you mean vmc?"), (["vmc", "x"], "takes no word x"), (["test"], "Name an address"),
    (["test", "vmcc://h"], "did you mean vmc://HOST:PORT?"), (["test", "osc://h"], "the port is missing"),
    (["test", "vmc", "--json"], "--json goes with"), (["--seconds", "1"], "--seconds goes with"),
    (["test", "vmc", "--seconds", "0"], "not a number from 0.1"), (["test", "-"], "unknown kind"),
    (["test", "vmc", "vmc"], "go to the same place"), (["test", ""], "a word is empty"),
])
def test_wrong_words_are_one_line_that_names_the_cure(nanoface, words, hint):
    done = nanoface("outputs", *words)
    assert done.code == 2 and done.out == "" and hint in done.err and done.err.count("\n") == 1


def test_the_test_face_moves_at_several_addresses_at_once(nanoface, receiver):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
        second.bind(("127.0.0.1", 0))
        done = nanoface("outputs", "test", "opentrack://127.0.0.1:{}".format(port_of(receiver)),
                        "udp-json://127.0.0.1:{}".format(port_of(second)), "jsonl:a.jsonl", "--seconds", "1.5")
        second.setblocking(False)
        records = [json.loads(second.recv(65535)) for _ in range(3)]
    assert done.code == 0 and "it turns its head to its right, then to its left" in done.out
    receiver.setblocking(False)
    yaws = []
    while True:
        try:
            yaws.append(struct.unpack("<6d", receiver.recv(64))[3])
        except BlockingIOError:
            break
    assert max(yaws) > 20.0 and yaws[0] == 0.0  # its first second turns to the right
    assert records[0]["faces"][0]["pose"]["yaw"] == 0.0 and "jawOpen" in records[0]["faces"][0]["expression"]
    rows = {line.split()[0]: line.split() for line in done.out.splitlines() if "://" in line}
    assert len(rows) == 2 and all(row[1] != "0" and row[4] == "ok" for row in rows.values())
    with open(done.path("a.jsonl")) as f:
        assert len([json.loads(line) for line in f]) == 45


def test_where_nothing_listens_it_says_so_and_fails(nanoface):
    address = "vmc://127.0.0.1:{}".format(free_port())
    done = nanoface("outputs", "test", address, "--seconds", "0.5")
    assert done.code == 5 and "nothing was received: {}: nothing listens at".format(address) in done.err
    assert done.out.splitlines()[-1].endswith("nothing listens at " + address.partition("://")[2])


def test_one_dead_address_is_no_failure_of_another(nanoface, receiver):
    done = nanoface("outputs", "test", "vmc://127.0.0.1:{}".format(free_port()),
                    "osc://127.0.0.1:{}".format(port_of(receiver)), "--seconds", "0.5")
    assert done.code == 0 and "nothing listens" in done.out and receiver.recv(2048).startswith(b"#bundle")


def test_a_host_that_there_is_not_is_told_in_one_line(nanoface):
    done = nanoface("outputs", "test", "opentrack://nobody.invalid", "--seconds", "0.5")
    assert done.code == 5 and "there is no host nobody.invalid" in done.err and done.err.count("\n") == 1


def test_records_on_standard_output_are_alone_there(nanoface):
    done = nanoface("outputs", "test", "jsonl:-", "--seconds", "0.5")
    assert [json.loads(line)["frame"] for line in done.out.splitlines()] == list(range(15))
    assert "it turns its head" in done.err and done.code == 0


def test_a_file_that_cannot_be_written_is_one_line(nanoface):
    done = nanoface("outputs", "test", "jsonl:/proc/nothing/a.jsonl", "--seconds", "5")
    assert done.code == 5 and "/proc/nothing" in done.err and done.err.count("\n") == 1


def test_it_leaves_no_thread_behind(nanoface, receiver):
    before = set(threading.enumerate())
    nanoface("outputs", "test", "vmc://127.0.0.1:{}".format(port_of(receiver)), "--seconds", "0.2")
    assert not [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_with_the_table(tmp_path, receiver, signal_number):
    address = "osc://127.0.0.1:{}".format(port_of(receiver))
    process = launch(str(tmp_path), str(tmp_path / "home"), ("outputs", "test", address))
    receiver.settimeout(PATIENCE_S)
    assert receiver.recv(2048)
    process.send_signal(signal_number)
    done = finish(str(tmp_path), process)
    assert done.code == 0 and done.err == ""
    assert done.out.splitlines()[-1].split()[0] == address and done.out.splitlines()[-1].split()[1] != "0"
