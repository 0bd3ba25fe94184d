"""However the stages are shared out among threads: the same results, in the same order, with nothing lost."""
import threading
import time

import pytest
from fakes.pipeline import FakeSender, FakeSource, FakeStage, counts, run
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.packet import Packet
from edge.pipeline.pipeline import Pipeline, Plan
from edge.telemetry.meter import Meter

FRAMES = 60


class Loop:
    """A feedback as in tracking: `look` of a frame needs what `commit` found in the one before."""

    def __init__(self, nap_s=0.0):
        self.state, self.open_frames, self.closed, self.nap_s = 1, 0, False, nap_s
        self.changed = threading.Condition()

    def look(self, packet):
        with self.changed:
            while self.open_frames and not self.closed:
                self.changed.wait()
            self.open_frames += 1
            return packet.with_faces((self.state,))

    def commit(self, packet):
        time.sleep(self.nap_s * (packet.frame.seq % 3))
        with self.changed:
            self.state = (packet.faces[0] * 31 + packet.frame.seq) % 1009
            self.open_frames -= 1
            self.changed.notify_all()
        return packet.with_faces(packet.faces + (self.state,))

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()


def stages(loop):
    align = FakeStage("align", loop.commit)
    align.close = loop.close
    tail = [FakeStage(name, lambda packet, k=k: packet.with_faces(packet.faces + (k * sum(packet.faces) % 97,)))
            for k, name in enumerate(("pose", "iris", "express"), 2)]
    return [FakeStage("detect", loop.look), align] + tail


def grouped(sizes, of):
    parts, rest = [], list(of)
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]
    return parts


def results(sizes, threads=(True, True), nap_s=0.0, live=False):
    sender, loop = FakeSender(), Loop(nap_s)
    outcome = run(FakeSource(FRAMES, live), grouped(sizes, stages(loop)), [sender],
                  capture_thread=threads[0], output_thread=threads[1])
    assert outcome.error is None
    return [(item["frame"], item["faces"]) for item in sender.items], outcome


def expected():
    state, found = 1, []
    for seq in range(FRAMES):
        after = (state * 31 + seq) % 1009
        faces = (state, after)
        for k in (2, 3, 4):
            faces += (k * sum(faces) % 97,)
        found.append((seq, faces))
        state = after
    return found


@pytest.mark.parametrize("threads", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (2, 3), (5,), (0, 5, 0)])
def test_every_grouping_gives_the_same_results_in_the_same_order(sizes, threads):
    found, outcome = results(sizes, threads)

    assert found == expected()
    assert (outcome.summary.captured, outcome.summary.delivered) == (FRAMES, FRAMES)
    assert set(counts(outcome.meter, "count").values()) == {FRAMES}
    assert counts(outcome.meter, "dropped") == {}


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=2, max_size=5), st.sampled_from([0.0, 0.0002, 0.001]))
def test_any_grouping_at_any_speed_gives_the_same_results(sizes, nap_s):
    sizes = sizes + [5]  # the rest
    assert results(sizes, nap_s=nap_s)[0] == expected()


def test_a_live_source_loses_frames_but_never_their_order():
    found, outcome = results((2, 3), nap_s=0.003, live=True)

    seqs = [seq for seq, _ in found]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] == FRAMES - 1
    assert len(seqs) + sum(counts(outcome.meter, "dropped").values()) == FRAMES


def test_a_pipeline_without_stages_hands_frames_to_the_outputs():
    outcome = run(FakeSource(3), [])
    assert outcome.frames == [0, 1, 2]


@pytest.mark.parametrize("threads", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("sizes", [(2, 3), (5,)])
def test_a_packet_carries_a_span_of_every_stage_before_the_output_without_a_gap(sizes, threads):
    sender = FakeSender(needs_picture=True)
    run(FakeSource(3), grouped(sizes, stages(Loop())), [sender], capture_thread=threads[0], output_thread=threads[1])

    assert len(sender.items) == 3
    for packet in sender.items:
        assert isinstance(packet, Packet)
        assert [span.stage for span in packet.spans] == ["capture", "detect", "align", "pose", "iris", "express"]
        assert all(a.finished_at == b.queued_at for a, b in zip(packet.spans, packet.spans[1:]))
        assert all(span.queued_at <= span.started_at <= span.finished_at for span in packet.spans)


def test_each_variant_of_the_record_is_made_once_and_only_where_somebody_wants_it():
    made = []

    def encode(packet, now, parts):
        made.append((packet.frame.seq, parts.landmarks))
        return {"frame": packet.frame.seq, "landmarks": parts.landmarks}

    for senders, expected_calls in (
            ([FakeSender(needs_picture=True)], []), ([], []),
            ([FakeSender(), FakeSender(), FakeSender(needs_picture=True)], [(0, False), (1, False)]),
            ([FakeSender(), FakeSender(landmarks=True), FakeSender(landmarks=True)],
             [(0, False), (0, True), (1, False), (1, True)])):
        del made[:]
        plan = Plan(FakeSource(2), [[FakeStage("a")]], senders, encode, Meter([], 0.0))
        assert Pipeline(plan).run(threading.Event()).delivered == 2
        assert sorted(made) == expected_calls
        assert all(len(sender.items) == 2 for sender in senders)
    assert [sender.items[0]["landmarks"] for sender in senders] == [False, True, True]
    assert senders[1].items[0] is senders[2].items[0]


def test_points_stay_arrays_for_who_wants_them_so_and_one_variant_serves_all_who_want_no_points():
    made = []

    def encode(packet, now, parts, as_lists=True):
        made.append((parts.landmarks, as_lists))
        return {"frame": packet.frame.seq, "lists": as_lists}

    senders = [FakeSender(landmarks=landmarks) for landmarks in (True, True, False, False)]
    senders[0].arrays = senders[2].arrays = True
    plan = Plan(FakeSource(1), [[FakeStage("a")]], senders, encode, Meter([], 0.0))
    assert Pipeline(plan).run(threading.Event()).delivered == 1
    assert sorted(made) == [(False, True), (True, False), (True, True)]
    assert [sender.items[0]["lists"] for sender in senders] == [False, True, True, True]
