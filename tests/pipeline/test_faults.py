"""Twenty minutes in which everything fails now and then, and the real stages for ten thousand frames of it."""
import os

import numpy as np
import pytest
import soak
from fakes.faulty import OUTAGES, FaultyStage, SimClock, World, frame_error, jsonl_sender, swallowed, with_nonsense
from fakes.pipeline import FakeSender, FakeSource, FakeStage, run

from edge.core.errors import OutputError
from edge.core.packet import Face, Roi

MINUTES = 20


def with_a_face(packet):
    face = Face(1, Roi(320.0, 240.0, 200.0, 0.0), 0.9, (250.0, 150.0, 350.0, 270.0), np.zeros((468, 3)))
    return packet.with_faces((face,))


def two_workers(world):
    """Stages that do nothing, quickly, and fail in every way that does not end the run."""
    first = FaultyStage(world, "first", {"error": frame_error, "swallow": swallowed})
    first_process = first.process
    first.process = lambda packet: first_process(with_a_face(packet))
    return [[first, FaultyStage(world, "hangs", {"other error": frame_error}, hangs=True)],
            [FaultyStage(world, "last", {"nonsense": with_nonsense, "late error": frame_error})]]


def test_twenty_minutes_of_random_faults_crash_nothing_lose_nothing_and_are_all_reported(tmp_path):
    world = World(SimClock(), 4, ("error", "swallow", "other error", "nonsense", "late error"))
    show = soak.Show(str(tmp_path), world, MINUTES * 60 * 30, two_workers(world), swallows=("swallow",))
    out = show.run()

    assert out.faults == []
    assert out.simulated_s >= MINUTES * 60
    assert {kind for kind, _ in world.outages} == set(OUTAGES), "each has happened"
    assert all(world.dealt.values()), "and every blow"


def test_ten_thousand_frames_of_the_real_stages_soak(tmp_path):
    out, show = soak.soak(str(tmp_path), 10000, 4)

    assert out.faults == []
    lines = soak.tell(out, show)
    assert len(lines) >= 7 and all(lines)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_records_that_find_no_room_end_the_run_with_the_cure_after_the_stages_were_closed():
    stage = FakeStage("a")
    outcome = run(FakeSource(10 ** 6), [[stage]], [FakeSender(), jsonl_sender("/dev/full")])

    assert isinstance(outcome.error, OutputError) and "free some space" in str(outcome.error)
    assert outcome.states[-1][0] == "FAILED" and stage.calls == ["open", "process", "close"]


@pytest.mark.parametrize("others", [0, 1])
def test_a_reader_that_leaves_ends_a_run_that_has_no_other_output(tmp_path, others):
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def on_read(seq):
        if seq == 20:
            os.close(reader)
        return True

    others = [FakeSender() for _ in range(others)]
    outcome = run(FakeSource(500 if others else 10 ** 6, on_read=on_read), [[FakeStage("a")]], others + [jsonl_sender(pipe)])

    reason = "end of source" if others else "the reader of jsonl:{} has left".format(pipe)
    assert outcome.error is None and outcome.states[-1] == ("STOPPED", reason)
    assert all(len(sender.items) == 500 for sender in others)
