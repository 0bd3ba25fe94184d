"""The server that takes the place of DISCOVER's: what it answers, with a program that stands in for nanoface."""
import io
import json
import os
import signal
import socket
import sys
import threading
import time
import zipfile

import pytest
from discover_client import CANCELED, ERROR, FINISHED, RUNNING, VIDEO, WAITING, Client, entry, film_to_points
from patience import PATIENCE_S, wait_until

from edge.core.rules import Address
from edge.discover import forms, jobs, log, running
from edge.discover.files import Places
from edge.discover.server import Server

# writes its words as JSON into the data of each output; what it does beside that stands in the film
STAND_IN = """
import json, os, signal, sys, time
words = sys.argv[1:]
told = open(words[words.index("--source") + 1]).read().split()
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1) if "stubborn" not in told else None)
if "loud" in told:
    for n in range(20000):
        print("line", n, flush=n % 1000 == 0)
if "password" in told:
    print("rtsp://me:geheim@camera/ and <script>")
until = time.time() + (600 if "slow" in told or "stubborn" in told else 0)
print("began", os.getpid(), flush=True)
while time.time() < until and not stop:
    time.sleep(0.01)
for at, word in enumerate(words):
    if word == "--output":
        path = words[at + 1].split(":", 1)[1].split("?")[0]
        with open(path, "w") as f:
            f.write("<stream/>")
        with open(path + "~", "w") as f:
            json.dump(dict(words=words, stopped=bool(stop)), f)
sys.exit(3 if "fails" in told else 0)
"""
LONG = ("slow", "stubborn")


class Served:
    def __init__(self, folder, at_once=1):
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(exist_ok=True)
        stand_in = folder / "stand_in.py"
        stand_in.write_text(STAND_IN)
        self.places = Places(str(self.data), str(folder / "tmp"), str(folder / "log"))
        self.server = Server(Address("127.0.0.1", 0), self.places, at_once, [sys.executable, str(stand_in)])
        self.server.open()
        self.client = Client(self.server.port)

    def film(self, name="a.mp4", told=""):
        path = self.data / name
        path.write_text(told)
        return str(path)

    def words(self, job):
        """Of the run, by its result; a job with more than one has none."""
        answer = self.client.post("/fetch_result", jobID=job)
        with zipfile.ZipFile(io.BytesIO(answer.body)) as packed:
            return json.loads(packed.read([name for name in packed.namelist() if name.endswith("~")][0]).decode())["words"]

    def close(self):
        self.server.close()


@pytest.fixture
def served(tmp_path):
    one = Served(tmp_path)
    yield one
    one.close()
    assert one.server._web.loop.faults == 0


@pytest.fixture
def client(served):
    return served.client


def test_a_stub_client_gets_from_an_upload_to_its_result(served, client):
    stored = client.upload("clip of me.mp4", b" any" * 1000000).body.decode()
    assert len(stored) == 10 and stored.endswith(".mp4") and os.listdir(served.places.uploads) == [stored]
    assert os.path.getsize(os.path.join(served.places.uploads, stored)) == 4000000
    assert client.process("job 1", film_to_points(stored, name="mesh")) == {"success": "True"}
    assert client.wait("job 1") == FINISHED
    answer = client.post("/fetch_result", jobID="job 1", delete_after_download="True")
    assert (answer.status, answer.type) == (200, "application/zip")
    assert answer.headers["Content-Disposition"] == "attachment; filename=job.zip"  # a blank is no plain name
    with zipfile.ZipFile(io.BytesIO(answer.body)) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == ["job/dummy_dataset/dummy_session/mesh.stream" + end for end in ("", "~")]
    assert client.post("/fetch_result", jobID="job 1").status == 500  # it was deleted
    assert [job["status"] for job in json.loads(client.ask("/job_status_all").body.decode())] == ["FINISHED"]
    assert "Processing session (1/1): dummy_session..." in client.log("job 1")
    assert client.ask("/log/job%201").body.decode() == client.log("job 1")


@pytest.mark.parametrize("spelling", [
    dict(jobID="k", trainerFilePath="modules\\facemesh\\facemesh.trainer", options='{"presence": 0.25}'),
    dict(job_id="k", trainer_file_path="modules/facemesh/facemesh.trainer", opt_str="presence=0.25;confidence=probability"),
    {"--job_id": "k", "--trainer_file_path": "facemesh.trainer", "--options": '{"presence": "0.25"}'},
], ids=["camel", "snake", "arguments"])
@pytest.mark.parametrize("ids", [("data", "bounding_box", "landmarks"), ("input_data", "face_bb", "output_stream")],
                         ids=["code", "README"])
def test_either_spelling_and_either_set_of_ids_does(served, client, spelling, ids):
    film, boxes, target = served.film(), served.film("b.stream", "<stream/>"), str(served.data / "x.stream")
    entries = [entry("input", ids[0], film, kind=VIDEO), entry("input", ids[1], boxes), entry("output", ids[2], target)]
    assert client.told("/process", data=json.dumps(entries), **spelling) == {"success": "True"}
    assert client.wait("k") == FINISHED, client.log("k")
    with open(target + "~", encoding="utf-8") as f:
        words = json.load(f)["words"]
    assert words[:3] == ["run", "--source", film] and words[-2:] == ["--boxes", boxes] and "tracking.presence=0.25" in words
    assert "ssi:{}?confidence=probability&face=first".format(target) in words


def test_each_session_has_its_own_files_and_one_that_fails_holds_up_none(served, client):
    for name, told in (("a", ""), ("b", "fails"), ("c", "")):
        served.film(name + ".mp4", told)
    data = [entry("input", "data", kind=VIDEO, uri_template=str(served.data) + "/{session}.mp4"),
            entry("output", "landmarks", uri_template="{dataset}_{session}{{}}.stream")]
    client.process("many", data, dataset="d", sessions='["a", "b", "c", "absent"]')
    assert client.wait("many") == ERROR
    assert sorted(name for name in os.listdir(str(served.data)) if name.endswith(".stream")) == [
        "d_a{}.stream", "d_b{}.stream", "d_c{}.stream"]
    told = client.log("many")
    assert "session b: nanoface ended with exit code 3" in told and "session absent: " in told and "(3/4): c" in told
    assert json.loads(client.ask("/data").body.decode())["data"][0]["progress"] == "4/4"


FILM, TARGET = "{data}/a.mp4", "{data}/x.stream"


@pytest.mark.parametrize("fields, told", [
    (dict(trainerFilePath="other\\emonet.trainer"), "Trainer file not available: other\\emonet.trainer; there are facemesh"),
    (dict(trainerFilePath=""), "trainerFilePath not specified in request."),
    (dict(data="[nonsense"), "data is no JSON"), (dict(data="{}"), "has to be a JSON list"),
    (dict(data="[" * 100000), "data is "), (dict(data="[1]"), "each entry is an object"),
    (dict(sessions="7"), "sessions is 7"), (dict(sessions="[]"), "1 to 1000 names"), (dict(options="[]"), "a JSON object"),
    (dict(optStr="nonsense"), "write NAME=VALUE"),
    (dict(options='{"presence": "much"}'), "option presence is 'much', and no number"),
    (dict(options='{"presence": "1; rm -rf /"}'), "no number"),
    (dict(options='{"confidence": "sure"}'), "there are probability, logit"),
    (dict(src="db:stream:video"), "an input is a file of this machine (file:...), not db:stream:video"),
    (dict(src="url:stream:video"), "not url:stream:video"), (dict(src="request:image"), "not request:image"),
    (dict(src="ftp:stream:video"), "Invalid value for data source ftp:stream:video"),
    (dict(src="file"), "Invalid value for data source file"), (dict(src="file:stream:smell"), "Invalid value"),
    (dict(film="{data}/none.mp4"), "none.mp4 cannot be read: No such file"), (dict(film="{data}"), "is no file"),
    (dict(film="/dev/zero"), "is no file"), (dict(film="../a.mp4"), "leads out of the data folder"),
    (dict(film="http://192.0.2.1/a.mp4"), "is an address"), (dict(film="rtsp://me:geheim@camera/"), "is an address"),
    (dict(film="a\nb"), "no text on one line"), (dict(film="a\u0000b"), "no text on one line"),
    (dict(film=""), "an input has no uri"), (dict(film="{data}/list.txt"), "is no film"),
    (dict(target="{data}/a.mp4"), "NAME.stream, not to"), (dict(target="/dev/null"), "NAME.stream, not to"),
    (dict(target="../x.stream"), "leads out of the data folder"), (dict(target="{data}/no/x.stream"), "there is no folder"),
    (dict(target="{data}/link.stream"), "is a link or a device"), (dict(target="{data}/text.stream"), "is no stream"),
    (dict(target="{data}/boxes.stream"), "is read by this job"), (dict(target="{data}/over.stream"), "is a link or a device"),
    (dict(target="folder/x.stream"), "leads out of the data folder"), (dict(id="other"), "data has no input data"),
    (dict(origin="db"), "an output is written to a file"), (dict(active=False), "data has no output"),
    (dict(template="{{session.__class__}}"), "is neither {dataset} nor {session}"),
    (dict(film="a/" * 200000), "uri of file:stream:video has more than 4096 characters"),
    (dict(template="{{session}}" * 300, sessions='["{}"]'.format("s" * 200)), "it comes to more than 4096 characters"),
    (dict(sessions='["{}"]'.format("s" * 256)), "more than 255 characters"),
    (dict(optStr=";".join("o{}=1".format(i) for i in range(70000))), "there are more than 64 options"),
], ids=lambda value: str(sorted(value.items()))[:40] if isinstance(value, dict) else "")
def test_what_cannot_be_done_is_an_error_with_its_reason_in_the_log(served, client, fields, told):
    served.film(), served.film("list.txt"), served.film("boxes.stream", "<stream/>"), served.film("text.stream", "a will")
    outside = served.folder / "outside.txt"
    outside.write_text("kept")
    os.symlink(str(outside), str(served.data / "link.stream"))
    os.symlink(str(outside), str(served.data / "over.stream~"))
    os.symlink(str(served.folder), str(served.data / "folder"))
    place = dict(data=str(served.data))
    output = entry("output", "landmarks", fields.get("target", TARGET).format(**place), fields.get("origin", "file"))
    if "template" in fields:
        output["uri_template"] = fields["template"].format()
    data = [entry("input", fields.get("id", "data"), fields.get("film", FILM).format(**place), kind=VIDEO),
            entry("input", "bounding_box", "boxes.stream"), dict(output, active=fields.get("active", True))]
    data[0]["src"] = fields.get("src", data[0]["src"])
    form = {name: fields[name] for name in ("trainerFilePath", "data", "sessions", "options", "optStr") if name in fields}
    form = dict(dict(jobID="wrong", trainerFilePath="facemesh.trainer", data=json.dumps(data)), **form)
    assert client.told("/process", **form) == {"success": "True"}
    assert client.wait("wrong") == ERROR
    assert told in client.log("wrong") and "Traceback" not in client.log("wrong")
    assert outside.read_text() == "kept" and not (served.data / "x.stream").exists() and "geheim" not in client.log("wrong")


def test_what_changes_nothing_is_said(served, client):
    client.process("k", film_to_points(served.film()), options='{"batch_size": 250, "confidenze": "logit"}', stride="40ms",
                   dbPassword="geheim")
    assert client.wait("k") == FINISHED
    told = client.log("k")
    assert "WARNING option batch_size: there is none here that it would change" in told and "did you mean confidence?" in told
    assert "WARNING stride changes nothing here" in told and "geheim" not in told + client.ask("/data").body.decode()


def test_one_job_runs_and_the_others_wait_for_it(served, client):
    slow = served.film("slow.mp4", "slow")
    client.process("first", film_to_points(slow))
    client.process("second", film_to_points(served.film()))
    client.wait("first", RUNNING)
    assert client.status("second") == WAITING and client.status("nobody's") == WAITING
    assert client.log("second") == "No log for the given parameters found."
    assert client.told("/cancel", jobID="first") == {"success": "true"} and client.status("first") == CANCELED
    assert client.wait("second") == FINISHED and client.told("/cancel", jobID="second") == {"success": "false"}
    client.process("third", film_to_points(slow)), client.process("fourth", film_to_points(slow))
    client.wait("third", RUNNING)
    assert client.told("/cancel", jobID="fourth") == {"success": "true"} and client.status("fourth") == CANCELED
    assert "Action successfully canceled." in client.log("first")
    unknown = client.post("/cancel", jobID="nobody's")
    assert (unknown.status, unknown.body) == (500, b'KeyError: "nobody\'s"\n')


def process_of(client, job):
    """Its number, once it has begun."""
    return int(wait_until(lambda: client.log(job).partition("began ")[2].split("\n")[0]))


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("told, finishes", [("slow", True), ("stubborn", False)])
def test_cancel_lets_a_run_finish_its_files_and_ends_one_that_does_not(served, client, monkeypatch, told, finishes):
    monkeypatch.setattr(running, "GRACE_S", PATIENCE_S if finishes else 0.2)
    target = served.data / "x.stream"
    client.process("k", film_to_points(served.film(told=told), target))
    pid = process_of(client, "k")
    client.told("/cancel", jobID="k")
    wait_until(lambda: is_gone(pid))
    assert target.exists() == finishes and client.status("k") == CANCELED


@pytest.mark.parametrize("told", LONG)
def test_closing_the_server_ends_every_job(tmp_path, monkeypatch, told):
    monkeypatch.setattr(running, "GRACE_S", PATIENCE_S / 4 if told == "slow" else 0.2)
    served = Served(tmp_path, at_once=2)
    for key in ("a", "b", "c"):
        served.client.process(key, film_to_points(served.film(told=told)))
    pids = [process_of(served.client, key) for key in ("a", "b")]
    served.close()
    wait_until(lambda: all(map(is_gone, pids)))
    again = Served(tmp_path)
    try:
        assert again.client.status("a") == WAITING  # it is not known any more
        again.client.process("a", film_to_points(again.film("fast.mp4")))
        assert again.client.wait("a") == FINISHED
    finally:
        again.close()


def test_a_flood_of_jobs_is_bounded_and_the_oldest_are_forgotten(served, client, monkeypatch):
    monkeypatch.setattr(jobs, "MOST_WAITING", 3)
    monkeypatch.setattr(jobs, "MOST_ENDED", 2)
    client.process("slow", film_to_points(served.film("slow.mp4", "slow")))
    fast = film_to_points(served.film())
    answers = [client.process("job{}".format(n), fast) for n in range(6)]
    assert [one["success"] for one in answers] == ["True"] * 3 + ["False"] * 3 and "ask again later" in answers[-1]["error"]
    assert client.process("slow", fast)["success"] == "False"  # it runs
    client.told("/cancel", jobID="slow")
    assert client.wait("job2") == FINISHED
    for key in "abc":
        client.process(key, fast)
        client.wait(key)
    keys = [job["job_key"] for job in json.loads(client.ask("/job_status_all").body.decode())]
    assert keys == ["a", "b", "c"] and client.status("job2") == WAITING
    assert len(os.listdir(served.places.tmp)) == len(os.listdir(served.places.log)) == 3


def test_jobs_whose_requests_are_long_fill_neither_the_memory_nor_the_list(served, client):
    for n in range(3):
        client.process("job{}".format(n), film_to_points(served.film()), "a/" * 5000 + "facemesh.trainer", junk="x" * 900000)
        assert client.wait("job{}".format(n)) == FINISHED
    assert len(client.ask("/job_status_all").body) < 20000 and client.ask("/").body.count(b"<td>a</td>") == 3
    assert not any(job.form for job in served.server._jobs._all.values())


def test_a_log_is_bounded_and_holds_no_password(served, client, monkeypatch):
    monkeypatch.setattr(log, "MOST_BYTES", 1500)  # less than the lines that one look at the pipe keeps
    client.process("loud", film_to_points(served.film(told="password loud")))
    assert client.wait("loud") == FINISHED
    assert 1000 < len(client.log("loud")) < 1700 and log.FULL in client.log("loud")
    client.process("shy", film_to_points(served.film(told="password")))
    client.wait("shy")
    assert "geheim" not in client.log("shy") and "me:***@camera" in client.log("shy")


def test_what_a_stranger_calls_a_job_is_no_name_of_a_file_and_no_html(served, client):
    evil = "../../<script>alert(1)</script>\"'&"
    client.process(evil, film_to_points(served.film(), name="../../x"))
    assert client.wait(evil) == FINISHED
    page = client.ask("/")
    assert page.type == "text/html; charset=utf-8" and b"<script" not in page.body and b"&lt;script&gt;" in page.body
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert b"<script" not in client.ask("/log/%3Cscript%3E").body
    with zipfile.ZipFile(io.BytesIO(client.post("/fetch_result", jobID=evil).body)) as packed:
        assert packed.namelist()[0] == "job/dummy_dataset/dummy_session/points.stream"
    names = [name for _, folders, found in os.walk(str(served.folder)) for name in folders + found]
    assert not [name for name in names if "script>" in name] and not [name for name in names if name.startswith("x.")]
    assert client.process("x" * 201, [])["success"] == "False" and client.process("a\nb", [])["success"] == "False"


@pytest.mark.parametrize("headers, status", [
    ({}, 200), (dict(Origin="http://localhost:3000"), 200), (dict(Origin="https://evil.example"), 403),
    (dict(Origin="null"), 403), (dict(Host="evil.example"), 403),
    (dict(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors"), 403),
], ids=str)
def test_a_page_of_a_stranger_starts_no_job(served, client, headers, status):
    form = b"jobID=k&trainerFilePath=facemesh.trainer&data=[]"
    assert client.ask("/process", form, **headers).status == status
    assert (client.status("k") == WAITING) == (status != 200)


@pytest.mark.parametrize("path, method, status", [
    ("/process", "GET", 405), ("/job_status_all", "POST", 405), ("/log/x", "POST", 405), ("/nothing", "GET", 404),
    ("/train", "POST", 404), ("/log/../../etc/passwd", "GET", 404), ("/upload", "POST", 400),
    ("/api/update_progress", "POST", 415),
])
def test_what_is_not_there_is_refused(client, path, method, status):
    answer = client.ask(path, b"" if method == "POST" else None, method)
    assert answer.status == status and len(answer.body) < 200


@pytest.mark.parametrize("head, body", [
    ("Content-Type: application/x-www-form-urlencoded", b"a=" + b"x" * (forms.FORM_BYTES + 10)),
    ("Content-Type: application/x-www-form-urlencoded", b"a=1&" * 100000),
    ("Content-Type: multipart/form-data; boundary=e", b"--e\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"
     + b"x" * (forms.FORM_BYTES + 10) + b"\r\n--e--\r\n"),
    ("Content-Type: multipart/form-data; boundary=e", b"--e\r\nnonsense\r\n\r\nx\r\n--e--\r\n"),
    ("Content-Type: multipart/form-data", b"no boundary"), ("Content-Type: multipart/form-data; boundary=e", b"--f--\r\n"),
    ("Content-Type: multipart/mixed; boundary=e",
     b"--e\r\nContent-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\n\r\n--f--\r\n--e--"),
], ids=range(7))
@pytest.mark.parametrize("path", ["/process", "/upload"])
def test_a_body_that_is_too_long_or_none_is_refused(served, client, path, head, body):
    name, _, value = head.partition(": ")
    try:
        assert client.ask(path, body, Content_Type=value).status in (200, 400, 413)
    except OSError:  # it is not read to its end: the answer may be lost
        assert len(body) > 100000
    assert all(len(job["details"]) < 300 for job in json.loads(client.ask("/data").body.decode())["data"])
    assert not os.path.exists(served.places.uploads) or os.listdir(served.places.uploads) == []


def test_slow_and_broken_clients_hold_nobody_up(served, client, monkeypatch):
    monkeypatch.setattr(forms, "FORM_S", 0.3)
    monkeypatch.setattr(forms, "STALLED_S", 0.3)
    begins = b"POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    heads = [begins.replace(b"{}", b"/process") + b"\r\njob",
             begins.replace(b"{}", b"/upload") + b"Content-Type: multipart/form-data; boundary=e\r\n\r\n"
             b'--e\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nhalf']
    held = [socket.create_connection(("127.0.0.1", served.server.port), PATIENCE_S) for _ in range(6)]
    for at, peer in enumerate(held):
        peer.sendall(heads[at % 2])
    assert client.status("k") == WAITING
    answers = [peer.recv(4096).split(b"\r\n")[0] for peer in held]
    assert set(answers) == {b"HTTP/1.1 408 Request Timeout"}
    for peer in held:
        peer.close()
    assert os.listdir(served.places.uploads) == []
    gone = socket.create_connection(("127.0.0.1", served.server.port), PATIENCE_S)
    gone.sendall(heads[1])
    gone.close()
    wait_until(lambda: os.listdir(served.places.uploads) == [])


def test_a_result_is_sent_whole_to_a_slow_reader(served, client):
    client.process("k", film_to_points(served.film()))
    client.wait("k")
    results = [job for job in served.server._jobs._all.values()][0].results
    with open(os.path.join(results, "large.stream~"), "wb") as f:
        f.write(os.urandom(1 << 20) * 5)
    with socket.create_connection(("127.0.0.1", served.server.port), PATIENCE_S) as peer:
        peer.sendall(b"POST /fetch_result HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 7\r\n\r\n"
                     b"jobID=k")
        time.sleep(0.3)
        got = 0
        for data in iter(lambda: peer.recv(65536), b""):
            got += len(data)
    assert got > 5 << 20


def test_progress_of_others_is_taken_for_a_job_that_goes_on(served, client):
    client.process("k", film_to_points(served.film(told="slow")))
    client.wait("k", RUNNING)

    def tell(value):
        return client.ask("/api/update_progress", json.dumps(value).encode(), Content_Type="application/json")

    assert json.loads(tell({"job_key": "k", "progress": "2/5" + "x" * 500}).body.decode()) == {"success": True}
    shown = json.loads(client.ask("/data").body.decode())["data"][0]["progress"]
    assert shown.startswith("2/5") and len(shown) == jobs.LONGEST_PROGRESS
    assert tell({"job_key": "nobody's", "progress": "1/1"}).status == 200
    assert [tell(wrong).status for wrong in ({}, [], {"job_key": "k"}, 7, None)] == [400] * 5
    assert client.ask("/api/update_progress", b"{", Content_Type="application/json").status == 400


def test_many_clients_at_once_get_their_jobs(served, client):
    film = film_to_points(served.film())
    threads = [threading.Thread(target=client.process, args=("job{}".format(n), film)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [client.wait("job{}".format(n)) for n in range(12)] == [FINISHED] * 12
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
