"""Events: scripted timelines give exactly the expected ones, at any frame rate, with gaps, and for several faces."""
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.packet import END, START, Face, Pose, Roi
from edge.face.events.signals import Limits, Signals, of_face
from edge.face.events.watch import Events

OPEN = 0.25  # lid distance over the width of an eye
NAN = float("nan")
DEFAULTS = Limits()


def dip(at, hold=0.12, depth=1.0, close=0.06, reopen=0.1):
    """Share of the opening that a dip takes away at a time; half of it first at `at`."""
    def lowered(t):
        t -= at - close / 2
        if t < close + hold:
            return depth * min(1.0, max(0.0, t / close))
        return depth * max(0.0, 1.0 - (t - close - hold) / reopen)
    return lowered


def lids(right=(), left=()):
    def at(t):
        return {"lids": tuple(OPEN * (1.0 - 0.95 * min(1.0, sum(d(t) for d in dips))) for dips in (right, left))}
    return at


def both(*dips):
    return lids(dips, dips)


def mouth(level):
    return lambda t: {"mouth_open": level(t)}


def between(start, end, value, otherwise=0.0):
    return lambda t: value if start <= t < end else otherwise


def head(yaw=lambda t: 0.0, pitch=lambda t: 0.0):
    return lambda t: {"head_deg": (yaw(t), pitch(t))}


def look(yaw=lambda t: 0.0, pitch=lambda t: 0.0):
    return lambda t: {"head_deg": (0.0, 0.0), "look_deg": (yaw(t), pitch(t))}


def swing(size, hz, start, end):
    return lambda t: size * math.sin(2 * math.pi * hz * (t - start)) if start <= t < end else 0.0


def far(mm):
    return lambda t: {"distance_mm": mm(t)}


def played(signals, seconds, fps=30.0, limits=DEFAULTS, times=None, watch=None):
    """What is told of one face; `signals` gives None where it is not there."""
    watch = Events(limits) if watch is None else watch
    found = []
    for t in itertools.takewhile(lambda t: t < seconds, (i / fps for i in itertools.count())) if times is None else times:
        now = signals(t)
        found.extend(watch(t, [] if now is None else [(1, Signals(**now))]))
    return found + list(watch.last())


def told(events, *but):
    """Kind, phase, and side or zone."""
    return [(e.name, e.phase, e.values.get("side", e.values.get("zone"))) for e in events
            if e.name not in (but or ("presence",))]


BLINK = ("blink", END, "both")
CASES = {
    "a blink": (both(dip(2.0)), 4, [BLINK]),
    "a blink of glancing lids, incomplete": (both(dip(2.0, depth=0.6)), 4, [BLINK]),
    "no blink: the lids quiver": (both(dip(2.0, depth=0.25)), 4, []),
    "two blinks": (both(dip(2.0), dip(3.0)), 5, [BLINK, BLINK]),
    "one eye a little later": (lids([dip(2.0)], [dip(2.06)]), 4, [BLINK]),
    "a wink of the left eye": (lids([], [dip(2.0, 0.3)]), 4, [("blink", END, "left")]),
    "a wink of the right eye": (lids([dip(2.0, 0.3)], []), 4, [("blink", END, "right")]),
    "a wink beside which the other eye squints": (
        lids([dip(2.0, 0.3)], [dip(2.0, 0.3, depth=0.35)]), 4, [("blink", END, "right")]),
    "a long wink": (lids([], [dip(2.0, 1.2)]), 5, [("blink", END, "left")]),
    "an eye that is covered": (lids([], [dip(2.0, 4.0)]), 9, []),
    "winks in turn": (lids([dip(2.0, 0.3)], [dip(3.0, 0.3)]), 5, [("blink", END, "right"), ("blink", END, "left")]),
    "looks down for a while": (both(dip(2.0, 2.0, depth=0.4)), 7, []),
    "looks down, and blinks there": (both(dip(2.0, 4.0, depth=0.4), dip(4.0, depth=0.6)), 8, [BLINK]),
    "a smile with cheeks that lift the lower lids": (both(dip(2.0, 1.0, 0.5, close=0.3, reopen=0.3)), 6, []),
    "lids sink slowly": (both(dip(2.0, 1.0, 0.6, close=2.0, reopen=2.0)), 8, []),
    "the eyes stay shut": (both(dip(2.0, 1.5)), 6, [("eyes_closed", START, None), ("eyes_closed", END, None)]),
    "the eyes are shut when it ends": (both(dip(2.0, 9.0)), 6, [("eyes_closed", START, None), ("eyes_closed", END, None)]),
    "a yawn": (mouth(between(2.0, 6.0, 0.8)), 8, [("yawn", START, None), ("yawn", END, None)]),
    "speech": (mouth(lambda t: 0.35 + 0.35 * math.sin(2 * math.pi * 4 * t)), 8, []),
    "a laugh": (mouth(between(2.0, 6.0, 0.45)), 8, []),
    "a cry": (mouth(between(2.0, 3.2, 0.9)), 8, []),
    "a nod": (head(pitch=swing(7.0, 1.8, 2.0, 3.6)), 6, [("nod", END, None)]),
    "a shake": (head(yaw=swing(12.0, 1.5, 2.0, 4.0)), 6, [("shake", END, None)]),
    "a slow look around": (head(yaw=swing(18.0, 0.3, 1.0, 8.0)), 9, []),
    "the head sinks once": (head(pitch=between(2.0, 4.0, -10.0)), 6, []),
    "the head circles": (head(swing(10.0, 1.5, 2.0, 4.0), lambda t: swing(10.0, 1.5, 2.0, 4.0)(t + 1 / 6)), 6, []),
    "the head trembles": (head(pitch=swing(1.5, 3.0, 0.0, 6.0)), 6, []),
    "looks to the subject's left": (look(between(2.0, 6.0, -30.0)), 9, [("away", START, "left"), ("away", END, "left")]),
    "looks up": (look(pitch=between(2.0, 6.0, 30.0)), 9, [("away", START, "up"), ("away", END, "up")]),
    "turns the head, eyes not seen": (head(between(2.0, 6.0, 40.0)), 9, [("away", START, "right"), ("away", END, "right")]),
    "a glance aside": (look(between(2.0, 3.0, -30.0)), 6, []),
    "from one side to the other": (look(lambda t: -30.0 if 2 <= t < 5 else 30.0 if 5 <= t < 9 else 0.0), 12, [
        ("away", START, "left"), ("away", END, "left"), ("away", START, "right"), ("away", END, "right")]),
    "comes near": (far(between(2.0, 6.0, 300.0, 600.0)), 9, [("distance", START, "near"), ("distance", END, "near")]),
    "stands at the limit": (far(lambda t: 600.0 if t < 2 else 390.0 if t < 4 else 400 + 10 * math.sin(2 * t)), 9, [
        ("distance", START, "near"), ("distance", END, "near")]),
    "walks away": (far(between(2.0, 9.0, 1500.0, 600.0)), 8, [("distance", START, "far"), ("distance", END, "far")]),
}


@pytest.mark.parametrize("fps", [10.0, 30.0, 60.0])
@pytest.mark.parametrize("signals, seconds, expected", list(CASES.values()), ids=list(CASES))
def test_a_timeline_gives_exactly_its_events_at_any_frame_rate(signals, seconds, expected, fps):
    events = played(signals, seconds, fps)
    assert told(events) == expected
    like = played(signals, seconds, 240.0)
    for one, same in zip(events, like):
        assert abs(one.start_s - same.start_s) <= 1.01 / fps
        assert (one.end_s is None) == (same.end_s is None)
        assert one.end_s is None or abs(one.end_s - same.end_s) <= 1.01 / fps


@pytest.mark.parametrize("signals, seconds, expected", list(CASES.values()), ids=list(CASES))
def test_frames_that_were_dropped_change_no_event(signals, seconds, expected):
    kept = np.random.RandomState(5).rand(60 * seconds) > 0.3
    assert told(played(signals, seconds, times=[i / 60.0 for i in range(60 * seconds) if kept[i]])) == expected


def test_what_is_no_number_is_not_known_and_what_is_not_known_is_no_event():
    face = Face(1, Roi(320, 240, 200, 0.0), 0.9, (0, 0, 1, 1), expression={"mouth_open": NAN},
                pose=Pose(np.eye(3), np.array([0.0, 0.0, NAN]), 0.1))
    assert of_face(face, [NAN, None]) == Signals(head_deg=(0.0, 0.0))
    assert of_face(face._replace(pose=None, expression=None), [0.2, NAN]) == Signals(lids=(0.2, None))
    assert told(played(lambda t: {}, 5)) == []


def test_a_blink_of_which_one_eye_alone_was_seen_says_so_and_is_no_wink():
    event = [e for e in played(lambda t: {"lids": (None, both(dip(2.0))(t)["lids"][1])}, 4) if e.name == "blink"][0]
    assert (event.values["side"], event.values["seen"]) == ("both", "left")


def test_a_blink_begins_and_ends_at_half_its_depth_and_tells_how_deep_it_was():
    event = [e for e in played(both(dip(2.0, hold=0.1, close=0.06, reopen=0.1)), 4, 60.0) if e.name == "blink"][0]
    assert (event.start_s, event.end_s) == pytest.approx((2.0, 2.18), abs=0.02)
    assert event.values["closure"] == 1.0 and event.confidence == 1.0
    half = [e for e in played(both(dip(2.0, depth=0.5)), 4, 60.0) if e.name == "blink"][0]
    assert 0.4 < half.values["closure"] < 0.7 and 0.5 < half.confidence < 0.9


def test_what_lasts_is_told_as_soon_as_it_is_sure_and_its_end_has_its_id():
    watch = Events(Limits())
    at = {}
    for i in range(180):
        t = i / 30.0
        for event in watch(t, [(1, Signals(**both(dip(2.0, 1.5))(t)))]):
            if event.name == "eyes_closed":
                at[event.phase] = t, event
    (start_s, start), (end_s, end) = at[START], at[END]
    assert start_s - start.start_s == pytest.approx(0.5, abs=0.04) and start.end_s is None
    assert end_s - end.end_s <= 0.15 and (end.id, end.start_s) == (start.id, start.start_s)
    assert "cut" not in end.values


def test_what_is_still_going_when_the_run_ends_is_cut_there_and_nothing_is_left():
    watch, signals = Events(Limits()), far(lambda t: 300.0)
    events = played(signals, 5, watch=watch)
    ends = [e for e in events if e.phase == END]
    assert told(ends, "none") == [("distance", END, "near"), ("presence", END, None), ("presence", END, None)]
    assert all(e.values["cut"] and e.end_s == pytest.approx(149 / 30) for e in ends) and watch.last() == ()


def test_somebody_comes_and_goes_as_a_face_and_at_all():
    here = lambda t: {} if 1.0 <= t < 4.0 or 4.5 <= t < 6.0 else None  # noqa: E731
    events = [(e.face, e.phase, round(e.start_s), None if e.end_s is None else round(e.end_s, 1), "cut" in e.values)
              for e in played(here, 12)]
    assert events == [(None, START, 1, None, False), (1, START, 1, None, False), (1, END, 1, 6.0, False),
                      (None, END, 1, 6.0, False)]


def test_a_face_that_flickers_up_is_nobody():
    assert played(lambda t: {} if 1.0 <= t < 1.2 else None, 5) == []


def test_a_lost_face_ends_what_it_had_begun_where_it_was_last_seen():
    signals = lambda t: both(dip(2.0, 9.0))(t) if t < 4.0 else None  # noqa: E731
    events = [e for e in played(signals, 9) if e.name == "eyes_closed"]
    assert [e.phase for e in events] == [START, END]
    assert events[1].end_s == pytest.approx(4.0, abs=0.05) and "cut" not in events[1].values


def test_a_face_that_comes_back_in_time_goes_on_with_what_it_had_begun():
    signals = lambda t: None if 3.0 <= t < 3.6 else far(lambda t: 300.0)(t)  # noqa: E731
    assert told(played(signals, 6)) == [("distance", START, "near"), ("distance", END, "near")]


def test_lids_that_were_lost_on_the_way_down_are_no_blink():
    signals = lambda t: None if 2.0 <= t < 2.6 else both(dip(2.0, 0.4))(t)  # noqa: E731
    assert told(played(signals, 5)) == []


def test_two_faces_have_events_of_their_own_and_ids_count_from_one():
    watch, events = Events(Limits()), []
    right, left = lids([dip(2.0, 0.3)], []), both(dip(2.1), dip(3.0))
    for i in range(150):
        events.extend(watch(i / 30.0, [(7, Signals(**right(i / 30.0))), (9, Signals(**left(i / 30.0)))]))
    blinks = [(e.face, e.values["side"]) for e in events if e.name == "blink"]
    assert sorted(blinks) == [(7, "right"), (9, "both"), (9, "both")]
    events += watch.last()
    assert sorted({e.id for e in events}) == list(range(1, 1 + len({e.id for e in events})))


def test_another_track_is_another_face_and_the_old_one_is_over():
    watch, events = Events(Limits()), []
    for i in range(240):
        events.extend(watch(i / 30.0, [(1 if i < 120 else 2, Signals(distance_mm=300.0))]))
    assert sorted((e.face, e.phase) for e in events if e.name == "distance") == [(1, END), (1, START), (2, START)]
    over = [e for e in events if e.face == 1 and e.phase == END]
    assert over and all(e.end_s == pytest.approx(119 / 30) for e in over)


def test_time_that_stands_still_tells_nothing_and_time_that_goes_back_begins_anew():
    watch = Events(Limits())
    for i in range(90):
        watch(i / 30.0, [(1, Signals(distance_mm=300.0))])
    assert watch(89 / 30.0, [(1, Signals(distance_mm=3000.0))]) == ()
    back = watch(0.5, [(1, Signals(distance_mm=300.0))])
    assert all(e.phase == END and e.end_s == pytest.approx(89 / 30) for e in back)
    assert sorted(e.name for e in back) == ["distance", "presence", "presence"]


def test_a_pause_ends_what_was_going_on_at_the_last_frame_before_it():
    times = [i / 30.0 for i in range(90)] + [60.0 + i / 30.0 for i in range(90)]
    events = [e for e in played(far(lambda t: 300.0), 0, times=times) if e.name == "distance"]
    assert [(e.phase, e.end_s is None or round(e.end_s)) for e in events] == [
        (START, True), (END, 3), (START, True), (END, 63)]


def drowsy(t):
    """Eyes shut a quarter of the time for 80 s, then only blinks."""
    return both(*([dip(t - t % 4.0 + 1.0, 0.92)] if t < 80.0 else [dip(t - t % 4.0 + 1.0)]))(t)


def test_drowsiness_is_the_share_of_a_minute_with_shut_eyes_and_passes_with_it():
    events = [e for e in played(drowsy, 180, 20.0) if e.name == "perclos"]
    start, end = events
    assert (start.phase, end.phase) == (START, END) and start.start_s == pytest.approx(30.0, abs=1.5)
    assert start.values["perclos"] == pytest.approx(0.24, abs=0.05) and start.values["blinks_per_minute"] < 2.0
    assert 100.0 < end.end_s < 130.0 and end.values["perclos"] < 0.12 and end.values["blinks_per_minute"] > 5.0


def test_eyes_that_were_hardly_seen_tell_no_drowsiness():
    assert [e for e in played(lambda t: drowsy(t) if t % 10 < 3 else {}, 70, 20.0) if e.name == "perclos"] == []


def test_where_somebody_usually_looks_becomes_the_centre():
    aside = look(lambda t: -16.0 if t < 100.0 else -40.0 if t < 110.0 else -16.0)
    assert told(played(aside, 115, 10.0)) == [("away", START, "left"), ("away", END, "left")]
    right = look(lambda t: -16.0 if t < 100.0 else 8.0)
    assert told(played(right, 115, 10.0)) == [("away", START, "right"), ("away", END, "right")]


def test_somebody_who_looks_into_the_lens_from_the_side_of_the_picture_is_not_away():
    lens = {"head_deg": (25.0, 0.0), "look_deg": (25.0, 0.0), "lens_deg": (25.0, 0.0)}
    assert told(played(lambda t: lens, 10)) == []
    past = dict(lens, look_deg=(0.0, 0.0))
    assert told(played(lambda t: past if 5 <= t < 8 else lens, 10)) == [("away", START, "left"), ("away", END, "left")]


def test_the_way_to_the_lens_comes_from_where_the_face_is():
    for x, y, expected in ((0.0, 0.0, (0.0, 0.0)), (500.0, 0.0, (45.0, 0.0)), (0.0, 500.0, (0.0, 45.0))):
        pose = Pose(np.eye(3), np.array([x, y, 500.0]), 1.0)
        face = Face(1, Roi(320, 240, 200, 0.0), 0.9, (0, 0, 1, 1), pose=pose)
        assert of_face(face, [None, None]).lens_deg == pytest.approx(expected)


def test_the_next_zone_begins_when_it_was_looked_at_first_and_is_told_after_a_quarter_of_the_time():
    away = look(lambda t: -30.0 if 2 <= t < 5 else 30.0 if 5 <= t < 6 else 0.0)
    events = [e for e in played(away, 9, 30.0) if e.name == "away"]
    assert told(events) == [("away", START, "left"), ("away", END, "left"), ("away", START, "right"), ("away", END, "right")]
    assert events[1].end_s == events[2].start_s == pytest.approx(5.0, abs=0.04)
    assert events[3].end_s == pytest.approx(6.0, abs=0.04)


def test_an_eye_that_is_lost_in_mid_blink_costs_no_blink_and_is_no_wink():
    right = both(dip(2.0), dip(2.8))
    lost = lambda t: {"lids": right(t)["lids"] if t < 2.1 else (right(t)["lids"][0], None)}  # noqa: E731
    events = [e for e in played(lost, 6) if e.name == "blink"]
    assert [e.values["side"] for e in events] == ["both", "both"]
    assert [e.values["seen"] for e in events] == ["right", "right"]


def test_a_nod_that_the_end_of_the_run_cuts_off_is_told():
    nodding = swing(8.0, 1.5, 2.0, 9.0)
    cut = [e for e in played(head(pitch=nodding), 4) if e.name == "nod"]
    assert [(e.phase, e.values["swings"], e.values.get("cut")) for e in cut] == [(END, 7, True)]
    assert told(played(head(pitch=nodding), 2.6)) == []  # two swings are none


@pytest.mark.parametrize("gap", [{}, None], ids=["no head", "no face"])
def test_a_nod_whose_head_is_lost_is_over_where_it_was_last_known(gap):
    nodding = head(pitch=swing(8.0, 1.5, 2.0, 9.0))
    lost = [e for e in played(lambda t: nodding(t) if t < 4 else gap if t < 6 else head()(t), 8) if e.name == "nod"]
    assert [(e.values["swings"], e.values.get("cut")) for e in lost] == [(7, None)] and lost[0].end_s <= 4.0


def test_what_is_told_meets_its_definition_and_is_sure_by_half_at_least():
    drowsy = both(*(dip(t, hold=2.0) for t in range(20, 90, 10)))
    events = [e for e in played(drowsy, 90, 15.0) if e.name == "perclos"]
    assert [e.phase for e in events] == [START, END] and all(0.5 <= e.confidence <= 1.0 for e in events)


@pytest.mark.parametrize("limits, expected", [
    (Limits(blink_closure=0.9), []), (Limits(blink_closure=0.3), [BLINK])], ids=["complete ones", "half ones"])
def test_how_far_lids_must_fall_in_a_blink_is_for_the_user_to_say(limits, expected):
    assert told(played(both(dip(2.0, depth=0.6)), 4, limits=limits)) == expected


walk = st.lists(st.tuples(st.floats(0.0, 0.45), st.floats(0.0, 0.45), st.floats(-60, 60), st.floats(-60, 60),
                          st.floats(0, 1), st.floats(100, 3000), st.booleans(), st.floats(0.005, 0.4)),
                min_size=5, max_size=80)


@given(walk)
@settings(max_examples=40, deadline=None)
def test_whatever_comes_every_end_has_its_start_and_nothing_is_told_twice(steps):
    watch, events, t = Events(Limits(away_s=0.1, yawn_s=0.1, closed_s=0.2, lost_after_s=0.5)), [], 0.0
    for right, left, yaw, pitch, wide, mm, there, dt in steps:
        t += dt
        now = Signals((right, left), (yaw, pitch), (pitch, yaw), wide, mm)
        events.extend(watch(t, [(1, now)] if there else []))
    events.extend(watch.last())
    going = {}
    for event in events:
        key = event.name, event.face, event.values.get("zone", "") if event.name == "distance" else ""
        assert 0.0 <= event.confidence <= 1.0 and (event.end_s is None or event.end_s >= event.start_s >= 0.0)
        if event.phase == START:
            assert key not in going and event.end_s is None
            going[key] = event
        elif event.name not in ("blink", "nod", "shake"):
            start = going.pop(key)
            assert (start.id, start.start_s) == (event.id, event.start_s)
    assert not going
    for side in ("right", "left", "both"):
        blinks = sorted((e.start_s, e.end_s) for e in events if e.name == "blink" and e.values["side"] == side)
        assert all(one[1] <= other[0] + 1e-9 for one, other in zip(blinks, blinks[1:]))


@given(st.integers(0, 10 ** 6))
@settings(max_examples=15, deadline=None)
def test_noise_below_the_thresholds_is_no_event(seed):
    random = np.random.RandomState(seed)
    noisy = lambda t: {"lids": tuple(OPEN + random.normal(0, 0.01, 2)), "head_deg": tuple(random.normal(0, 0.7, 2)),  # noqa: E731
                       "mouth_open": abs(random.normal(0, 0.05)), "distance_mm": random.normal(600, 20)}
    assert told(played(noisy, 20)) == []


def test_blinks_of_both_eyes_do_not_overlap_where_one_eye_opens_late():
    """The second is measured on the eye that opened between the two only a little."""
    late = lids([dip(2.0, 0.13, 0.69), dip(2.5, 0.37, 0.61)], [dip(2.04, 0.55, 0.84), dip(2.77, 0.14, 0.59)])
    blinks = [(e.start_s, e.end_s) for e in played(late, 5) if e.name == "blink" and e.values["side"] == "both"]
    assert blinks and all(one[1] <= other[0] for one, other in zip(blinks, blinks[1:]))
