"""What another account of the machine may put in the way of a writer: a table of what it tries and what is refused.

Root and a second account, for real: both are this machine's. Without root the cases are skipped by name.
"""
import contextlib
import json
import os
import stat
import subprocess
import sys

import pytest

from edge.core.errors import ConfigError, EngineError, ModelError, OutputError
from edge.core.packet import Frame, Packet
from edge.doctor.plans import _check_kernel
from edge.host.disk import StorageError, one_builder, part_folder, write_whole
from edge.host.ownership import is_shared
from edge.host.safeopen import Folder, open_new, open_read
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.spec import parse_output
from edge.service.places import Places
from edge.service.state import last_record
from edge.sources.live.argus import BY_HAND, FAILURES, VARIABLE, ArgusRestart
from edge.store import lock
from edge.store.models import SCHEMA, locate, read_index
from edge.store.plans import read_object
from edge.telemetry.status.file import open_log
from edge.telemetry.status.log import StatusLog
from edge.telemetry.status.read import read_last

np = pytest.importorskip("numpy")

STRANGER = 65534  # on any system: nobody
SECRET = b"root's own\n"

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be two accounts")


class Scene:
    """A folder of root's with a file that must stay as it is; folders of the stranger and of everybody beside it."""

    def __init__(self, folder):
        self.root = folder
        self.secret = folder / "own" / "secret"
        self.secret.parent.mkdir(mode=0o700)
        self.secret.write_bytes(SECRET)
        self.theirs = self.folder("theirs", 0o755, STRANGER)
        self.sticky = self.folder("sticky", 0o1777, 0)

    def folder(self, name, mode, uid):
        path = self.root / name
        path.mkdir()
        os.chown(str(path), uid, -1)
        os.chmod(str(path), mode)
        return path

    def link(self, path, target=None):
        os.symlink(str(target or self.secret), str(path))
        os.lchown(str(path), STRANGER, -1)
        return path

    def untouched(self):
        return self.secret.read_bytes() == SECRET and os.listdir(str(self.secret.parent)) == ["secret"]


@pytest.fixture
def scene(open_folder):
    return Scene(open_folder)


def output(kind, target):
    return make_output(parse_output("{}:{}".format(kind, target)), OutputOptions(False, False, True, lambda: 30.0))


def run_output(kind, target):
    """One frame; the output as it is at the end of a run."""
    made = output(kind, target)
    made.open()
    frame = Frame(0, 0.0, 0.0, np.zeros((48, 64, 3), np.uint8))
    record = {"frame": 0, "captured_at": 0.0, "time_s": 0.0, "age_ms": 0.0, "size": [64, 48], "faces": []}
    made.emit(Packet(frame) if made.needs_picture else record)
    made.close()


def locked(folder):
    with one_builder(folder, lambda: None):
        pass


def tracked(home):
    with lock.tracking(home, lambda: None, lambda: True):
        pass


def in_part(folder):
    with part_folder(folder, "x"):
        pass


def log_once(path):
    """As a run does: what is wrong with the log is its `problem`, and tracking goes on."""
    log = StatusLog(path)
    log.write({"schema": 1, "state": "RUNNING"})
    log.close()
    if log.problem:
        raise OSError(log.problem)


KINDS = {"jsonl": "a.jsonl", "csv": "a.csv", "image": "a.jpg", "video": "a.mp4"}
REFUSALS = (OutputError, StorageError, EngineError, ConfigError, OSError)
WRITERS = [(kind, name, lambda path, kind=kind: run_output(kind, path)) for kind, name in sorted(KINDS.items())]
WRITERS += [("status log", "status.jsonl", log_once)]


def plant_link(scene, folder, name):
    return scene.link(folder / name)


def plant_hard_link(scene, folder, name):
    """What fs.protected_hardlinks forbids where it is on; a kernel without it lets them."""
    os.link(str(scene.secret), str(folder / name))
    return folder / name


def plant_pipe(scene, folder, name):
    os.mkfifo(str(folder / name))
    os.chown(str(folder / name), STRANGER, -1)
    return folder / name


@pytest.mark.parametrize("where", ["sticky", "theirs"])
@pytest.mark.parametrize("plant", [plant_link, plant_hard_link])
@pytest.mark.parametrize("what, name, write", WRITERS, ids=[row[0] for row in WRITERS])
def test_a_link_at_the_name_that_root_writes_to_is_refused_by_name(scene, where, plant, what, name, write):
    path = plant(scene, getattr(scene, where), name)
    with pytest.raises(REFUSALS) as error:
        write(str(path))
    assert name in str(error.value) and "link" in str(error.value) and "\n" not in str(error.value)
    assert scene.untouched()


@pytest.mark.parametrize("what, name, write", WRITERS, ids=[row[0] for row in WRITERS])
def test_a_link_on_the_way_is_refused_by_name(scene, what, name, write):
    scene.link(scene.sticky / "out", scene.secret.parent)
    with pytest.raises(REFUSALS, match="out is a link that .* has put there"):
        write(str(scene.sticky / "out" / name))
    assert scene.untouched()


def test_a_pipe_of_somebody_else_in_a_sticky_folder_is_refused(scene):
    path = plant_pipe(scene, scene.sticky, "a.jsonl")
    with pytest.raises(OutputError, match="a.jsonl belongs to"):
        output("jsonl", path).open()


@pytest.mark.parametrize("plant", [plant_pipe, None])
def test_what_is_exchanged_between_look_and_opening_wins_nothing(scene, monkeypatch, plant):
    """A pipe for an output, nothing or a log for the status log; then a hard link to a file of root's."""
    path, exchanged, opened = scene.theirs / "a.jsonl", [], Folder.open

    def exchange(folder, name, *rest):
        if name == path.name and not exchanged:
            exchanged.append(name)
            path.unlink()
            plant_hard_link(scene, scene.theirs, path.name)
        return opened(folder, name, *rest)

    if plant is None:
        path.write_text('{"schema":1,"state":"RUNNING"}\n')
        scene.secret.write_bytes(b"")  # no foreign word in it
    else:
        plant(scene, scene.theirs, path.name)
    monkeypatch.setattr(Folder, "open", exchange)
    with pytest.raises(OSError):
        os.close(open_new(str(path)) if plant else open_log(str(path), 0o644))
    assert exchanged and scene.secret.read_bytes() == (SECRET if plant else b"")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_root_writes_into_a_folder_of_somebody_else_and_leaves_nothing_beside_it(scene, kind):
    for folder in (scene.theirs, scene.sticky):
        run_output(kind, folder / KINDS[kind])
        run_output(kind, folder / KINDS[kind])  # and again, over what it wrote
        assert os.listdir(str(folder)) == [KINDS[kind]] and (folder / KINDS[kind]).stat().st_size > 0


@pytest.mark.parametrize("name", [".a.jpg.{pid}", "a.jpg.{pid}", ".file.{pid}.part", "file.{pid}.part"])
def test_names_that_can_be_foreseen_are_not_used(scene, name):
    """What is in the making had its process's number in its name."""
    name = name.format(pid=os.getpid())
    scene.link(scene.sticky / name)
    run_output("image", scene.sticky / "a.jpg")
    own = scene.folder("home", 0o755, 0)
    scene.link(own / name)
    write_whole(str(own / "file"), b"content")
    assert scene.untouched() and (own / "file").read_bytes() == b"content"


STORE = {
    "a build's lock is a link": ("plans/.lock", lambda home: locked(home + "/plans")),
    "a tracker's lock is a link": ("plans/.lock", tracked),
    "the folder of plans is a link": ("plans", lambda home: locked(home + "/plans")),
    "plans as a link, for a tracker": ("plans", tracked),
    "plans as a link, for a file": ("plans", lambda home: write_whole(home + "/plans/chosen.json", b"{}")),
    "plans as a link, for what is in the making": ("plans", lambda home: in_part(home + "/plans")),
    "the cache as a link": ("cache", lambda home: locked(home + "/cache")),
}


@pytest.mark.parametrize("attack", sorted(STORE))
def test_root_does_not_follow_what_the_owner_of_a_store_has_put_into_it(scene, attack):
    name, act = STORE[attack]
    home = scene.theirs
    if "/" in name:
        (home / name).parent.mkdir()
        os.chown(str((home / name).parent), STRANGER, -1)
        scene.link(home / name)
    else:
        scene.link(home / name, scene.secret.parent)
    with pytest.raises((StorageError, EngineError)) as error:
        act(str(home))
    assert "link" in str(error.value) or "sudo -u" in str(error.value)
    assert scene.untouched()


@pytest.mark.parametrize("mode, uid, cure", [
    (0o755, STRANGER, "sudo -u"), (0o777, 0, "sudo chmod go-w"), (0o1777, 0, "sudo chmod go-w"),
])
def test_root_writes_nothing_of_a_store_where_others_could_exchange_it(scene, mode, uid, cure):
    home = scene.folder("home", mode, uid)
    for act in (lambda: locked(str(home)), lambda: in_part(str(home)), lambda: write_whole(str(home / "f"), b"")):
        with pytest.raises(StorageError, match="root writes nothing there: " + cure):
            act()
    if not mode & stat.S_ISVTX:  # what lies deeper could be exchanged with its folder
        with pytest.raises(StorageError, match=cure):
            write_whole(str(home / "plans" / "f"), b"")
    assert os.listdir(str(home)) == []


def test_root_gets_the_owner_of_a_store_in_a_sticky_folder_and_not_to_change_that(scene):
    home = scene.sticky / "home"
    home.mkdir()
    os.chown(str(home), STRANGER, -1)
    with pytest.raises(StorageError, match="sticky/home can be written to by .* sudo -u "):
        locked(str(home / "plans"))


@pytest.mark.parametrize("plant", [plant_link, plant_pipe])
def test_what_root_reads_of_a_store_is_no_link_of_its_owner_and_no_pipe_that_makes_it_wait(scene, plant):
    (scene.theirs / "onnx").mkdir()
    os.chown(str(scene.theirs / "onnx"), STRANGER, -1)
    plant(scene, scene.theirs / "onnx", "index.json")
    with pytest.raises(ModelError, match="index.json is (a link|no regular file)"):
        read_index(str(scene.theirs))


@pytest.mark.parametrize("gid, mode, shared", [(0, 0o775, False), (STRANGER, 0o775, True), (STRANGER, 0o755, False),
                                               (12345678, 0o775, True)])
def test_a_folder_is_shared_with_the_other_members_of_its_group(scene, gid, mode, shared):
    import pwd

    if gid == STRANGER and gid not in [entry.pw_gid for entry in pwd.getpwall()]:
        pytest.skip("nobody has a group of this number here")
    path = scene.folder("group", mode, 0)
    os.chown(str(path), 0, gid)
    os.chmod(str(path), mode)
    assert is_shared(path.stat()) == shared


def test_a_request_to_restart_argus_is_no_way_to_a_file_of_roots(scene):
    path = scene.link(scene.theirs / "restart-argus")
    asking = ArgusRestart({VARIABLE: str(path)})
    assert [asking.failed(killed=True) for _ in range(FAILURES)][-1] == BY_HAND
    assert scene.untouched()


AS_STRANGER = """
import os, sys
from edge.host.disk import write_whole
from edge.outputs.files.jsonl import JsonlOutput
from edge.outputs.spec import parse_output
from edge.store.plans import read_object
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
for place in sys.argv[1:]:
    made = JsonlOutput(parse_output("jsonl:" + place + "/a.jsonl"), False)
    made.open(); made.emit({{"frame": 0}}); made.close()
    write_whole(place + "/plans/x", b"x")
"""


def test_an_ordinary_user_goes_on_using_links_of_their_own(scene):
    """To another disk, say; also in a folder that others may write to."""
    disk, own = scene.folder("disk", 0o755, STRANGER), scene.folder("user", 0o755, STRANGER)
    for place in (own, scene.sticky):
        scene.link(place / "a.jsonl", disk / "a.jsonl")
        scene.link(place / "plans", disk)
    done = subprocess.run([sys.executable, "-c", AS_STRANGER.format(uid=STRANGER), str(own), str(scene.sticky)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p)))
    assert done.returncode == 0, done.stdout.decode()
    assert (disk / "a.jsonl").read_text() == '{"frame":0}\n' and (disk / "x").read_bytes() == b"x"


@pytest.mark.parametrize("plant", [plant_link, plant_pipe])
def test_what_a_status_is_read_from_is_a_file_and_no_link_of_somebody_else(scene, plant):
    path = plant(scene, scene.theirs, "status.jsonl")
    with pytest.raises(ConfigError, match="status.jsonl"):
        read_last(str(path))
    with pytest.raises(OSError):
        os.close(open_read(str(path)))
    assert scene.untouched()


def test_devices_and_pipes_that_were_asked_for_are_written_to(scene, tmp_path):
    output("jsonl", "/dev/null").open()
    path = tmp_path / "pipe"
    os.mkfifo(str(path))
    reader = os.open(str(path), os.O_RDONLY | os.O_NONBLOCK)
    with contextlib.closing(output("jsonl", path)) as made:
        made.open()
        made.emit({"frame": 0})
    assert os.read(reader, 100) == b'{"frame":0}\n'
    os.close(reader)


@pytest.mark.parametrize("content", ["[" * 50000, '{"a":' * 20000], ids=["lists", "objects"])
def test_what_is_nested_without_end_is_damaged_and_no_error_of_ours(scene, content):
    (scene.theirs / "onnx").mkdir()
    index, log = scene.theirs / "onnx" / "index.json", scene.theirs / "status.jsonl"
    index.write_text(content)
    log.write_text(content + "\n")
    with pytest.raises(ModelError, match="index.json cannot be read"):
        read_index(str(scene.theirs))
    with pytest.raises(EngineError, match="index.json cannot be read"):
        read_object(str(index), "cure")
    with pytest.raises(ConfigError, match="holds no status record"):
        read_last(str(log))


def test_an_index_as_large_as_a_disk_is_not_read_whole(scene):
    (scene.theirs / "onnx").mkdir()
    with open(str(scene.theirs / "onnx" / "index.json"), "wb") as f:
        f.truncate(1 << 40)
    with pytest.raises(ModelError, match="index.json cannot be read"):
        read_index(str(scene.theirs))
    with pytest.raises(EngineError, match="index.json cannot be read"):
        read_object(str(scene.theirs / "onnx" / "index.json"), "cure")


@pytest.mark.parametrize("file", ["../../own/secret", "..", "/etc/passwd"])
def test_a_network_of_an_index_lies_in_its_folder(scene, file):
    (scene.theirs / "onnx").mkdir()
    (scene.theirs / "onnx" / "index.json").write_text(json.dumps(
        {"schema": SCHEMA, "networks": {"n": {"file": file, "sha256": "0" * 64}}}))
    with pytest.raises(ModelError, match="the entry of n .* is damaged"):
        locate(str(scene.theirs), "n")


def test_the_doctor_waits_for_no_pipe(scene):
    plans = scene.folder("plans", 0o755, STRANGER)
    plant_pipe(scene, plans, "crop.json")
    assert _check_kernel(str(plans)).text.startswith("cannot be read")


def test_a_record_of_impossible_numbers_is_none_and_no_error_of_ours(scene):
    for path, text in (("etc/nanoface/nanoface.yaml", "{}\n"), ("run/nanoface/status.jsonl", (
            '{"schema":1,"state":"RUNNING","stages":{},"uptime_s":1e999}\n'))):
        (scene.root / path).parent.mkdir(parents=True)
        (scene.root / path).write_text(text)
    assert last_record(Places(str(scene.root))) == "the newest line of the status log is no status record"
