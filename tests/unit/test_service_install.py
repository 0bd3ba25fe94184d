"""`nanoface service` on a tree of files, with commands that only note that they were called."""
import io
import os
import shutil
import stat
import subprocess
import sys

import pytest

import edge
from edge.cli import main as cli
from edge.core.errors import ConfigError, ModelError
from edge.service import configuration, installer, packages, places, program
from edge.service.acting import Account
from edge.service.places import Places
from edge.service.steps import ServiceError, Steps

SAY = '#!/bin/sh\necho "${0##*/} $*" >> "$LOG"\n'
# the interpreter below all environments, as far as an installation asks for it: makes one at once whose Python starts at once
QUICK_PYTHON = """#!/bin/sh
mkdir -p "$5/bin" "$5/lib/python{version}/site-packages"
printf '#!/bin/sh\\n[ "$2" = compileall ] || exec {python} -S "$@"\\n' > "$5/bin/python3"
chmod 755 "$5/bin/python3"
"""
# $STATE has a file for each thing that is there: active, user-nanoface, group-video, ...
COMMANDS = {
    "systemctl": '''
case "$*" in
    "is-active nanoface.service") [ -e "$STATE/active" ] && echo active; exit ;;
    "is-active nanoface-engines.service") [ -e "$STATE/active-engines" ] && echo activating; exit 3 ;;
    "is-enabled --quiet "*) [ -e "$STATE/enabled-$3" ]; exit ;;
    "is-failed --quiet "*) exit 1 ;;
    "enable "*) : > "$STATE/enabled-$2" ;;
    "disable --now "*) rm -f "$STATE/enabled-$3" "$STATE/active" ;;
    "stop "*) rm -f "$STATE/active" "$STATE/active-engines" ;;
    "restart "* | "start "*) [ ! -e "$STATE/broken" ] || exit 1; : > "$STATE/active" ;;
    "show nanoface.service "*) cat "$STATE/show" 2>/dev/null ;;
    "show "*) cat "$STATE/show-engines" 2>/dev/null ;;
esac
exit 0
''',
    "getent": '[ -e "$STATE/$1-$2" ]\n',
    "useradd": 'for last; do :; done; : > "$STATE/passwd-$last"; : > "$STATE/group-$last"\n',
    "userdel": 'rm -f "$STATE/passwd-$1" "$STATE/group-$1"\n',
    "groupadd": ': > "$STATE/group-$2"\n',
    "groupdel": 'rm -f "$STATE/group-$1"\n',
    "usermod": "",
    "id": "echo nanoface video\n",
}
REAL_PYTHON = program.base_python
ASKS = ("getent", "id", "systemctl is-", "systemctl show")


class Box:
    """A machine that is a folder."""

    def __init__(self, folder):
        self.root, self.folder, self.log = folder / "root", folder, folder / "log"
        self.state, self.networks = folder / "state", folder / "networks"
        for path in (self.root / "run/systemd/system", self.state, self.networks / "onnx", folder / "bin"):
            path.mkdir(parents=True)
        for name, text in COMMANDS.items():
            path = folder / "bin" / name
            path.write_text(SAY + text)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        (self.state / "group-video").write_text("")
        self.network("one", b"weights")
        self.tree = Places(str(self.root))
        self.said = ""

    def network(self, name, content):
        (self.networks / "onnx" / (name + ".onnx")).write_bytes(content)
        (self.networks / "onnx" / "index.json").write_text(
            '{{"schema": 1, "networks": {{"{0}": {{"file": "{0}.onnx", "sha256": "{1}"}}}}}}'.format(name, len(content)))

    def install(self, **options):
        return self._do(lambda out, w: installer.run_install(str(self.networks), w, out), options)

    def rollback(self, **options):
        return self._do(lambda out, w: installer.run_rollback(w, out), options)

    def uninstall(self, **options):
        return self._do(lambda out, w: installer.run_uninstall(w, out), options)

    def _do(self, action, options):
        out = io.StringIO()
        try:
            return action(out, installer.InstallOptions(root=str(self.root), **options))
        finally:
            self.said = out.getvalue()

    def changes(self):
        """What was called that changes something, since the last time."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        if lines:
            self.log.unlink()
        return [line for line in lines if not line.startswith(ASKS)]

    def files(self):
        """Every file and link below the root, without the program's own."""
        found = {}
        for place, folders, names in os.walk(str(self.root)):
            for name in names + [f for f in folders if os.path.islink(os.path.join(place, f))]:
                path = os.path.join(place, name)
                inside = os.path.relpath(path, str(self.root))
                if "site-packages" not in inside and "/bin/" not in inside:
                    found[inside] = os.readlink(path) if os.path.islink(path) else open(path, "rb").read()
        return found

    def weights(self):
        """Of the version in use: the link `home` leads out of the tree."""
        version = self.tree.version("current")
        home = os.readlink(str(self.root / "opt/nanoface" / version / "home"))
        assert home == "/var/lib/nanoface/" + version
        return (self.path(home) / "onnx/one.onnx").read_bytes()

    def path(self, text):
        return self.root / text.lstrip("/")


@pytest.fixture
def box(tmp_path, monkeypatch):
    made = Box(tmp_path)
    monkeypatch.setenv("PATH", "{}:{}".format(tmp_path / "bin", os.environ["PATH"]))
    monkeypatch.setenv("LOG", str(made.log))
    monkeypatch.setenv("STATE", str(made.state))
    monkeypatch.setattr(packages, "of_this_environment", lambda: [])
    for module in (program, installer):
        monkeypatch.setattr(module, "all_to_disk", lambda: None)  # a busy disk takes seconds for it
    monkeypatch.setattr(program, "PACKAGES", ())  # nor the whole program
    quick = tmp_path / "quick-python"
    quick.write_text(QUICK_PYTHON.format(python=program.base_python(), version="{}.{}".format(*sys.version_info[:2])))
    quick.chmod(0o755)
    monkeypatch.setattr(program, "base_python", lambda: str(quick))  # a real environment is that of tests/service
    monkeypatch.setattr(program, "CHECK", ("-c", "pass"))  # the packages are not copied here
    monkeypatch.setattr(installer, "CHECK", ("-c", "pass"))
    monkeypatch.setattr(installer, "service_account", lambda: Account(os.geteuid(), os.getegid(), (os.getegid(),)))
    return made


def test_the_program_gets_an_environment_of_its_own(box, monkeypatch):
    monkeypatch.setattr(program, "base_python", REAL_PYTHON)
    assert box.install() == 0
    folder = box.path("/opt/nanoface") / box.tree.version("current") / "bin"
    asked = subprocess.check_output([str(folder / "python3"), "-c", "import sys; print(sys.prefix != sys.base_prefix)"])
    assert asked == b"True\n" and not [name for name in os.listdir(str(folder)) if "activate" in name.lower()]


def next_version(monkeypatch, name):
    monkeypatch.setattr(edge, "__version__", name)
    monkeypatch.setattr(program, "digest_of", lambda taken: "digest of " + name)


def test_all_is_put_in_place_and_a_second_time_changes_nothing(box):
    assert box.install() == 0
    called = box.changes()
    assert called[0].startswith("useradd --system --user-group --groups video --home-dir /var/lib/nanoface")
    assert called[-3:] == ["systemctl daemon-reload", "systemctl enable nanoface.service",
                           "systemctl restart nanoface.service"]
    files = box.files()
    assert files["opt/nanoface/current"] == edge.__version__
    assert files["var/lib/nanoface/{}/onnx/one.onnx".format(edge.__version__)] == b"weights"
    for unit in places.UNITS:
        assert "etc/systemd/system/" + unit in files
    start = box.path("/opt/nanoface/current/bin/nanoface")
    assert start.read_text().startswith("#!/opt/nanoface/{}/bin/python3 -s\n".format(edge.__version__))
    assert os.access(str(start), os.X_OK) and not list(box.path("/opt/nanoface").glob(".*"))
    assert box.install() == 0
    assert box.files() == files
    assert box.changes() == ["systemctl restart nanoface.service"]


def test_a_dry_run_says_the_steps_and_takes_none(box):
    before = box.files()
    assert box.install(dry=True) == 0
    assert box.files() == before and box.changes() == []
    for step in ("make ", "useradd", "write ", "copy 1 networks", "daemon-reload", "link ", "enable", "restart"):
        assert "would: " + step in box.said or step in box.said, step
    assert box.said.endswith("nothing was changed\n")
    assert box.install() == 0
    box.changes()
    files = box.files()
    assert box.uninstall(dry=True, purge=True) == 0
    assert box.files() == files and box.changes() == []


def test_a_changed_configuration_is_only_replaced_where_that_was_agreed_to(box):
    path = box.path(places.CONFIG)
    box.install()
    ours = path.read_bytes()
    path.write_text("source: {spec: 1}\n")
    assert box.install() == 0
    assert path.read_text() == "source: {spec: 1}\n" and "stays as it is" in box.said
    assert box.install(yes=True) == 0
    assert path.read_bytes() == ours
    assert box.path(places.CONFIG + ".old").read_text() == "source: {spec: 1}\n"


def test_a_configuration_of_the_version_before_that_nobody_changed_is_replaced_without_a_question(box, monkeypatch):
    box.install()
    shipped = configuration.data_of(box.tree, edge.__version__)
    with open(os.path.join(shipped, "nanoface.yaml"), "w") as f:
        f.write("# of the version before\n")
    box.path(places.CONFIG).write_text("# of the version before\n")
    next_version(monkeypatch, "9.0")
    assert box.install() == 0
    assert "spec: 0" in box.path(places.CONFIG).read_text() and "replace" not in box.said.lower()


def test_an_upgrade_stands_beside_the_old_version_and_goes_back_with_its_networks(box, monkeypatch):
    first = edge.__version__
    box.install()
    next_version(monkeypatch, "9.0")
    box.network("one", b"better weights")
    box.changes()
    assert box.install() == 0
    files = box.files()
    assert (files["opt/nanoface/current"], files["opt/nanoface/previous"]) == ("9.0", first)
    assert box.weights() == b"better weights"
    assert "systemctl restart nanoface.service" in box.changes()
    assert box.rollback() == 0
    files = box.files()
    assert (files["opt/nanoface/current"], files["opt/nanoface/previous"]) == (first, "9.0")
    assert box.weights() == b"weights" and (box.state / "active").exists()
    assert box.rollback() == 0
    assert box.files()["opt/nanoface/current"] == "9.0" and box.weights() == b"better weights"


def test_two_versions_are_kept(box, monkeypatch):
    box.install()
    for name in ("8.0", "9.0"):
        next_version(monkeypatch, name)
        box.install()
    assert box.tree.versions() == ("8.0", "9.0")
    assert sorted(os.listdir(str(box.path(places.HOME)))) == ["8.0", "9.0"]


def test_another_build_of_the_same_version_gets_a_folder_of_its_own(box, monkeypatch):
    box.install()
    monkeypatch.setattr(program, "digest_of", lambda taken: "another")
    box.install()
    assert box.tree.versions() == (edge.__version__, edge.__version__ + "-2")
    assert box.tree.version("previous") == edge.__version__


def test_uninstall_leaves_the_data_and_purge_nothing(box):
    before = box.files()
    box.install()
    box.path(places.CONFIG).write_text("source: {spec: 1}\n")
    assert box.uninstall() == 0
    left = set(box.files()) - set(before)
    home = "var/lib/nanoface/{}/".format(edge.__version__)
    assert left == {"etc/nanoface/nanoface.yaml", home + "onnx/one.onnx", home + "onnx/index.json"}
    assert "kept: " in box.said and not (box.state / "passwd-nanoface").exists()
    assert (box.state / "group-video").exists()
    assert stat.S_IMODE(box.path(places.HOME).stat().st_mode) == 0o700
    box.path(places.HOME).chmod(0o755)  # for the rest: here it is always the user's
    shutil.rmtree(str(box.networks))
    box.install()  # with what was kept
    assert box.weights() == b"weights"
    assert box.uninstall(purge=True) == 0
    assert box.files() == before
    assert box.uninstall(purge=True) == 0


def test_a_user_of_that_name_who_was_there_before_stays(box):
    for name in ("passwd-nanoface", "group-nanoface"):
        (box.state / name).write_text("")
    box.install()
    box.uninstall(purge=True)
    assert (box.state / "passwd-nanoface").exists()


def test_groups_that_a_start_would_fail_without_are_made_and_jtop_is_joined_where_it_is(box):
    (box.state / "group-video").unlink()
    (box.state / "group-jtop").write_text("")
    box.install()
    called = box.changes()
    assert "groupadd --system video" in called and "usermod --append --groups jtop nanoface" in called
    box.uninstall()
    assert not (box.state / "group-video").exists()


def test_the_units_for_a_csi_camera_and_for_the_clocks_are_enabled_where_they_are_wanted(box):
    box.install()
    assert not (box.state / "enabled-nanoface-clocks.service").exists()
    assert not (box.state / "enabled-nanoface-argus.path").exists()
    daemon = box.path("/lib/systemd/system/nvargus-daemon.service")
    daemon.parent.mkdir(parents=True)
    daemon.write_text("")
    box.install(clocks=True)
    assert (box.state / "enabled-nanoface-clocks.service").exists()
    assert (box.state / "enabled-nanoface-argus.path").exists()


def test_what_the_board_had_built_itself_is_not_replaced(box):
    theirs, ours = box.networks / "plans", box.path(places.HOME) / edge.__version__ / "plans"
    theirs.mkdir()
    (theirs / "align-one.plan").write_bytes(b"from the checkout")
    (theirs / "align-one.json").write_bytes(b"{}")
    (theirs / ".lock").write_bytes(b"")
    box.install()
    assert (ours / "align-one.plan").read_bytes() == b"from the checkout" and not (ours / ".lock").exists()
    (ours / "align-one.plan").write_bytes(b"built here")
    box.install()
    assert (ours / "align-one.plan").read_bytes() == b"built here"


def test_a_start_that_fails_says_where_to_look(box, monkeypatch):
    (box.state / "broken").write_text("")
    (box.state / "show").write_text("failed: no such camera\n")
    with pytest.raises(ServiceError) as error:
        box.install()
    assert "(failed: no such camera): see nanoface service logs" in str(error.value) and "rollback" not in str(error.value)
    next_version(monkeypatch, "9.0")
    with pytest.raises(ServiceError, match="nanoface service rollback"):
        box.install()


def test_a_version_that_cannot_run_changes_nothing_that_is_in_use(box, monkeypatch):
    box.install()
    files = box.files()
    next_version(monkeypatch, "9.0")
    for module in (program, installer):
        monkeypatch.setattr(module, "all_to_disk", lambda: None)  # a busy disk takes seconds for it
    monkeypatch.setattr(program, "PACKAGES", ())  # nor the whole program
    monkeypatch.setattr(program, "CHECK", ("-c", "import sys; sys.exit('no cv2 here')"))
    with pytest.raises(ServiceError, match="cannot run from /opt/nanoface/9.0: no cv2 here"):
        box.install()
    assert box.files() == files and (box.state / "active").exists()


def test_a_wrong_configuration_is_reported_before_the_running_version_is_touched(box, monkeypatch):
    box.install()
    next_version(monkeypatch, "9.0")
    box.changes()
    monkeypatch.setattr(installer, "CHECK", ("-c", "import sys; sys.exit('nanoface.yaml:2: there is no key sauce')"))
    with pytest.raises(ConfigError, match="there is no key sauce"):
        box.install()
    monkeypatch.setattr(installer, "CHECK", ("-c", "import sys; print('tensorrt does not load'); sys.exit(4)"))
    with pytest.raises(ServiceError, match="^the program cannot run any more: tensorrt does not load"):
        box.install()
    assert box.changes() == [] and box.tree.version("current") != "9.0" and (box.state / "active").exists()


def test_engines_that_cannot_be_built_leave_the_old_version_running(box, monkeypatch):
    first = edge.__version__
    box.install()
    next_version(monkeypatch, "9.0")
    beside = []

    def build(self, words, **environ):
        beside.append((box.state / "active").exists())
        assert words[0].endswith("/9.0/bin/nanoface") and environ["NANOFACE_HOME"].endswith("/var/lib/nanoface/9.0")
        return 4

    monkeypatch.setattr(Steps, "show", build)
    monkeypatch.setattr("edge.service.networks.has_tensorrt", lambda steps, version, tree: True)
    with pytest.raises(ServiceError, match="--no-build"):
        box.install()
    assert beside == [False]  # the memory was free
    assert box.tree.version("current") == first and (box.state / "active").exists()
    assert box.install(build=False) == 0
    assert box.tree.version("current") == "9.0"


def test_the_engines_are_rebuilt_with_the_tracker_out_of_the_way(box, monkeypatch):
    with pytest.raises(ServiceError, match="nothing is installed"):
        installer.run_rebuild(False, installer.InstallOptions(root=str(box.root)), io.StringIO())
    box.install()
    (box.state / "active-engines").write_text("")  # the tracker waits for a build of its own asking
    said, codes = [], [0, 4]

    def build(self, words, **environ):
        assert self.user is not None  # root builds nothing in a folder of its
        said.append((words[1:], (box.state / "active").exists() or (box.state / "active-engines").exists()))
        return codes.pop(0)

    monkeypatch.setattr(Steps, "show", build)
    assert cli.main(["service", "rebuild", "--root", str(box.root)]) == 0
    assert (box.state / "active").exists()
    assert cli.main(["service", "rebuild", "--force", "--root", str(box.root)]) == 4
    assert (box.state / "active").exists()
    assert [beside for _, beside in said] == [False, False]
    assert "--force" not in said[0][0] and said[1][0][-1] == "--force" and "build" in said[1][0]


def test_engines_are_asked_for_only_where_there_is_tensorrt(box, monkeypatch):
    monkeypatch.setattr(installer, "is_tegra", lambda: False)
    box.install()
    assert not (box.state / "enabled-nanoface-engines.path").exists()
    monkeypatch.setattr("edge.service.networks.has_tensorrt", lambda steps, version, tree: True)
    box.install(build=False)
    assert (box.state / "enabled-nanoface-engines.path").exists()
    assert "systemctl start nanoface-engines.path" in box.changes()
    box.uninstall()
    assert "systemctl disable --now nanoface-engines.path" in box.changes()
    assert not list(box.path("/etc/systemd/system").glob("nanoface*"))


def test_a_rollback_leads_to_a_version_that_had_fewer_units(box, monkeypatch):
    box.install()
    shipped = configuration.data_of(box.tree, edge.__version__)
    for unit in (places.ENGINES, places.ENGINE_REQUESTS):
        os.unlink(os.path.join(shipped, unit))
    next_version(monkeypatch, "9.0")
    box.install()
    assert box.rollback() == 0 and box.tree.version("previous") == "9.0"


def test_what_is_missing_is_one_line(box, tmp_path):
    with pytest.raises(ServiceError, match="there is no version before|nothing is installed"):
        box.rollback()
    shutil.rmtree(str(box.networks))
    with pytest.raises(ModelError, match="nanoface models fetch"):
        box.install()
    shutil.rmtree(str(box.root / "run"))
    for action in (box.install, box.rollback, box.uninstall):
        with pytest.raises(ServiceError, match="systemd does not run this machine"):
            action()


@pytest.mark.parametrize("words, code, said", [
    (["service"], 2, "there are install, uninstall, rollback, rebuild, status, logs"),
    (["service", "instal"], 2, "did you mean install?"),
    (["service", "status", "--purge"], 2, "--purge goes with nanoface service uninstall, not with status"),
    (["service", "install", "now"], 2, "takes no word now"),
    (["service", "logs", "--lines", "many"], 2, "not a whole number"),
    (["service", "status", "--root", "/nowhere/at/all"], 2, "there is no such folder"),
])
def test_a_wrong_command_line_is_one_line(words, code, said, capsys):
    assert cli.main(words) == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_status_shows_the_manager_and_the_last_record(box, capsys):
    root = ["--root", str(box.root)]
    assert cli.main(["service", "status"] + root) == 4
    error = capsys.readouterr().err
    assert error.startswith("nanoface: the service is not installed: sudo ") and "nanoface service install" in error
    box.install()
    (box.state / "show").write_text("LoadState=loaded\nActiveState=active\nSubState=running\nStatusText=tracking\nMainPID=7\n"
                                    "NRestarts=2\nUnitFileState=enabled\n")
    assert cli.main(["service", "status"] + root) == 0
    said = capsys.readouterr().out
    assert "active (running)" in said and "process 7" in said and "restarts   2" in said and "there is no status log" in said
    (box.state / "show").write_text("LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=watchdog\n")
    assert cli.main(["service", "status"] + root) == 4
    assert "watchdog" in capsys.readouterr().out
    for engines, told in (("activating\nStatusText=2/4 align", "rebuilt now: 2/4 align"), ("failed", "could not be rebuilt")):
        (box.state / "show-engines").write_text("ActiveState={}\n".format(engines))
        cli.main(["service", "status"] + root)
        assert told in capsys.readouterr().out


def test_what_the_service_says_does_not_steer_the_users_terminal(box, capsys):
    box.install()
    (box.state / "show").write_text("LoadState=loaded\nActiveState=active\nSubState=running\n"
                                    "StatusText=\x1b]0;x\x07 tracking\n")
    assert cli.main(["service", "status", "--root", str(box.root)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "says       \\u001b]0;x\\u0007 tracking" in said


def test_a_configuration_that_may_not_be_read_is_done_without(box, capsys, monkeypatch):
    box.install()
    (box.state / "show").write_text("LoadState=loaded\nActiveState=active\nSubState=running\n")
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("nanoface.yaml"))
    assert cli.main(["service", "status", "--root", str(box.root)]) == 0
    assert "there is no status log {}".format(box.path(places.STATUS)) in capsys.readouterr().out


def test_without_root_it_says_sudo(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(places, "MANAGER", "/")
    with pytest.raises(ConfigError, match="needs root: sudo "):
        installer.run_uninstall(installer.InstallOptions(), io.StringIO())
