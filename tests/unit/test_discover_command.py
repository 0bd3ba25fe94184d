"""`nanoface discover`: its words, and the module that it writes."""
import ast
import os
import sys
from xml.etree import ElementTree

import pytest

from edge.cli import main as cli
from edge.discover import module
from edge.discover.trainers import FACEMESH


@pytest.mark.parametrize("words, told", [
    ([], "nanoface discover what? A word is missing"), (["serv"], "did you mean serve?"),
    (["serve", "x"], "nanoface discover serve takes no word x"), (["module"], "The folder is missing"),
    (["module", "a", "b"], "takes no word b"), (["module", "a", "--port", "80"], "--port goes with nanoface discover serve"),
    (["serve", "--force"], "--force goes with nanoface discover module"), (["serve", "--port", "0"], "1 to 65535"),
    (["serve", "--jobs", "17"], "1 to 16"), (["serve", "--data-dir", ""], "a word is empty"),
    (["serve", "--host", "a b"], "--host 'a b'"), (["module", "x", "--program", "/no/such"], "there is no such program"),
    (["serve", "--host", "192.0.2.1"], "discover serve cannot listen at 192.0.2.1:8080"),
    (["serve", "--tmp-dir", "/dev/null/x", "--port", "9"], "the folder /dev/null/x cannot be made"),
    (["module", "/dev/null/x"], "/dev/null/x cannot be written"),
], ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "")
def test_a_wrong_word_is_one_line(words, told, capsys):
    assert cli.main(["discover"] + words) in (2, 5)
    error = capsys.readouterr().err.strip().split("\n")[-1]
    assert error.startswith("nanoface: ") and told in error


def test_a_module_is_written_and_nothing_of_others_is_overwritten(tmp_path, capsys):
    folder = tmp_path / "new" / "module"
    assert cli.main(["discover", "module", str(folder)]) == 0
    names = sorted(os.listdir(str(folder)))
    assert names == ["nanoface_facemesh.py", "nanoface_facemesh.trainer"]
    assert capsys.readouterr().out.split() == [str(folder / name) for name in names]
    text = (folder / names[0]).read_text()
    code = ast.parse(text)
    assert "SPDX-License-Identifier: GPL-3.0-or-later" in text and module.MARK in text
    assert [node.name for node in code.body if isinstance(node, ast.ClassDef)] == [module.CREATE]
    root = ElementTree.parse(str(folder / names[1])).getroot()
    assert root.find("model").attrib == {"create": module.CREATE, "script": names[0], "optstr": FACEMESH.optstr}
    assert cli.main(["discover", "module", str(folder), "--program", sys.executable]) == 0  # its own, again
    assert repr([os.path.abspath(sys.executable)]) in (folder / names[0]).read_text()
    (folder / names[0]).write_text("mine")
    assert cli.main(["discover", "module", str(folder)]) == 5 and (folder / names[0]).read_text() == "mine"
    assert "was not written by nanoface" in capsys.readouterr().err
    assert cli.main(["discover", "module", str(folder), "--force"]) == 0 and (folder / names[0]).read_text() != "mine"


def test_the_module_starts_this_program_by_itself():
    assert os.access(module.own_program()[0], os.X_OK) and os.path.isabs(module.own_program()[0])
