"""What a twin of the board leaves out is named, is there, and is run by another suite; without a twin everything runs."""
import os
import subprocess
import sys

import pytest
from where import BOARD, LEFT_OUT, ON_PYTHON36, ON_THE_BOARD, ON_THE_HOST, PYTHON36, TWINS, VARIABLE, left_out
from whole_runs import ROOT


def named(table):
    return [path for paths in table.values() for path in paths]


def test_each_file_is_there_and_named_once():
    paths = named(ON_THE_HOST) + named(ON_THE_BOARD) + named(ON_PYTHON36)
    assert len(paths) == len(set(paths)) and all(os.path.isfile(os.path.join(ROOT, "tests", path)) for path in paths)


@pytest.mark.parametrize("path, twin, runs", [
    ("unit/test_makefile.py", None, True), ("unit/test_makefile.py", PYTHON36, False), ("unit/test_makefile.py", BOARD, False),
    ("unit/test_config.py", PYTHON36, True), ("unit/test_config.py", BOARD, False), ("unit/test_boxes.py", BOARD, True),
    ("unit/test_relay_served.py", PYTHON36, False), ("unit/test_relay_served.py", BOARD, True),
    ("rules/test_python36.py", PYTHON36, True)])
def test_only_a_twin_leaves_out(path, twin, runs):
    assert (left_out(path, twin) is None) == runs


def test_what_one_twin_leaves_out_for_the_other_that_one_runs():
    assert not set(named(LEFT_OUT[PYTHON36])) & set(named(ON_PYTHON36)) and set(LEFT_OUT) == set(TWINS)
    assert not set(named(LEFT_OUT[BOARD])) & set(named(ON_THE_BOARD))
    assert {path.split("/")[0] for path in named(ON_THE_BOARD)} <= {"unit", "contract", "pipeline"}  # the Makefile's BOARD


@pytest.mark.parametrize("twin, says", [(PYTHON36, "skipped"), ("", "passed")])
def test_what_is_left_out_is_skipped_with_its_reason(twin, says):
    done = subprocess.run([sys.executable, "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir", ".", "-q",
                           "tests/rules/test_rooms.py"], cwd=ROOT, env=dict(os.environ, **{VARIABLE: twin}),
                          stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0 and says in done.stdout.splitlines()[-1]
    assert ("the host's Python reads the same text" in done.stdout) == bool(twin)
