"""The text of --output: what is understood, and what the user is told otherwise."""
import os

import pytest

from edge.core.errors import ConfigError
from edge.outputs.spec import OutputSpec, parse_output, parse_outputs


@pytest.mark.parametrize("text, kind, target", [
    ("jsonl:out/a.jsonl", "jsonl", "out/a.jsonl"),
    ("jsonl:-", "jsonl", "-"),
    ("JSONL:a", "jsonl", "a"),
    ("csv:a b:c.csv", "csv", "a b:c.csv"),
    ("video:x.MP4", "video", "x.MP4"),
    ("images:frames", "images", "frames"),
    ("image:x.png", "image", "x.png"),
    ("window", "window", ""),
])
def test_every_kind_is_understood(text, kind, target):
    assert parse_output(text) == OutputSpec(kind, target, text)


def test_the_home_folder_is_found():
    assert parse_output("csv:~/a.csv").target == os.path.expanduser("~/a.csv")


@pytest.mark.parametrize("text, hint", [
    ("jsonk:a", "jsonl:PATH"),
    ("vidoe:a.mp4", "video:PATH.mp4"),
    ("windows", "did you mean window?"),
    ("demo.mp4", "video:demo.mp4"),
    ("faces.jsonl", "jsonl:faces.jsonl"),
    ("mqtt:x", "unknown kind; there are jsonl:PATH"),
    ("", "unknown kind"),
    ("jsonl", "jsonl:PATH"),
    ("csv:", "csv:PATH"),
    ("video: ", "video:PATH.mp4"),
    ("video:a.avi", ".mp4"),
    ("image:a.gif", ".jpg or .jpeg or .png"),
    ("images:-", "images:FOLDER"),
    ("window:a", "window"),
])
def test_a_wrong_text_names_the_right_one_in_one_line(text, hint):
    with pytest.raises(ConfigError) as caught:
        parse_output(text)
    message = str(caught.value)
    assert message.startswith("--output " + text) and hint in message and "\n" not in message


@pytest.mark.parametrize("texts, fine", [
    (["jsonl:a", "csv:b", "window"], True),
    (["jsonl:a", "jsonl:./a"], False),
    (["jsonl:-", "csv:-"], False),
    (["window", "window"], False),
])
def test_no_two_outputs_write_to_the_same_place(texts, fine):
    if fine:
        assert [spec.text for spec in parse_outputs(texts)] == texts
    else:
        with pytest.raises(ConfigError, match="same place"):
            parse_outputs(texts)
