"""Whoever has the account of the service puts things into its folders, and root installs, upgrades and removes.

Root and two other accounts, for real; without root the cases are skipped by name.
"""
import io
import os
import stat

import pytest
from test_service_install import Box, next_version

import edge
from edge.service import installer, packages, places, program
from edge.service.acting import Account, acting_as
from edge.service.steps import ServiceError, Steps

USER, LATER, OWNER = 65534, 65533, 65532  # the service's; the next to have that name; of the checkout
SECRET = b"root's own\n"

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be two accounts")


class Board(Box):
    """A machine whose service has a user of its own, and what root keeps from it."""

    def __init__(self, folder, monkeypatch):
        super().__init__(folder)
        self.own = folder / "own"
        self.own.mkdir(mode=0o700)
        self.secret = self.own / "secret"
        self.secret.write_bytes(SECRET)
        self.secret.chmod(0o600)
        self.user = USER
        monkeypatch.setattr(installer, "service_account", lambda: Account(self.user, self.user, (self.user,)))

    @property
    def state_folder(self):
        return self.path(places.HOME)

    @property
    def home(self):
        return self.state_folder / edge.__version__

    def untouched(self):
        info = self.secret.stat()
        return (self.secret.read_bytes() == SECRET and (info.st_uid, stat.S_IMODE(info.st_mode)) == (0, 0o600)
                and os.listdir(str(self.own)) == ["secret"])

    def owners(self):
        """Of what lies in the state folder, itself included."""
        found = {self.state_folder.stat().st_uid}
        for place, folders, names in os.walk(str(self.state_folder)):
            found |= {os.lstat(os.path.join(place, name)).st_uid for name in folders + names}
        return found

    def plant(self, attack):
        """As the service's user."""
        name, kind = ATTACKS[attack]
        path = str(self.state_folder / name.format(edge.__version__))
        with acting_as(Account(self.user, self.user, ())):
            if os.path.isdir(path) and not os.path.islink(path):
                os.rename(path, path + "-gone")
            elif os.path.lexists(path):
                os.unlink(path)
            if kind == "pipe":
                os.mkfifo(path)
            elif kind != "hard link":
                os.symlink(str(self.own if kind == "folder" else self.secret), path)
        if kind == "hard link":
            os.link(str(self.secret), path)  # what they may where fs.protected_hardlinks is off
        return path


ATTACKS = {
    "a network is a link to a file of root's": ("{}/onnx/evil.onnx", "file"),
    "a network is a hard link to a file of root's": ("{}/onnx/evil.onnx", "hard link"),
    "the index is a link": ("{}/onnx/index.json", "file"),
    "the index is a pipe": ("{}/onnx/index.json", "pipe"),
    "the folder of plans is a link": ("{}/plans", "folder"),
    "the lock of the plans is a link": ("{}/plans/.lock", "file"),
    "the folder of networks is a link": ("{}/onnx", "folder"),
    "the next version is a link": ("9.0", "folder"),
    "what is in the making is a link": ("9.0.part", "folder"),
    "a link beside the versions": ("evil", "file"),
    "a hard link beside the versions": ("evil", "hard link"),
}


@pytest.fixture
def board(open_folder, monkeypatch):
    made = Board(open_folder, monkeypatch)
    monkeypatch.setenv("PATH", "{}:{}".format(open_folder / "bin", os.environ["PATH"]))
    monkeypatch.setenv("LOG", str(made.log))
    monkeypatch.setenv("STATE", str(made.state))
    monkeypatch.setattr(packages, "of_this_environment", lambda: [])
    for module in (program, installer):
        monkeypatch.setattr(module, "all_to_disk", lambda: None)
    monkeypatch.setattr(program, "PACKAGES", ())
    monkeypatch.setattr(program, "CHECK", ("-c", "pass"))
    monkeypatch.setattr(installer, "_check_config", lambda *_: None)  # the tests' Python is not for every account
    monkeypatch.setattr("edge.service.networks.has_tensorrt", lambda *_: False)
    return made


def test_all_that_lies_in_the_state_folder_belongs_to_the_user_from_the_beginning(board, monkeypatch):
    for path in (board.networks, board.networks / "onnx"):  # a checkout in a home that nobody else can read
        os.chown(str(path), OWNER, OWNER)
        path.chmod(0o700)
    (board.networks / "fp16.json").write_bytes(b"{}")
    board.install()
    next_version(monkeypatch, "9.0")
    board.install()
    assert board.owners() == {USER} and (board.home / "onnx" / "one.onnx").read_bytes() == b"weights"
    assert (board.home / "fp16.json").read_bytes() == b"{}"
    assert not [line for line in board.changes() if "chown" in line]


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_an_upgrade_refuses_by_name_what_the_user_has_put_there(board, monkeypatch, attack):
    board.install()
    path = board.plant(attack)
    first = edge.__version__
    next_version(monkeypatch, "9.0")
    with pytest.raises(ServiceError) as error:
        board.install()
    said = str(error.value)
    assert path in said and "sudo rm " in said and "\n" not in said
    assert board.untouched() and board.tree.version("current") == first


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_what_is_put_there_after_the_look_wins_nothing_either(board, monkeypatch, attack):
    """Nothing of root's is read, written, renamed or given away, whether the upgrade ends well or not."""
    board.install()
    board.plant(attack)
    next_version(monkeypatch, "9.0")
    monkeypatch.setattr(installer, "check_state", lambda tree: None)
    try:
        board.install()
    except Exception as e:
        assert type(e).__module__.startswith("edge."), repr(e)
    assert board.untouched()
    for place, _, names in os.walk(str(board.state_folder)):
        for name in names:
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path) and not os.path.samefile(path, str(board.secret)):
                with open(path, "rb") as f:
                    assert SECRET not in f.read(), path


def test_networks_of_a_folder_that_another_account_owns_are_read_with_its_rights(board):
    source = board.networks / "onnx"
    os.symlink(str(board.secret), str(source / "evil.onnx"))
    for path in (board.networks, source, source / "evil.onnx"):
        os.chown(str(path), OWNER, OWNER, follow_symlinks=False)
    try:
        board.install()
    except Exception as e:
        assert type(e).__module__.startswith("edge."), repr(e)
    found = board.home / "onnx" / "evil.onnx"
    assert board.untouched() and not (found.exists() and found.read_bytes() == SECRET)


def test_uninstalled_the_folder_is_closed_and_the_next_user_gets_what_is_in_it(board):
    board.install()
    board.uninstall()
    info = board.state_folder.stat()
    assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (0, 0o700)
    board.user = LATER
    board.install()
    assert board.owners() == {LATER} and stat.S_IMODE(board.state_folder.stat().st_mode) == 0o755


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_nothing_that_was_left_there_is_given_away_or_removed_with_the_rest(board, attack):
    board.install()
    path = board.plant(attack)
    board.uninstall()
    board.user = LATER
    with pytest.raises(ServiceError) as error:
        board.install()
    assert path in str(error.value) and board.untouched()
    board.uninstall(purge=True)
    assert board.untouched() and not board.state_folder.exists()


@pytest.mark.parametrize("mode, kept", [(0o644, 0o640), (0o666, 0o640), (0o600, 0o600), (0o440, 0o440), (0o755, 0o640)])
def test_the_configuration_is_for_the_service_and_root_alone(board, mode, kept):
    path = board.path(places.CONFIG)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"source: {spec: 1}\n")
    path.chmod(mode)
    os.chown(str(path), OWNER, OWNER)
    board.install()
    info = path.stat()
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (kept, 0, USER)
    board.install(yes=True)  # replaced, and kept beside
    for name in (path, path.parent / (path.name + ".old")):
        info = name.stat()
        assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (kept, 0, USER)
    board.install()
    assert "protect" not in board.said and b"spec: 0" in path.read_bytes()


def test_a_new_configuration_is_for_the_service_and_root_alone(board):
    board.install()
    info = board.path(places.CONFIG).stat()
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (0o640, 0, USER)
    board.path(places.CONFIG).write_bytes(b"source: {spec: 1}\n")
    board.uninstall()
    assert board.path(places.CONFIG).stat().st_gid == 0


def test_folders_in_folders_without_end_are_removed_as_well(board):
    board.install()
    top = board.path(places.CACHE)
    top.mkdir(parents=True, exist_ok=True)
    at = os.open(str(top), os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.symlink(str(board.own), "link", dir_fd=at)
    os.close(at)
    board.uninstall(purge=True)
    assert not top.exists() and board.untouched()


def test_a_program_of_the_service_gets_no_terminal_of_roots():
    """Who has the account can steer what runs under it: it must not type into root's shell, read what root types, or paint."""
    text = ("import os, sys; print(os.getsid(0) == os.getpid(), any(os.isatty(fd) for fd in range(3)), "
            "os.getuid(), 'x' + chr(27) + '[2J', flush=True)")
    out = io.StringIO()
    steps = Steps(out)
    steps.user = Account(USER, USER, (USER,))
    assert steps.show(["/usr/bin/env", "python3", "-c", text]) == 0
    assert "True False {} x\\u001b[2J".format(USER) in out.getvalue()
    assert steps.ask_as_user("/usr/bin/env", "python3", "-c", text).text.startswith("True False")
