"""Every wrong word is one clear line: words of all kinds, put together at random from a fixed seed."""
import contextlib
import io
import os
import random

import pytest

from edge.cli import table
from edge.cli.options import overrides_of
from edge.cli.parser import shown
from edge.config.load import load_config
from edge.core.errors import ConfigError

ODD = (
    "", " ", "--", "-", "---", "--=", "=", "a\nb", "\x1b[31m", "\udcff", "x" * 5000, "--\udcff", "-v", "-h1",
    "--help=1", "--loop=1", "run", "status", "fetch", "list", "fp16", "install", "bash", "none", "0", "-1", "\u0663",
    "clip.mp4", "*.jpg", "rtsp://h/x", "--source", "--source=", "--set", "--set=", "--set==", "--set=a",
    "--set=source.fps", "--set=source.spec=", "--set=outputs=", "--set=source.fps=1e999",
    "--set=source.width=" + "9" * 5000, "--size=", "--size=9x9", "--size=\u0663x\u0664", "--rotate=\u0669",
    "--fps=nan", "--fps=1_0", "--max-frames=" + "9" * 5000, "--detector=,", "--workers=|", "--output=", "--output=:",
    "--config=", "--config", "--networks", "--only=", "--tactics=", "--tactics=cublas,cublas", "--lines=", "--root=",
    "--frames=", "--seconds=x", "--board=", "--runtime=", "--json", "--write", "--markdown", "--force", "--all",
    "--follow", "--tune", "--list", "--quiet",
)


@pytest.mark.parametrize("command", [""] + list(table.COMMANDS))
def test_words_of_all_kinds_are_understood_or_one_line(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw, outcomes = random.Random(command), set()
    for _ in range(300):
        words = [command][:len(command)] + [draw.choice(ODD) for _ in range(draw.randrange(1, 5))]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                args = table.read_words(words)
                values = overrides_of(getattr(args, "settings", None))[0]
                load_config(None, values, {"NANOFACE_CONFIG": os.devnull})
            outcomes.add(0)
        except SystemExit as e:
            assert not e.code, words
        except ConfigError as e:
            assert str(e).strip() and len(str(e)) < 1000, words
            outcomes.add(2)
    assert 2 in outcomes


@pytest.mark.parametrize("word, text", [
    ("--fps", "--fps"), ("", "''"), ("a b", "'a b'"), ("a\nb", r"'a\nb'"), ("x" * 61, "x" * 60 + "..."),
    ("gr\xfcn", "gr\xfcn"),
])
def test_a_word_in_an_error_is_short_and_visible(word, text):
    assert shown(word) == text
