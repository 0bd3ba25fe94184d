"""The Makefile: on a board it names `sh setup.sh` and does nothing; elsewhere `make test` runs every test, in parts."""
import glob
import os
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASE = {"etc/nv_tegra_release": b"# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref\n"}
CONTAINER = {"proc/device-tree/compatible": b"nvidia,p3450-0000\0nvidia,tegra210\0"}
OTHER = {"proc/device-tree/compatible": b"raspberrypi,4-model-b\0brcm,bcm2711\0"}
# every program that a recipe could start says itself and does nothing
PYTHON = '#!/bin/sh\ncase "$1" in -c) echo 36 ;; *) echo "$*" >> "$LOG" ;; esac\n'


def make(folder, board, *words, kernel="4.9.253"):
    """Exit code, standard error, what stood in the place of Python was asked to do."""
    for name, content in board.items():
        path = folder / "board" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    checkout, log = folder / "checkout", folder / "log"
    (checkout / "tests" / "pins").mkdir(parents=True)
    for name in ("Makefile", "setup.py", "tests/pins/py36.txt", "tests/pins/board.txt"):
        shutil.copy(os.path.join(ROOT, name), str(checkout / name))
    (folder / "bin").mkdir()
    for name, text in (("python3", PYTHON), ("uname", "#!/bin/sh\necho {}\n".format(kernel))):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    env = {"PATH": "{}:/usr/bin:/bin".format(folder / "bin"), "HOME": str(folder), "LOG": str(log)}
    done = subprocess.run(["make", "BOARD_ROOT={}".format(folder / "board")] + list(words), cwd=str(checkout), env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    made = sorted(name for name in os.listdir(str(checkout)) if name.startswith((".venv", "out")))
    return done.returncode, done.stderr, made + (log.read_text().splitlines() if log.exists() else [])


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make: sudo apt-get install make")


@needs_make
@pytest.mark.parametrize("words", [
    [], ["run"], ["test"], ["test-host"], ["test-twin"], ["test-board"], ["lint"], ["bench"], ["bench-growth"], ["rehearse"],
    ["soak"], ["clean", "run"], [".venv/.run"], ["run", "PYTHON=/nowhere/python3.6"], ["-n", "run"]])
def test_on_a_board_make_says_setup_sh_and_does_nothing(tmp_path, words):
    code, said, done = make(tmp_path, RELEASE, *words)
    assert code != 0 and said.count("\n") == 1 and "run `sh setup.sh`" in said and done == [], said


@needs_make
@pytest.mark.parametrize("board, kernel", [(CONTAINER, "4.9.253"), ({}, "4.9.253-tegra")])
def test_a_container_on_a_board_is_one_too(tmp_path, board, kernel):
    code, said, done = make(tmp_path, board, "run", kernel=kernel)
    assert code != 0 and "run `sh setup.sh`" in said and done == []


@needs_make
@pytest.mark.parametrize("board, words, part", [
    (RELEASE, ["clean"], ""), (OTHER, ["run"], "-m venv .venv"), ({}, ["run"], "-m venv .venv")])
def test_elsewhere_and_to_clean_up_it_goes_on(tmp_path, board, words, part):
    _, said, done = make(tmp_path, board, *words)
    assert "setup.sh" not in said and part in "\n".join(done)


@needs_make
def test_every_folder_of_tests_is_in_a_part_of_the_host_and_in_one_of_the_twin():
    words = ["make", "-n", "BOARD_ROOT=/nowhere", "PYTHON=" + sys.executable, "PYTHON36=" + sys.executable, "test"]
    told = subprocess.check_output(words, cwd=ROOT, env=dict(os.environ, MAKEFLAGS=""), universal_newlines=True)
    files = glob.glob(os.path.join(ROOT, "tests", "*", "test_*.py"))
    folders = {os.path.relpath(os.path.dirname(path), ROOT) for path in files}
    for suite in ("host", "twin"):
        parts = [line.split(" > ")[0] for line in told.splitlines() if '"== {}-'.format(suite) in line]
        tried = [word for part in parts for word in part.split() if word.startswith("tests/") and "." not in word]
        assert len(parts) > 1 and sorted(tried) == sorted(folders)


STUB = '#!/bin/sh\necho "$*" >> "$LOG"\ncase "$*" in -c*) echo 311 ;; *"$FAILS"*) exit 1 ;; esac\n'


@needs_make
@pytest.mark.parametrize("fails, host, twin, board", [
    ("nothing", "passed", "passed", "passed"), ("engines", "FAILED", "FAILED", "passed"),
    ("unit tests/contract", "passed", "passed", "FAILED"), ("rules", "FAILED", "FAILED", "passed")])
def test_a_part_that_fails_fails_its_suite_and_the_others_run(tmp_path, fails, host, twin, board):
    shutil.copy(os.path.join(ROOT, "Makefile"), str(tmp_path))
    for name in ("setup.py", "tests/pins/py36.txt", "tests/pins/board.txt", "tests/rules/test_a.py", "bin/python3") + tuple(
            "{}/{}".format(venv, name) for venv in (".venv", ".venv-py36", ".venv-board")
            for name in ("bin/python", "bin/nanoface", ".run", ".dev", ".test")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(STUB)
        (tmp_path / name).chmod(0o755)
    env = {"PATH": "{}:/usr/bin:/bin".format(tmp_path / "bin"), "HOME": str(tmp_path), "LOG": str(tmp_path / "log"),
           "FAILS": fails}
    done = subprocess.run(["make", "test", "BOARD_ROOT=/nowhere", "PYTHON36=python3", "PEERS="], cwd=str(tmp_path), env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.stdout.splitlines()[-2 if "FAILED" in (host, twin, board) else -1].endswith(
        ": {}, on the twin of the board's Python: {}, on the twin of the board: {}".format(host, twin, board)), done.stdout
    assert (done.returncode != 0) == ("FAILED" in (host, twin, board))
    assert len([line for line in (tmp_path / "log").read_text().splitlines() if "pytest" in line]) == 9


@needs_make
def test_peers_that_cannot_be_installed_are_told_and_fail_nothing(tmp_path):
    shutil.copy(os.path.join(ROOT, "Makefile"), str(tmp_path))
    (tmp_path / "bin").mkdir()
    for name, text in (("python3", STUB), ("npm", "#!/bin/sh\nexit 1\n")):  # the one makes no environment
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    env = {"PATH": "{}:/usr/bin:/bin".format(tmp_path / "bin"), "HOME": str(tmp_path), "LOG": str(tmp_path / "log"),
           "FAILS": "nothing"}
    done = subprocess.run(["make", "peers", "BOARD_ROOT=/nowhere"], cwd=str(tmp_path), env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    assert done.returncode == 0 and done.stdout.count("cannot be installed here") == 5, done.stdout
