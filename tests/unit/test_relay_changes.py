"""Which changes of live outputs a run says: each once, and what comes and goes all day at a bounded rate."""
from edge.outputs.relay.changes import MOST_AT_ONCE, PAUSE_S, Changes


def rows(*states):
    return [{"state": state} for state in states]


def test_an_output_that_goes_down_and_comes_back_is_said_each_time():
    changes = Changes(["mqtt://a", "ws://:1"])
    assert changes.lines(rows("opening", "opening"), 0.0) == []
    assert changes.lines(rows("ok", "nobody receives it"), 1.0) == [("note", "output ws://:1: nobody receives it")]
    for _ in range(2):
        assert changes.lines(rows("down: output mqtt://a: no broker", "1 receiver"), 2.0)[0] == (
            "warning", "output mqtt://a: no broker")
        assert changes.lines(rows("down: output mqtt://a: no broker", "1 receiver"), 2.5) == []
        assert changes.lines(rows("ok", "1 receiver"), 3.0) == [("note", "output mqtt://a: works")]
    assert changes.lines(rows("closed: output mqtt://a: no broker", "closed"), 4.0) == []


def test_a_state_that_flaps_is_said_once_a_minute_in_the_end():
    changes = Changes(["vmc://a"])
    said = [changes.lines(rows(state), 0.1 * i) for i, state in enumerate(["1 receiver", "ok"] * 600)]
    assert sum(map(len, said)) == MOST_AT_ONCE + int(0.1 * len(said) / PAUSE_S) - 1


def test_that_all_works_from_the_start_is_not_said():
    assert Changes(["vmc://a"]).lines(rows("ok"), 0.0) == []
