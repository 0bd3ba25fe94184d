"""`nanoface pose` in a process of its own: pictures that can be read and one that cannot, and a reader that leaves."""
import os
import shutil
import subprocess
import sys

import pytest
from patience import PATIENCE_S
from whole_runs import ROOT, environment, one_line, quick, whole_program

PORTRAIT = os.path.join(ROOT, "edge", "sources", "portrait.jpg")


@pytest.fixture(scope="module")
def nanoface(models_home, tmp_path_factory):
    return whole_program(models_home, tmp_path_factory)


def test_a_picture_that_cannot_be_read_is_one_line_and_the_others_go_on(nanoface, tmp_path):
    for name in ("a.jpg", "c.jpg"):
        shutil.copy(PORTRAIT, str(tmp_path / name))
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    done = nanoface.call("pose", str(tmp_path), *quick())
    rows = [line.split() for line in done.out.splitlines()]
    assert done.code == 0 and [os.path.basename(row[-1]) for row in rows] == ["file", "a.jpg", "c.jpg"]
    assert rows[1][:4] == rows[2][:4] and rows[1][3] == "1"
    assert len(done.notes()) == 1 and "b.jpg" in done.err


def test_a_picture_alone_that_cannot_be_read_is_the_sources_error(nanoface, tmp_path):
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    done = nanoface.call("pose", str(tmp_path / "b.jpg"), *quick())
    assert done.code == 3 and "b.jpg" in one_line(done.err) and done.out == ""


def test_a_reader_that_leaves_ends_it_well(nanoface, tmp_path):
    process = subprocess.Popen([sys.executable, "-m", "edge", "pose", "portrait"] + list(quick()), cwd=str(tmp_path),
                               env=environment(tmp_path, nanoface.home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert process.stdout.readline().split()[:3] == [b"yaw", b"pitch", b"roll"]
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(PATIENCE_S) == 0 and said == b""
