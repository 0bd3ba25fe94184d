"""A run that fails before it has something to write has removed nothing."""
import os
import subprocess
import sys

import kills
import pytest

pytest.importorskip("yaml")
OLDER = {"jsonl": "a.jsonl", "csv": "a.csv", "video": "a.mp4", "image": "a.jpg", "images": os.path.join("seen", "000000.jpg")}


@pytest.mark.parametrize("program, source, code", [
    (kills.PROGRAM, "nosuch.mp4", 3), (kills.PROGRAM, "text.mp4", 3),
    (os.path.join(kills.ROOT, "edge", "cli", "main.py"), "portrait", 4),
], ids=["no source", "no film", "no networks"])
def test_a_run_that_fails_leaves_the_files_of_the_run_before(tmp_path, program, source, code):
    (tmp_path / "seen").mkdir()
    (tmp_path / "text.mp4").write_text("no film")
    for name in OLDER.values():
        (tmp_path / name).write_text("older")
    words = [word for kind, name in sorted(OLDER.items())
             for word in ("--output", "{}:{}".format(kind, os.path.dirname(name) or name))]
    done = subprocess.run([sys.executable, program, "run", "--source", source, "--status", "none"] + words,
                          cwd=str(tmp_path), env=kills.environment(str(tmp_path)), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == code, done.stderr.decode()
    assert {name: (tmp_path / name).read_text() for name in OLDER.values()} == dict.fromkeys(OLDER.values(), "older")
    assert sorted(os.listdir(str(tmp_path))) == sorted(["a.csv", "a.jpg", "a.jsonl", "a.mp4", "seen", "text.mp4"])
