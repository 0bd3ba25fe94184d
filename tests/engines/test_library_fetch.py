"""fetch=True: what a program's tracker lacks is fetched as by the command, said line by line, and nothing is printed."""
import json
import os

import pytest

import engines.fetch.commands
from edge.core.errors import ModelError
from edge.library.chain import to_log
from edge.library.fetching import fetch_missing
from edge.library.options import tracker_config
from edge.library.tracker import Tracker

ALL = ("yunet_s", "face_landmark", "mb05", "iris_landmark", "canonical_face")


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What was asked for, by names; None: the usual set. Asking fills the store."""
    found = []

    def run_fetch(home, names, fetch_all, force, out):
        out.write("one line\nand anoth")
        out.write("er\n")
        found.append(tuple(names) or None)
        stored(tmp_path, *(tuple(names) or ALL), keep=True)
        assert (home, fetch_all, force, out.isatty()) == (str(tmp_path), False, False, False)

    monkeypatch.setenv("NANOFACE_HOME", str(tmp_path))
    monkeypatch.setattr(engines.fetch.commands, "run_fetch", run_fetch)
    return found


def stored(home, *names, keep=False):
    path = home / "onnx" / "index.json"
    path.parent.mkdir(exist_ok=True)
    there = json.loads(path.read_text())["networks"] if keep and path.exists() else {}
    path.write_text(json.dumps({"schema": 1, "networks": dict(there, **{name: {} for name in names})}))


@pytest.mark.parametrize("there, options, expected", [
    ((), {}, [None]), (ALL, {}, []), (ALL[:-1], {}, [None]), (ALL[:2], {"pose": "none", "iris": "none"}, []),
    (ALL[:2], {}, [None]), (ALL, {"detect": "rfb320"}, [("rfb320",)]), ((), {"detect": "faceboxes"}, [None, ("faceboxes",)]),
    (ALL, {"detect": ["rfb320", "yunet_s"]}, []),
])
def test_only_what_is_missing_is_asked_for(asked, tmp_path, there, options, expected):
    stored(tmp_path, *there)
    reported = []
    fetch_missing(tracker_config(None, None, options).models, lambda *words: reported.append(words))
    assert asked == expected
    assert reported == [("progress", "one line"), ("progress", "and another")] * len(expected)


def test_no_iris_network_is_missed_where_the_aligner_fills_its_role(asked, tmp_path):
    stored(tmp_path, *(name for name in ALL if name != "iris_landmark"))
    path = tmp_path / "onnx" / "index.json"
    index = json.loads(path.read_text())
    index["networks"]["face_attention"] = {"role": "align", "roles": ["align", "iris"]}
    path.write_text(json.dumps(index))
    fetch_missing(tracker_config(None, None, {}).models, to_log)
    assert asked == []
    fetch_missing(tracker_config(None, None, {"align": "face_landmark"}).models, to_log)
    assert asked == [None]


def test_without_it_nothing_is_fetched(asked):
    with pytest.raises(ModelError, match="models fetch"):
        Tracker()
    assert asked == []


@pytest.mark.shared("models")
def test_a_program_gets_its_networks_by_itself(tmp_path, monkeypatch, shared, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("tflite")
    monkeypatch.setenv("NANOFACE_HOME", str(tmp_path))
    monkeypatch.setenv("NANOFACE_MIRROR", os.path.join(shared, "models"))
    reported = []
    models = tracker_config(None, None, {}).models
    fetch_missing(models, lambda *words: reported.append(words))
    assert any("yunet_s" in line for _, line in reported) and "6 networks are ready" in reported[-1][1]
    fetch_missing(models, to_log)
    assert capsys.readouterr() == ("", "")
