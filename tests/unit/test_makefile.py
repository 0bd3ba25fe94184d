"""The Makefile on a board: targets that would make an environment there name `sh setup.sh` and do nothing."""
import os
import shutil
import subprocess

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
