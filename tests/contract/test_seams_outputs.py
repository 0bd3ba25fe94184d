"""A new output is one file and its line in the table: shown with one that talks to a socket, in a copy of the program."""
import json
import os
import shutil
import socket

import pytest
from patience import PATIENCE_S
from whole_runs import DEFAULT_NETWORKS, ROOT, RUNTIMES, finish, launch, need_networks, need_runtime, quick

LINE = '''    "toy": Kind(ADDRESS, "toy:make", "records for a toy", "toy://127.0.0.1:4321?every=2",
                {"every": Key(whole(1, 30), "send every n-th record")}, port=4321),
    "toylive": Kind(ADDRESS, "toylive:make", "records, by the relay", "toylive://127.0.0.1:4321", RECORDS, live=True),
'''
FILE = '''
import json
import socket

from edge.core.contracts import Output
from edge.core.errors import OutputError


class ToyOutput(Output):
    def __init__(self, spec, options):
        self.name, self.blocking = spec.text, options.blocking
        self._address, self._every = spec.address, spec.keys.get("every", 1)
        self._socket = None

    def open(self):
        try:
            self._socket = socket.create_connection(self._address, 5.0)
        except OSError as e:
            raise OutputError("output {}: {}".format(self.name, e.strerror))

    def emit(self, item):
        if item["frame"] % self._every == 0:
            self._socket.sendall(json.dumps(item).encode("ascii") + b"\\n")

    def close(self):
        if self._socket is not None:
            self._socket.close()


make = ToyOutput
'''

LIVE = '''
import json
import os

from edge.outputs.live.output import LiveOutput
from edge.outputs.live.udp import UdpTarget


class ToyLive(LiveOutput):
    def __init__(self, spec, options):
        super().__init__(spec, options)
        self._target = UdpTarget(self.name, spec.address)

    def open(self):
        self._target.open()

    def send(self, record, events, now):
        if record is not None:
            face = record["faces"][0] if record["faces"] else {}
            self._target.send(json.dumps([os.getpid(), record["frame"], sorted(face.get("expression", {}))]).encode("ascii"))

    def close(self):
        self._target.close()


make = ToyLive
'''


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A copy of what runs, with the toy."""
    folder = tmp_path_factory.mktemp("program")
    shutil.copytree(os.path.join(ROOT, "edge"), str(folder / "edge"), ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "edge" / "outputs" / "toy.py").write_text(FILE)
    (folder / "edge" / "outputs" / "toylive.py").write_text(LIVE)
    table = folder / "edge" / "outputs" / "kinds.py"
    before, begin, lines = table.read_text().partition("KINDS: Dict[str, Kind] = {\n")
    table.write_text(before + begin + LINE + lines)
    return folder


def run(program, home, *words):
    path = os.pathsep.join(filter(None, [str(program), os.environ.get("PYTHONPATH")]))
    return finish(str(program), launch(str(program), home, words, PYTHONPATH=path))


def test_records_go_to_a_new_output_and_its_options_come_with_it(program, models_home):
    need_networks(models_home, *DEFAULT_NETWORKS)
    need_runtime(*RUNTIMES)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        listener.settimeout(PATIENCE_S)
        address = "toy://127.0.0.1:{}?every=2".format(listener.getsockname()[1])
        done = run(program, models_home, "run", "--source", "portrait", "--max-frames", "3", "--output", address, *quick())
        assert done.code == 0, done.err
        peer, _ = listener.accept()
        with peer, peer.makefile("r") as lines:
            records = [json.loads(line) for line in lines]
    assert [record["frame"] for record in records] == [0, 2] and len(records[1]["faces"]) == 1


def test_a_live_output_is_served_by_a_process_of_its_own_and_has_its_row(program, models_home):
    need_networks(models_home, *DEFAULT_NETWORKS)
    need_runtime(*RUNTIMES)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(PATIENCE_S)
        good, gone = ("toylive://127.0.0.1:{}?shapes=false&events=false".format(peer.getsockname()[1]),
                      "toylive://127.0.0.1:1?rate=10")
        refused = "toylive://name.invalid:1"
        words = ("run", "--source", "portrait", "--max-frames", "40", "--set", "source.pace=realtime", "--set",
                 "output.shapes=true", "--output", good, "--output", gone, "--output", refused, "--status", "s.jsonl")
        done = run(program, models_home, *(words + quick()))
        assert done.code == 0, done.err
        peer.setblocking(False)
        told = []
        with pytest.raises(BlockingIOError):
            while True:
                told.append(json.loads(peer.recv(1 << 16).decode("ascii")))
    frames = [frame for _, frame, _ in told]
    assert frames == sorted(set(frames)) and len({pid for pid, _, _ in told}) == 1
    assert told[-1][2] == ["eye_open_left", "eye_open_right", "mouth_open"]
    last = done.records("s.jsonl")[-1]
    rows, reached = last["outputs"], last["stages"]["output"]["count"]  # a busy machine drops frames of a source in real time
    assert set(rows) == {good, gone, refused} and rows[good]["state"] == "closed"
    assert rows[good]["sent"] == len(frames) and rows[good]["sent"] + rows[good]["dropped"] == reached
    assert done.err.count("there is no host name.invalid") == 1 and "Traceback" not in done.err
    assert any("output {} down".format(refused) in record["reason"] for record in done.records("s.jsonl"))


@pytest.mark.parametrize("words, code, reported", [
    (("help", "run"), 0, ("toy://HOST:PORT              records for a toy",)),
    (("outputs", "toy"), 0, ("toy://HOST:PORT  records for a toy", "toy://127.0.0.1:4321?every=2", "every=")),
    (("completion", "bash"), 0, ("jsonl:", "toy:")),
    (("run", "portrait", "--output", "toy?evry=2"), 2, ("toy has no option 'evry', did you mean every?",)),
    (("run", "portrait", "--output", "toi:4321"), 2, ("did you mean toy://HOST:PORT?",)),
], ids=str)
def test_whatever_lists_outputs_knows_the_new_one(program, tmp_path, words, code, reported):
    done = run(program, tmp_path, *words)
    assert done.code == code and all(text in done.out + done.err for text in reported)
