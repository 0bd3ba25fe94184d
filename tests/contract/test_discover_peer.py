"""DISCOVER's own server beside the one that takes its place, asked the same; and with the module that starts nanoface."""
import json
import os
import shutil
import socket
import stat
import subprocess
import sys

import pytest
from discover_client import ERROR, FINISHED, VIDEO, Client, entry
from patience import wait_until
from peer_programs import PEERS

from edge.core.rules import Address
from edge.discover import module
from edge.discover.files import Places
from edge.discover.server import Server
from edge.ssi.stream import read_stream

PEER = os.path.join(PEERS, "discover")
# In the place of ffprobe and of the reader of films, which DISCOVER has elsewhere: its server opens each film before a module
# gets it. This one says what a module of DISCOVER's asks of a film.
FFPROBE = """#!{python}
import json
film = {{"width": 64, "height": 48, "avg_frame_rate": "25/1", "duration": "0.4", "nb_frames": "10"}}
print(json.dumps({{"streams": [film]}}))
"""
PIMS = "class ImageIOReader:\n    def __init__(self, path):\n        self.path = path\n"
# nanoface, with points that the test knows
STAND_IN = """#!{python}
import struct, sys
words = sys.argv[1:]
assert words[0] == "run" and words[1] == "--source", words
path = words[words.index("--output") + 1].split(":", 1)[1].split("?")[0]
with open(path + "~", "wb") as f:
    for n in range(10):
        f.write(struct.pack("<937f", *([n / 10.0] * 936 + [0.5])))
with open(path, "w") as f:
    f.write('<stream ssi-v="2"><info ftype="BINARY" sr="25.000" dim="937" byte="4" type="FLOAT" delim=" "/>'
            '<meta type="x"/><chunk from="0.000" to="0.400" byte="0" num="10"/></stream>')
print("words", words, flush=True)
"""


def program(path, text):
    path.write_text(text.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """Their server, its folder, and a client."""
    if not os.path.exists(os.path.join(PEER, ".peer")):
        pytest.skip("the peer discover is not there: make peers")
    folder = tmp_path_factory.mktemp("peer")
    for name in ("cml", "data", "tmp", "log", "cache/venvs", "bin"):
        (folder / name).mkdir(parents=True)
    os.symlink(PEER, str(folder / "cache" / "venvs" / "nanoface_facemesh"))  # else it would install one from the index
    program(folder / "bin" / "ffprobe", FFPROBE)
    (folder / "bin" / "pims.py").write_text(PIMS)
    module.write(str(folder / "cml" / "nanoface_facemesh"), program(folder / "bin" / "nanoface", STAND_IN), False)
    port = free_port()
    words = [word for name in ("cml", "data", "tmp", "log", "cache") for word in ("--{}_dir".format(name), str(folder / name))]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DISCOVER", "NANOFACE"))}
    env.update(PATH=os.pathsep.join([str(folder / "bin"), env["PATH"]]), PYTHONPATH=str(folder / "bin"))
    with open(str(folder / "out"), "wb") as out:
        process = subprocess.Popen(
            [os.path.join(PEER, "bin", "python"), os.path.join(PEER, "bin", "discover"), "--host", "127.0.0.1", "--port",
             str(port)] + words, cwd=str(folder), env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or _answers(port), "their server answers")
        assert process.poll() is None, (folder / "out").read_text()
        yield Client(port), folder
    finally:
        process.kill()
        process.wait()


def _answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
        return True
    except OSError:
        return False


@pytest.fixture
def ours(tmp_path):
    (tmp_path / "data").mkdir()
    server = Server(Address("127.0.0.1", 0), Places(*(str(tmp_path / name) for name in ("data", "tmp", "log"))),
                    1, [sys.executable, "-c", "pass"])
    server.open()
    yield Client(server.port)
    server.close()


UPLOAD = (b'--e\r\nContent-Disposition: form-data; name="{}"; filename="a b.mp4"\r\n\r\nany\r\n--e--\r\n',
          "multipart/form-data; boundary=e")
ASKED = {
    "status of nobody's": ("/job_status", b"jobID=x"), "status of none": ("/job_status", b""),
    "log of nobody's": ("/log", b"jobID=x"), "log by address": ("/log/x", None), "cancel nobody's": ("/cancel", b"jobID=x"),
    "result of nobody's": ("/fetch_result", b"jobID=x"), "jobs": ("/job_status_all", None), "data": ("/data", None),
    "upload": ("/upload", UPLOAD[0].replace(b"{}", b"file"), UPLOAD[1]),
    "upload of nothing": ("/upload", UPLOAD[0].replace(b"{}", b"other"), UPLOAD[1]),
    "a wrong method": ("/process", None), "nothing there": ("/nothing", None),
    "progress": ("/api/update_progress", b'{"job_key": "x", "progress": "1/2"}', "application/json"),
    "progress of none": ("/api/update_progress", b'{"progress": "1/2"}', "application/json"),
    "progress as a form": ("/api/update_progress", b"job_key=x"),
    "progress, no JSON": ("/api/update_progress", b"{", "application/json"),
    "a filter that is none": ("/cml_info", b"input_filter=x"),
}
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("name", sorted(ASKED))
def test_both_servers_answer_the_same(peer, ours, name):
    path, data, kind = (ASKED[name] + (FORM,))[:3]
    theirs, own = (client.ask(path, data, Content_Type=kind) for client in (peer[0], ours))
    assert own.status == theirs.status
    if own.status < 400 or own.type == "application/json" or own.status == 500 and "filter" not in name:
        assert own.type == theirs.type
        assert (own.body == theirs.body if name != "upload" else
                (len(own.body), own.body[-4:]) == (len(theirs.body), theirs.body[-4:]))


@pytest.mark.parametrize("filters", [
    {}, {"input_filter": '["stream:video", "stream:ssistream"]'}, {"input_filter": '["stream", "stream"]'},
    {"input_filter": '["stream:SSIStream:feature;face;boundingbox"]'}, {"output_filter": '["stream:SSIStream"]'},
    {"output_filter": '["stream:SSIStream:feature;face;landmarks"]'}, {"output_filter": '["smell"]'},
    {"output_filter": '["stream:SSIStream:feature;face;landmarks:facemesh"]', "input_filter": '["stream", "stream"]'},
], ids=str)
def test_the_capabilities_are_told_in_the_same_words(peer, ours, filters):
    theirs, own = (client.told("/cml_info", **filters) for client in (peer[0], ours))
    assert set(own) == set(theirs)
    for kind in ("trainer_ok", "trainer_faulty"):
        found = {key: value for key, value in own[kind].items() if key.startswith("facemesh")}
        assert len(found) == len(theirs[kind])
        for told, meant in zip(found.values(), theirs[kind].values()):
            renamed = meant.replace("nanoface_facemesh.py", "facemesh.py").replace(module.CREATE, "FaceMesh")
            assert json.loads(told) == json.loads(renamed) if kind == "trainer_ok" else told == meant


def test_a_job_is_listed_with_the_same_keys(peer, ours):
    listed = []
    for client in (peer[0], ours):
        assert client.told("/process", jobID="k", dbPassword="geheim", trainerFilePath="no\\no.trainer") == {"success": "True"}
        assert client.wait("k") == ERROR
        listed.append(json.loads(client.ask("/job_status_all").body.decode())[-1])
        shown = " INFO {'jobID': 'k', 'dbPassword': '****', 'trainerFilePath': 'no\\\\no.trainer'}"
        assert client.log("k")[19:].split("\n")[0].replace(": ***,", ": '****',") == shown
        assert "CRITICAL Job failed with exception " in client.log("k")
    theirs, own = listed
    assert set(own) == set(theirs)
    same = ("job_key", "job_type", "module_name", "status", "details", "interactive_url", "was_canceled")
    assert [own[key] for key in same] == [theirs[key] for key in same]
    assert len(own["start_time"]) == len(theirs["start_time"]) and len(own["end_time"]) == len(theirs["end_time"])


@pytest.mark.parametrize("boxes", [True, False], ids=["boxes", "no boxes"])
def test_their_server_starts_our_module_and_finishes_a_job(peer, boxes):
    client, folder = peer
    film, target = folder / "data" / "a.mp4", folder / "data" / "points.stream"
    film.write_bytes(b"any")
    data = [entry("input", "data", film, kind=VIDEO), entry("output", "landmarks", target)]
    if boxes:
        stream = folder / "data" / "boxes.stream"
        stream.write_text('<stream ssi-v="2"><info ftype="BINARY" sr="25.000" dim="5" byte="4" type="FLOAT" delim=" "/>'
                          '<chunk from="0.000" to="0.040" byte="0" num="1"/></stream>')
        (folder / "data" / "boxes.stream~").write_bytes(b"\0" * 20)
        data.insert(1, entry("input", "bounding_box", stream))
    client.process("film", data, "nanoface_facemesh\\nanoface_facemesh.trainer", options='{"presence": "0.3", "other": 1}')
    assert client.wait("film") == FINISHED, client.log("film")
    found = read_stream(str(target), 937)
    assert found.values.shape == (10, 937) and found.values[3, 0] == pytest.approx(0.3) and found.header.rate == 25.0
    told = client.log("film")
    words = [line for line in told.split("\n") if "words [" in line][-1]
    assert "'tracking.presence=0.3'" in words and str(film) in words and ("--boxes" in words) == boxes
    assert "option other: there is none here that it would change" in told


def test_a_run_that_fails_is_an_error_of_their_job(peer):
    client, folder = peer
    data = [entry("input", "data", folder / "data" / "a.mp4", kind=VIDEO),
            entry("output", "landmarks", folder / "data" / "z.stream")]
    (folder / "data" / "a.mp4").write_bytes(b"any")
    place = folder / "bin" / "nanoface"
    shutil.move(str(place), str(place) + ".away")
    try:
        client.process("gone", data, "nanoface_facemesh\\nanoface_facemesh.trainer")
        assert client.wait("gone") == ERROR
        assert "there is no program {}: set NANOFACE_PROGRAM".format(place) in client.log("gone")
        assert not (folder / "data" / "z.stream").exists()
    finally:
        shutil.move(str(place) + ".away", str(place))
