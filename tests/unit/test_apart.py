"""A run of the tests leaves nothing behind, and names what it had to leave."""
import os
import signal
import subprocess
import sys

import pytest
from apart import LARGE, MARK, PREFIX, isolate, remove_those_of_killed_runs, total
from patience import PATIENCE_S

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONFTEST = """
from apart import Apart
def pytest_configure(config):
    config.pluginmanager.register(Apart({root!r}, ending_s=0.1))
"""
HEAD = "import os, subprocess, sys, tempfile\n"
LEAVES = """
def write(path):
    with open(str(path), "wb") as f:
        os.posix_fallocate(f.fileno(), 0, {size})
"""
SLEEPS = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
STARTS = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


def run(folder, body):
    """Exit code and text of a run of pytest of its own, and the folder that holds its temporary ones."""
    root, temporary = folder / "checkout", folder / "t"
    root.mkdir()
    temporary.mkdir()
    (root / "conftest.py").write_text(CONFTEST.format(root=str(root)))
    (root / "test_inner.py").write_text(HEAD + LEAVES.format(size=LARGE + 2 ** 20) + body)
    (root / "pytest.ini").write_text("[pytest]\n")
    env = dict(os.environ, PYTHONPATH=TESTS, TMPDIR=str(temporary))
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."], cwd=str(root), env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=PATIENCE_S)
    return done.returncode, done.stdout, temporary


def test_nothing_of_a_run_that_passes_is_left(tmp_path):
    code, said, temporary = run(tmp_path, (
        "def test_a(tmp_path):\n    write(tmp_path / 'x')\n    os.mkdir(str(tmp_path / 'd'), 0)\n"
        "def test_b(tmp_path, tmp_path_factory):\n    write(tmp_path_factory.mktemp('m') / 'x')\n"
        "    names = os.listdir(str(tmp_path.parent))\n"
        "    assert 'test_a0' in names and not os.listdir(str(tmp_path.parent / 'test_a0'))\n"
        "def test_c():\n    tempfile.mkstemp()\n    open(os.path.expanduser('~/x'), 'w').close()\n"))
    assert code == 0 and "3 passed" in said, said
    assert not [name for name in os.listdir(str(temporary)) if name.startswith(PREFIX)]
    assert total(str(temporary)) < 2 ** 20 and not list(temporary.glob("pytest-of-*/pytest-[0-9]*"))


def test_what_a_failed_test_left_stays_unless_it_is_large(tmp_path):
    code, said, temporary = run(tmp_path, (
        "def test_small(tmp_path):\n    (tmp_path / 'seen').write_text('x')\n    assert 0\n"
        "def test_large(tmp_path):\n    write(tmp_path / 'x')\n    assert 0\n"
        "def test_good(tmp_path):\n    (tmp_path / 'good').write_text('x')\n"))
    assert code == 1 and "2 failed, 1 passed" in said, said
    assert [path.name for path in temporary.glob("pytest-of-*/pytest-*0/*/*")] == ["seen"]


@pytest.mark.parametrize("body, told", [
    ("def test_x():\n    write(tempfile.mkstemp('.film')[1])\n", ".film"),
    ("def test_x():\n    write(os.path.expanduser('~/core'))\n", "home"),
    ("def test_x():\n    write('result')\n", "result"),
])
def test_large_files_outside_of_pytests_folders_fail_the_run(tmp_path, body, told):
    code, said, temporary = run(tmp_path, body)
    assert code == 1 and "1 passed" in said and "large files are left in" in said, said
    assert told.strip(".") in said or "tmp (" in said
    assert not [name for name in os.listdir(str(temporary)) if name.startswith(PREFIX)]


@pytest.mark.parametrize("how", ["a child", "without its parent"])
def test_a_process_that_is_left_fails_the_run_with_its_test(tmp_path, how):
    body = "def test_x():\n    words = {!r}\n    {}\n".format(
        [sys.executable, "-c", SLEEPS, str(tmp_path / "pid")],
        "subprocess.Popen(words)" if how == "a child" else
        "subprocess.check_call([words[0], '-c', {!r}] + words)".format(STARTS))
    try:
        code, said, _ = run(tmp_path, body)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert code == 1 and "1 passed" in said and "a process is left" in said and "test_inner.py::test_x" in said, said


def test_what_a_killed_run_left_goes_with_the_next(tmp_path):
    base = tmp_path / "pytest-of-me" / "pytest-7"
    base.mkdir(parents=True)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (ended.pid, os.getpid()):
        folder = tmp_path / "{}{}-x".format(PREFIX, pid)
        folder.mkdir()
        (folder / "file").write_text("x")
        (folder / "base").symlink_to(str(base if pid == ended.pid else tmp_path / "mine"))
    remove_those_of_killed_runs(str(tmp_path))
    assert sorted(os.listdir(str(tmp_path))) == ["{}{}-x".format(PREFIX, os.getpid()), "pytest-of-me"]
    assert not base.exists()


def test_the_environment_of_the_user_is_none_of_the_tests(tmp_path):
    environ = {"PATH": "/bin", "HOME": "/users/x", "DISPLAY": ":0", "WAYLAND_DISPLAY": "w", "XDG_CONFIG_HOME": "/users/x/c",
               "NANOFACE_CONFIG": "/users/x/n.yaml", "NANOFACE_SOURCE": "x", "NANOFACE_MIRROR": "/m", "no_proxy": "here",
               "XDG_CACHE_HOME": "/users/x/cache", "NANOFACE_TEST_HOME": "/nets"}
    isolate(str(tmp_path), environ)
    home, temporary = str(tmp_path / "home"), str(tmp_path / "tmp")
    assert os.listdir(home) == os.listdir(temporary) == []
    assert environ == {
        "PATH": "/bin", "HOME": home, "TMPDIR": temporary, MARK: str(tmp_path), "NANOFACE_MIRROR": "/m",
        "NANOFACE_TEST_HOME": "/nets", "NANOFACE_TEST_CACHE": "/users/x/cache",
        "no_proxy": "here,127.0.0.1,localhost,::1", "NO_PROXY": "here,127.0.0.1,localhost,::1"}
    assert "DISPLAY" not in os.environ and "XDG_CONFIG_HOME" not in os.environ and "NANOFACE_CONFIG" not in os.environ
    assert os.environ["HOME"] == os.path.expanduser("~") and PREFIX in os.environ["HOME"]
