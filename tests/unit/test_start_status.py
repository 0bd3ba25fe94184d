"""A run that waits before it starts, or cannot start: its status records and exit code."""
import json
import os

import pytest

from edge.app import run as app
from edge.config.load import load_config
from edge.core.errors import EngineError, ModelError, UnfitError
from edge.core.parts import Parts
from edge.host.stop import Stop
from edge.store import renewal
from edge.telemetry.status import table
from edge.telemetry.status.log import StatusLog
from edge.telemetry.status.start import StartStatus

UNFIT = "2 engines do not fit TensorRT 8.2.5.1 (align: it was killed): run `nanoface build`"


def records(path):
    with open(str(path)) as f:
        return [json.loads(line) for line in f]


def test_each_call_is_a_record_and_only_another_kind_a_line(tmp_path):
    said = []
    before = StartStatus(StatusLog(str(tmp_path / "log")), "0", lambda event, text: said.append((event, text)))
    assert not before.waited
    for text in ("the engines are rebuilt: 1/2 detect", "the engines are rebuilt: 2/2 align"):
        before.write("STARTING", text)
    before.write("FAILED", "no more")
    found = records(tmp_path / "log")
    assert [(r["state"], r["reason"]) for r in found] == [
        ("STARTING", "the engines are rebuilt: 1/2 detect"), ("STARTING", "the engines are rebuilt: 2/2 align"),
        ("FAILED", "no more")]
    assert all(r["source"] == "0" and "2/2 align" in table.render(found[1]) for r in found)
    assert said == [("state", "STARTING: the engines are rebuilt: 1/2 detect"), ("state", "FAILED: no more")]
    assert before.waited and StartStatus(None, "", lambda event, text: None).write("STOPPED", "")["state"] == "STOPPED"


@pytest.fixture
def config(tmp_path):
    return load_config(os.devnull, {"status.path": str(tmp_path / "log"), "source.spec": "portrait"}, {})


@pytest.mark.parametrize("unfit, error, expected", [
    (UNFIT, EngineError("a.plan was built for 8.2.1.8: run `x`"), UnfitError),
    (UNFIT, ModelError("no network"), ModelError),
    ("", EngineError("out of memory"), EngineError),
])
def test_engines_that_do_not_fit_are_the_reason_of_an_end_that_no_restart_mends(config, tmp_path, monkeypatch, unfit, error,
                                                                               expected):
    def fail(*words):
        raise error

    monkeypatch.setattr(renewal, "settle", lambda *words: unfit)
    monkeypatch.setattr(app, "_run", fail)
    with pytest.raises(ModelError) as raised:
        app.run(config, Stop(), lambda event, text: None)
    assert type(raised.value) is expected
    if expected is UnfitError:
        assert str(raised.value) == "a.plan was built for 8.2.1.8; " + UNFIT and raised.value.exit_code == 6
    if unfit:
        assert records(tmp_path / "log")[-1]["state"] == "FAILED"
    else:
        assert not (tmp_path / "log").exists()  # a run of nobody's service leaves no more than before


def test_one_that_is_stopped_while_it_waits_opens_nothing(config, tmp_path, monkeypatch):
    stop = Stop()

    def settle(home, config, environ, waiting, stopped):
        waiting("the engines are rebuilt")
        stop.set()
        return ""

    monkeypatch.setattr(renewal, "settle", settle)
    monkeypatch.setattr(app, "_run", lambda *words: pytest.fail("it began"))
    assert app.run(config, stop, lambda event, text: None)["state"] == "STOPPED"
    assert [r["state"] for r in records(tmp_path / "log")] == ["STARTING", "STOPPED"]


@pytest.mark.parametrize("outputs, read", [
    ([], False), (["jsonl:a.jsonl", "csv:a.csv"], False), (["jsonl:a.jsonl", "csv:a.csv?landmarks=true"], True),
    (["image:a.jpg"], True), (["video:a.mp4"], True), (["window"], True)])
def test_points_are_smoothed_where_an_output_writes_or_draws_them(outputs, read, tmp_path, monkeypatch):
    """The stages are made with the word of it; no network is needed to see that."""
    made = []

    def make_stages(*words):
        made.append(words[4])
        raise ModelError("that is enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "make_stages", make_stages)
    config = load_config(os.devnull, {"status.path": "none", "source.spec": "portrait", "outputs": outputs}, {})
    with pytest.raises(ModelError, match="enough"):
        app.run(config, Stop(), lambda event, text: None)
    assert made == [Parts(landmarks=read)] and os.listdir(str(tmp_path)) == []
