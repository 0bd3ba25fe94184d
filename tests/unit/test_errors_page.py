"""docs/errors.md: what it says of wrong input is what the command says."""
import os
import re
import shlex

import pytest

pytest.importorskip("cv2")

from edge import cli

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = {
    "typo.yaml": b"tracking:\n  max_face: 2\n", "notes.txt": b"notes\n", "cam.json": b'{"fx": 600}',
    "c.mp4": b"a film", "cut.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\1\0mdat" + bytes(500),
}
OUTPUT = 5  # these need networks


def rows():
    """(command line, line on standard error, exit code) of each input that is a command line and nothing else."""
    with open(os.path.join(ROOT, "docs", "errors.md"), encoding="utf-8") as f:
        found = re.findall(r"^\| `([^`]+)` \| `+(.+?)`+ \| (\d) \|$", f.read(), re.MULTILINE)
    return [(words, line.strip(), int(code)) for words, line, code in found if int(code) != OUTPUT]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_the_page_has_inputs_of_every_kind():
    assert {code for _, _, code in rows()} == {2, 3, 4} and len(rows()) >= 15


@pytest.mark.parametrize("words, line, code", rows(), ids=[words for words, _, _ in rows()])
def test_a_wrong_input_says_what_the_page_says(folder, capfd, words, line, code):
    assert cli.main(shlex.split(words)) == code
    assert capfd.readouterr().err.strip() == "nanoface: " + line
