"""A whole run: what an output asks for reaches the stages, and what they tell reaches the files; the rest is not made."""
import csv
import json

import pytest
from in_process import InProcess
from whole_runs import DEFAULT_NETWORKS, need_networks, need_runtime, quick

from edge.core.packet import END, START, Event
from edge.core.records import read_line
from edge.stages.express import Express

FRAMES = 4


@pytest.fixture
def asked(monkeypatch):
    """settings.events of each express stage that was made; where it is true, the stage tells one event a frame."""
    found, plain_init, plain_process = [], Express.__init__, Express.process

    def init(self, settings):
        plain_init(self, settings)
        self.told, self.tells = 0, settings.events
        found.append(settings.events)

    def process(self, packet):
        packet = plain_process(self, packet)
        if not self.tells:
            return packet
        self.told += 1
        return packet._replace(events=(Event("away", self.told, START, 1, 0.5, None, 1.0, {"zone": "left"}),))

    def last_events(self):
        assert self.tells
        return (Event("away", self.told, END, 1, 0.5, 2.5, 1.0, {"zone": "left", "cut": True}),)

    monkeypatch.setattr(Express, "__init__", init)
    monkeypatch.setattr(Express, "process", process)
    monkeypatch.setattr(Express, "last_events", last_events)
    return found


@pytest.fixture
def nanoface(tmp_path, capfd, models_home):
    need_networks(models_home, *DEFAULT_NETWORKS)
    need_runtime("onnxruntime")
    return InProcess(tmp_path, capfd, models_home)


def run(nanoface, *words):
    done = nanoface("run", "--source", "portrait", "--max-frames", str(FRAMES), "--status", "none", *words + tuple(quick()))
    assert done.code == 0, done.err


@pytest.mark.parametrize("workers", ["capture+detect+align+pose+iris+express+output", "detect+align | pose+iris+express"])
def test_events_are_in_the_files_that_asked_for_them(nanoface, asked, tmp_path, workers):
    run(nanoface, "--events", "--output", "jsonl:a.jsonl", "--output", "csv:a.csv", "--output", "jsonl:b.jsonl?events=false",
        "--workers", workers)
    lines = [read_line(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [type(line).__name__ for line in lines] == ["FrameRecord", "Event"] * FRAMES + ["Event"]
    events = lines[1::2] + lines[-1:]
    starts = [(i + 1, "start", i) for i in range(FRAMES)]
    assert [(e.id, e.phase, e.frame) for e in events] == starts + [(FRAMES, "end", FRAMES - 1)]
    assert events[-1].values == {"zone": "left", "cut": True} and events[-1].duration_s == 2.0
    with open(str(tmp_path / "a.csv"), newline="") as f:
        rows = list(csv.DictReader(f))
    assert [row["event"] for row in rows] == ["", "away"] * FRAMES + ["away"]
    assert [json.loads(line)["frame"] for line in (tmp_path / "b.jsonl").read_text().splitlines()] == list(range(FRAMES))
    assert asked == [True]


@pytest.mark.parametrize("words, expected", [
    (("--output", "jsonl:a.jsonl"), False), (("--output", "jsonl:a.jsonl?events=true"), True), (("--events",), False),
    (("--events", "--output", "image:a.jpg"), True), (("--output", "jsonl:a.jsonl?landmarks=true&shapes=true"), False),
    (("--events", "--output", "csv:a.csv?events=false"), False),
    (("--set", "output.events=true", "--output", "csv:a.csv"), True),
])
def test_the_stages_are_told_only_where_an_output_asks(nanoface, asked, words, expected):
    run(nanoface, "--no-window", *words)
    assert asked == [expected]


@pytest.mark.parametrize("word, told, missing", [("--shapes", 20, "jawLeft"), ("--coarse-shapes", 46, "mouthPress")])
def test_which_shapes_are_not_told_is_said(nanoface, tmp_path, word, told, missing):
    done = nanoface("run", "--source", "portrait", "--max-frames", "2", "--status", "none", word, "--output", "jsonl:a.jsonl",
                    *(quick() + ("--aligner", "face_attention")))
    assert "face_attention tells {} of ARKit's 52 shapes; not ".format(told) in done.err and missing in done.err
    face = read_line((tmp_path / "a.jsonl").read_text().splitlines()[-1]).faces[0]
    assert len(face.shapes) == told and missing not in face.shapes
