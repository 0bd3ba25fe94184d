"""A power cut at each step of an upgrade and of the way back: the board starts, and the same command then ends well."""
import io
import os

import pytest

import edge
from edge.service import installer, places, program
from edge.service.acting import Account
from edge.service.places import Places
from edge.service.steps import CommandResult, Steps

NEW = "9.0"


class Cut(BaseException):
    """The power is gone."""


class Power:
    """Counts steps; takes the place of Steps.do and of the commands."""

    def __init__(self):
        self.left = None

    def do(self, steps, text, action):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Cut()
        action()


@pytest.fixture
def power(monkeypatch):
    made = Power()
    monkeypatch.setattr(Steps, "do", lambda self, text, action: made.do(self, text, action))
    monkeypatch.setattr(Steps, "ask", lambda self, *words: CommandResult(0, "active"))  # everything is there, and up
    monkeypatch.setattr(program, "_make", make)
    monkeypatch.setattr(installer, "service_account", lambda: Account(os.geteuid(), os.getegid(), (os.getegid(),)))
    for module in (program, installer):
        monkeypatch.setattr(module, "all_to_disk", lambda: None)
    return made


def make(steps, tree, name, digest, taken):
    """The folder of a version, as _make leaves it: whole."""
    folder = tree.program(name)
    data = os.path.join(folder, places.SHARE)
    os.makedirs(data)
    for file in places.SHIPPED:
        with open(os.path.join(places.shipped_folder(), file), "rb") as f, open(os.path.join(data, file), "wb") as g:
            g.write(f.read())
    with open(os.path.join(folder, program.DIGEST), "w") as f:
        f.write(digest)


def networks(folder, content):
    os.makedirs(str(folder / "onnx"), exist_ok=True)
    (folder / "onnx" / "one.onnx").write_bytes(content)
    (folder / "onnx" / "index.json").write_text(
        '{{"schema": 1, "networks": {{"one": {{"file": "one.onnx", "sha256": "{}"}}}}}}'.format(len(content)))


def act(action, folder, power, left):
    """Run it with so many steps of power; True where they were enough."""
    options = installer.InstallOptions(root=str(folder / "root"), build=False)
    power.left = left
    try:
        if action == "install":
            installer.run_install(str(folder / "networks"), options, io.StringIO())
        else:
            installer.run_rollback(options, io.StringIO())
    except Cut:
        return False
    finally:
        power.left = None
    return True


def can_start(tree):
    """What the unit names is whole, and so are the networks."""
    current = tree.version(places.CURRENT)
    assert os.path.exists(os.path.join(tree.program(current), program.DIGEST))
    for unit in places.UNITS:
        with open(tree.at("{}/{}".format(places.UNIT_FOLDER, unit)), "rb") as f:
            assert f.read()
    return current, read(tree)


def read(tree):
    """The weights that the version in use finds."""
    with open(os.path.join(tree.home(tree.version(places.CURRENT)), "onnx", "one.onnx"), "rb") as f:
        return f.read()


def upgraded(folder, power, monkeypatch, cut_at):
    """A board with the first version, and an upgrade that is cut off there; whether it was not."""
    old = edge.__version__
    (folder / "root/run/systemd/system").mkdir(parents=True)
    monkeypatch.setattr(program, "digest_of", lambda taken: "digest of " + edge.__version__)
    networks(folder / "networks", b"weights")
    assert act("install", folder, power, None)
    networks(folder / "networks", b"better weights")
    monkeypatch.setattr(edge, "__version__", NEW)
    return old, act("install", folder, power, cut_at)


def test_an_upgrade_that_was_cut_off_at_any_step(tmp_path, power, monkeypatch):
    first, done, cut_at = edge.__version__, False, 0
    while not done:
        folder = tmp_path / str(cut_at)
        monkeypatch.setattr(edge, "__version__", first)
        old, done = upgraded(folder, power, monkeypatch, cut_at)
        tree = Places(str(folder / "root"))
        current, weights = can_start(tree)
        assert (current, weights) in ((old, b"weights"), (NEW, b"better weights"))
        assert act("install", folder, power, None)
        assert can_start(tree) == (NEW, b"better weights") and tree.versions() == tuple(sorted((old, NEW)))
        assert act("rollback", folder, power, None)
        assert can_start(tree) == (old, b"weights"), "after a cut at step {}".format(cut_at)
        cut_at += 1
    assert cut_at > 8


def test_a_way_back_that_was_cut_off_at_any_step(tmp_path, power, monkeypatch):
    first, done, cut_at = edge.__version__, False, 0
    while not done:
        folder = tmp_path / str(cut_at)
        monkeypatch.setattr(edge, "__version__", first)
        old, _ = upgraded(folder, power, monkeypatch, None)
        tree = Places(str(folder / "root"))
        done = act("rollback", folder, power, cut_at)
        current, weights = can_start(tree)
        assert (current, weights) in ((old, b"weights"), (NEW, b"better weights"))
        if current == NEW:  # it was not yet switched: once more
            assert act("rollback", folder, power, None)
        assert can_start(tree) == (old, b"weights"), "after a cut at step {}".format(cut_at)
        cut_at += 1
    assert cut_at > 4
