"""Live outputs in one process: each gets what it asked for, and none suffers from another."""
import sys
import threading
import types

import numpy as np
import pytest
from patience import PATIENCE_S, wait_until

from edge.core.errors import OutputError
from edge.core.packet import Event, Frame, Packet
from edge.core.parts import Parts
from edge.outputs import sender as senders
from edge.outputs.kinds import ADDRESS, KINDS, RECORDS, Kind, OutputOptions
from edge.outputs.live.output import LiveOutput
from edge.outputs.record import encode, without
from edge.outputs.relay.served import Served
from edge.outputs.spec import parse_output

FRAME = {"schema": 1, "frame": 0, "time_s": 0.0, "size": [4, 4], "events": [{"event": "blink"}], "faces": [
    {"id": 1, "landmarks": [0], "eye_contours": {}, "expression": {"mouth_open": 0.5, "jawOpen": 0.2},
     "missing": {"jawLeft": "not measured", "expression.tongueOut": "not finite", "gaze": "no head pose"}}]}
OPTIONS = OutputOptions(False, False, False, lambda: None)


class Toy(LiveOutput):
    """Does what `acts` says at its next calls, and keeps what it gets."""

    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.got = GOT.setdefault(spec.text, [])
        self.acts = ACTS.setdefault(spec.text, [])

    def _act(self):
        error = self.acts.pop(0) if self.acts else None
        if error is not None:
            raise error

    def open(self):
        self._act()

    def send(self, record, events, now):
        if record is None and not events:
            return
        self._act()
        self.got.append((record, events))

    def more_counts(self):
        return {"refused": 2}

    def close(self):
        pass


GOT, ACTS = {}, {}


@pytest.fixture
def served(monkeypatch):
    GOT.clear(), ACTS.clear()
    monkeypatch.setattr(senders, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr("edge.outputs.relay.served.FIRST_RETRY_S", 0.01)
    monkeypatch.setitem(KINDS, "toy", Kind(ADDRESS, "relay.toy:make", "", "", RECORDS, port=1, live=True))
    monkeypatch.setitem(sys.modules, "edge.outputs.relay.toy", types.SimpleNamespace(make=Toy))
    made = []

    def make(*texts, **acts):
        ACTS.update({text: list(acts.get(text.split(":")[1], ())) for text in texts})
        made.append(Served([parse_output(text) for text in texts], OPTIONS))
        made[-1].start()
        return made[-1]
    yield make
    for one in made:
        assert one.close(PATIENCE_S)


def test_each_output_gets_the_parts_that_it_asked_for(served):
    texts = ("toy:1?landmarks=true", "toy:2", "toy:3?shapes=false&events=false")
    all_of_them = served(*texts)
    all_of_them.put(FRAME)
    wait_until(lambda: all(GOT[text] for text in texts))
    whole, usual, least = (GOT[text][0] for text in texts)
    assert whole[0] == FRAME and whole[1] == FRAME["events"]
    face = usual[0]["faces"][0]
    assert "landmarks" not in face and face["expression"] == {"mouth_open": 0.5, "jawOpen": 0.2}
    assert least[0]["faces"] == [{"id": 1, "expression": {"mouth_open": 0.5}, "missing": {"gaze": "no head pose"}}]
    assert "events" not in least[0] and least[1] == []


def test_what_cannot_be_opened_is_tried_again_and_the_others_go_on(served):
    both = served("toy:1", "toy:2", **{"1": [OutputError("output toy:1: nobody is there")] * 3})
    both.put(FRAME)
    wait_until(lambda: GOT["toy:2"])
    wait_until(lambda: GOT["toy:1"])
    assert [row["state"] for row in both.rows()] == ["ok", "ok"] and both.rows()[0]["refused"] == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_its_own_code_is_told_with_its_place_and_the_output_made_anew(served):
    both = served("toy:1", "toy:2", **{"1": [None, TypeError("no such thing")]})
    both.put(FRAME)
    wait_until(lambda: both.rows()[0]["state"].startswith("failed"))
    assert both.rows()[0]["state"].startswith("failed: TypeError: no such thing (test_relay_served.py:")
    both.put(dict(FRAME, frame=1))
    wait_until(lambda: (both.mend(), both.rows()[0]["state"] == "ok")[1])
    both.put(dict(FRAME, frame=2))
    wait_until(lambda: GOT["toy:1"])
    wait_until(lambda: both.rows()[1]["sent"] == 3)
    assert GOT["toy:1"][0][0]["frame"] == 2 and [r["frame"] for r, _ in GOT["toy:2"]] == [0, 1, 2]


def test_the_package_of_an_output_is_loaded_before_any_thread_needs_it(served, monkeypatch, tmp_path):
    (tmp_path / "slow_package.py").write_text("import threading, time\ntime.sleep(0.1)\nWHERE = threading.current_thread()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "slow_package", None)
    monkeypatch.delitem(sys.modules, "slow_package")
    for package in ("slow_package", "no_such_package_of_ours"):
        monkeypatch.setitem(KINDS, "toy", KINDS["toy"]._replace(package=package))
        served("toy:1", "toy:2").put(FRAME)
    assert sys.modules["slow_package"].WHERE is threading.current_thread()
    wait_until(lambda: len(GOT["toy:2"]))


def test_less_of_a_record_is_what_encoding_less_of_it_gives():
    frame, event = Frame(3, 1.0, 0.5, np.zeros((4, 6, 3), np.uint8)), Event("blink", 1, "end", 1, 0.1, 0.2, 0.9, {})
    packet = Packet(frame, (), (), (event,))
    whole = encode(packet, 2.0, Parts(True, True, True), as_lists=False)
    for parts in (Parts(), Parts(events=True), Parts(True, True, True)):
        assert without(whole, parts) == encode(packet, 2.0, parts)
