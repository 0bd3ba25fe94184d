"""Profiles on disk: kept whole, taken back, told where they are damaged, and never lost silently."""
import json
import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ConfigError, OutputError
from edge.face.mesh import POINTS
from edge.face.neutral import Neutral, Taken, facts_of, of_facts
from edge.host import disk
from edge.store import profilefile, requests
from edge.store.profiles import Profiles, default_folder

STILL = np.random.RandomState(3).uniform(-70.0, 70.0, (POINTS, 3))
NEUTRAL = Neutral("me", "face_attention", STILL, ((0.25, 0.06), (0.26, 0.05)), ((1.0, 2.0), None), np.eye(3),
                  ((0.5, 0.0), (0.5, 0.0)))


def facts(spread_mm=0.3, neutral=NEUTRAL):
    return facts_of(Taken(neutral, 90, 3.0, spread_mm, 0.4))


@pytest.fixture
def stored(tmp_path):
    return Profiles(str(tmp_path / "profiles"), of_facts)


def spread(stored, name="me"):
    return stored.load(name).facts["spread_mm"]


def test_what_was_saved_is_read_back(stored):
    path = stored.save("me", facts())
    found = of_facts(stored.load("me").facts)
    assert np.abs(found.still - STILL).max() < 1e-3 and found.lids == NEUTRAL.lids
    assert (found.name, found.network, found.gaze, found.lens) == ("me", "face_attention", NEUTRAL.gaze, NEUTRAL.lens)
    assert os.stat(path).st_mode & 0o077 == 0  # a face is its owner's


@pytest.mark.parametrize("name", ["a", "Anna-2_b.c", "x" * 40])
def test_a_name_that_can_be_a_file_is_taken(stored, name):
    stored.save(name, facts())
    assert stored.names() == [name]


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", ".a", "-a", "x" * 41, "a\n", "a\0b", "\u00e4", "none", "NULL"])
def test_any_other_name_is_refused(stored, name):
    for act in (stored.load, stored.use, stored.undo, stored.remove, lambda name: stored.save(name, facts())):
        with pytest.raises(ConfigError) as error:
            act(name)
        assert "no name of a profile" in str(error.value) and "\n" not in str(error.value)
    assert not os.path.exists(stored.folder)


def test_undo_goes_back_version_by_version_and_in_the_end_to_none(stored):
    for value in range(6):
        stored.save("me", facts(float(value)))
    stored.use("me")
    seen = [spread(stored)]
    while stored.undo("me"):
        seen.append(spread(stored))
    assert seen == [5.0, 4.0, 3.0, 2.0]  # three before the present one are kept
    assert stored.names() == [] and stored.in_use() is None
    with pytest.raises(ConfigError, match="there is no profile me"):
        stored.undo("me")
    assert files(stored) == [".lock", "use"]  # nobody would find the face that is left


def files(stored):
    return sorted(name for _, _, names in os.walk(stored.folder) for name in names)


def test_what_is_left_of_a_damaged_one_can_be_removed(stored):
    path = stored.save("me", facts())
    open(path, "wb").close()
    with pytest.raises(ConfigError, match="damaged"):
        stored.load("me")
    assert files(stored) == [".lock", "me.damaged"]
    stored.remove("me")
    assert files(stored) == [".lock"]
    with pytest.raises(ConfigError, match="there is no profile me"):
        stored.remove("me")


@pytest.mark.parametrize("free", range(3))
def test_a_disk_that_fills_up_costs_no_version(stored, monkeypatch, free):
    """`free`: writes that still succeed, each time."""
    for value in range(4):
        stored.save("me", facts(float(value)))
    write, room = disk.os.write, []

    def full(fd, data):
        if not room:
            raise OSError(28, "No space left on device")
        room.pop()
        return write(fd, data)

    monkeypatch.setattr(disk.os, "write", full)
    for _ in range(3):
        room[:] = [1] * free
        if free < 2:
            with pytest.raises(OutputError, match="No space left"):
                stored.save("me", facts(9.0))
        else:
            stored.save("me", facts(9.0))
    monkeypatch.undo()
    seen = [spread(stored)]
    while stored.undo("me"):
        seen.append(spread(stored))
    assert seen == ([3.0, 2.0, 1.0, 0.0] if free < 2 else [9.0, 9.0, 9.0, 3.0])


def test_nobody_sits_for_a_face_that_cannot_be_kept(stored, tmp_path):
    stored.ready("me")
    assert not os.path.exists(stored.folder)
    path = stored.save("me", facts())
    stored.ready("me")
    with open(path, "wb") as f:
        f.write(rewritten(lambda whole: whole.update(schema=2)))
    with pytest.raises(ConfigError, match="take another name: .*calibrate neutral --name NAME"):
        stored.ready("me")
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        nowhere = Profiles(str(folder), of_facts)
        with pytest.raises(OutputError, match="NANOFACE_PROFILES"):
            nowhere.ready("me")
        with pytest.raises(ConfigError, match="there is no profile me"):
            nowhere.load("me")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="for root alone")
def test_a_folder_that_others_write_to_names_the_setting_of_the_profiles(tmp_path):
    (tmp_path / "open").mkdir()
    os.chmod(str(tmp_path / "open"), 0o777)
    with pytest.raises(OutputError, match="other accounts.*set NANOFACE_PROFILES"):
        Profiles(str(tmp_path / "open"), of_facts).ready("me")
    with pytest.raises(OutputError, match="other accounts.*set NANOFACE_PROFILES"):
        Profiles(str(tmp_path / "open"), of_facts).save("me", facts())


def test_what_is_removed_is_gone_with_its_versions(stored):
    for value in range(3):
        stored.save("me", facts(float(value)))
    stored.use("me")
    stored.remove("me")
    assert stored.in_use() is None and not [name for _, _, names in os.walk(stored.folder) for name in names if "me" in name]
    with pytest.raises(ConfigError):
        stored.load("me")


def rewritten(change):
    """The bytes of a profile whose facts were changed, with a checksum that fits."""
    whole = json.loads(profilefile.encoded("me", facts()).decode())
    change(whole)
    whole["sha256"] = profilefile.checksum(whole)
    return json.dumps(whole).encode()


def folder_instead(path):
    os.remove(path)
    os.mkdir(path)
    with open(os.path.join(path, "x"), "w"):
        pass


WHOLE = profilefile.encoded("me", facts())
DAMAGE = {
    "cut off": WHOLE[:1000], "empty": b"", "binary": bytes(range(256)) * 30, "huge": b"[" * (1 << 20),
    "no object": b"[1]", "changed": WHOLE.replace(b'"frames":90', b'"frames":91'), "nested": b"[" * 100000 + b"]" * 100000,
    "no number": WHOLE.replace(b'"frames":90', b'"frames":NaN'), "no schema": rewritten(lambda f: f.pop("schema")),
    "a text for points": rewritten(lambda f: f.update(still="x")),
    "few points": rewritten(lambda f: f.update(still=[[1, 2, 3]])),
    "all points one": rewritten(lambda f: f.update(still=[[1.0, 2.0, 3.0]] * POINTS)),
    "no rotation": rewritten(lambda f: f.update(rotation=[[1, 0, 0], [0, 1, 0], [0, 0, 2]])),
    "mirrored": rewritten(lambda f: f.update(rotation=[[1, 0, 0], [0, 1, 0], [0, 0, -1]])),
    "lids that never open": rewritten(lambda f: f.update(lids=[[0.1, 0.2], [0.2, 0.1]])),
    "gaze of one eye": rewritten(lambda f: f.update(gaze=[[1, 2]])), "no network": rewritten(lambda f: f.update(network=5)),
    "digits": rewritten(lambda f: f.update(frames=1)).replace(b'"frames": 1', b'"frames": ' + b"9" * 5000),
    "a folder": folder_instead,
}


@pytest.mark.parametrize("before", [True, False], ids=["a version before", "none before"])
@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_a_damaged_file_is_put_aside_and_told_and_the_version_before_it_taken(stored, kind, before):
    if before:
        stored.save("me", facts(1.0))
    path, damage = stored.save("me", facts(2.0)), DAMAGE[kind]
    if callable(damage):
        damage(path)
    else:
        with open(path, "wb") as f:
            f.write(damage)
    if before:
        found = stored.load("me")
        text = found.note
        assert found.facts["spread_mm"] == 1.0 and "the version before it is taken" in text
        assert stored.load("me").note == ""
    else:
        with pytest.raises(ConfigError) as error:
            stored.load("me")
        text = str(error.value)
        assert "calibrate neutral --name me" in text
    assert "the profile me is damaged" in text and "me.damaged" in text and "\n" not in text
    aside = os.path.join(stored.folder, "me.damaged")
    assert os.path.isdir(aside) if callable(damage) else open(aside, "rb").read() == damage


def test_a_file_of_a_later_version_is_left_alone(stored):
    path = stored.save("me", facts())
    later = rewritten(lambda whole: whole.update(schema=2, still="packed"))
    with open(path, "wb") as f:
        f.write(later)
    for _ in range(2):
        with pytest.raises(ConfigError, match="made by a later nanoface"):
            stored.load("me")
    assert open(path, "rb").read() == later


def test_keys_of_a_later_version_stay(stored):
    path = stored.save("me", facts())
    with open(path, "wb") as f:
        f.write(rewritten(lambda whole: whole.update(voice={"pitch": [1, "\u00fc"]})))
    stored.save("me", facts(9.0))
    stored.undo("me")
    assert stored.load("me").facts["voice"] == {"pitch": [1, "\u00fc"]}


@given(st.binary(max_size=300), st.integers(0, len(WHOLE)), st.integers(0, 300))
def test_no_bytes_are_taken_for_a_face_but_its_own(tmp_path_factory, noise, at, gone):
    path = str(tmp_path_factory.mktemp("p") / "me.json")
    content = WHOLE[:at] + noise + WHOLE[at + gone:]
    with open(path, "wb") as f:
        f.write(content)
    try:
        found = profilefile.read(path)
    except (profilefile.Damaged, ConfigError):
        return
    assert found == json.loads(WHOLE.decode())


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_kill_during_a_write_leaves_the_one_before(stored, monkeypatch, step):
    stored.save("me", facts(1.0))

    class Killed(BaseException):
        pass

    def killed(*args, **more):
        raise Killed

    stored.save("me", facts(2.0))
    target = disk.os if step == "fsync" else disk.Folder
    monkeypatch.setattr(target, step, killed)
    with pytest.raises(Killed):
        stored.save("me", facts(3.0))
    monkeypatch.undo()
    assert spread(stored) == 2.0 and stored.names() == ["me"]


def test_a_full_or_read_only_disk_is_one_line_and_loses_nothing(stored, monkeypatch):
    stored.save("me", facts(1.0))

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "write", full)
    for act in (lambda: stored.save("me", facts(2.0)), lambda: stored.use("me")):
        with pytest.raises(OutputError) as error:
            act()
        assert "No space left on device" in str(error.value) and "NANOFACE_PROFILES" in str(error.value)
    monkeypatch.undo()
    assert spread(stored) == 1.0


def test_several_at_once_leave_a_whole_profile_and_whole_versions(stored):
    stored.save("me", facts(0.0))
    failed = []

    def work(first):
        try:
            for value in range(first, first + 8):
                Profiles(stored.folder, of_facts).save("me", facts(float(value)))
                if value % 4 == 0:
                    Profiles(stored.folder, of_facts).undo("me")
                Profiles(stored.folder, of_facts).load("me")
        except ConfigError as e:
            failed.append(str(e))

    threads = [threading.Thread(target=work, args=(first,)) for first in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and stored.load("me").note == ""
    assert not [name for name in os.listdir(stored.folder) if "damaged" in name or name.endswith(".part")]


@pytest.mark.parametrize("content, name", [
    (b"me\n", "me"), (b"none\n", None), (b"", None), (b"../x\n", None), (b"\xff" * 9, None), (b"x" * 500, None)])
def test_what_is_in_use_is_a_name_or_nothing(stored, content, name):
    stored.save("me", facts())
    with open(os.path.join(stored.folder, "use"), "wb") as f:
        f.write(content)
    assert stored.in_use() == name


def test_a_change_is_seen(stored):
    stored.save("me", facts(1.0))
    states = [stored.state()]
    for act in (lambda: stored.use("me"), lambda: stored.save("me", facts(2.0)), lambda: stored.undo("me"),
                lambda: stored.use(None)):
        act()
        states.append(stored.state())
    assert all(one != other for one, other in zip(states, states[1:]))


@pytest.mark.parametrize("environ, folder", [
    ({"NANOFACE_PROFILES": "/p"}, "/p"), ({"XDG_DATA_HOME": "/d"}, "/d/nanoface/profiles"),
    ({}, os.path.expanduser("~/.local/share/nanoface/profiles"))])
def test_where_profiles_lie(environ, folder):
    assert default_folder(environ) == folder


def test_those_of_the_service_outlive_its_versions(monkeypatch):
    monkeypatch.setattr("edge.host.commands.is_installed", lambda: True)
    assert default_folder({}) == "/var/lib/nanoface/profiles"


@pytest.mark.parametrize("content", [
    b"", b"{}", b"[]", b"\xff", b'{"id": 1, "name": "../x", "seconds": 3}', b'{"id": "a", "name": "me", "seconds": 1e9}',
    b'{"id": "a", "name": "me", "seconds": "x"}'])
def test_a_request_that_is_none_is_passed_over(tmp_path, content):
    (tmp_path / "request").write_bytes(content)
    assert requests.take(str(tmp_path)) is None


def test_a_request_is_taken_once_and_its_own_reply_is_read(tmp_path):
    folder = str(tmp_path)
    request = requests.put(folder, "me", 3.0)
    assert requests.take(folder) == request and requests.take(folder) is None and not requests.withdraw(folder)
    requests.reply(folder, request, {"done": 0.5, "text": "hold still"})
    assert requests.read_reply(folder, request)["text"] == "hold still"
    assert requests.read_reply(folder, request._replace(id="another")) is None


def test_a_request_of_a_command_that_was_killed_is_not_taken(tmp_path):
    requests.put(str(tmp_path), "me", 3.0)
    os.utime(str(tmp_path / "request"), (1e9, 1e9))
    assert requests.take(str(tmp_path)) is None
