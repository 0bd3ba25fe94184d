"""When something is given up to keep the rate, in which order, and when it is taken back: in simulated time."""
import pytest

from edge.pipeline import governor as governors
from edge.pipeline.governor import Governor, Load, Steering, Step, Switch, Work, load_of

GIVE_UP_AFTER_S, TAKE_BACK_AFTER_S = governors.GIVE_UP_AFTER_S, governors.TAKE_BACK_AFTER_S
WINDOW_S = governors.WINDOW_S

MORE_S = 5 * WINDOW_S  # ticks of 0.2 s do not end with a window; the first window after a change is left out
STEPS = ("iris", "pose", "detector", "output")


class Board:
    """A worker whose frames take `base_ms` plus what has not been given up, and a source; time passes in ticks."""

    def __init__(self, base_ms, costs_ms=(8.0, 4.0, 2.0, 1.0), source_fps=30.0, target_fps=30.0, tick_s=0.2):
        self.base_ms, self.source_fps, self.tick_s, self.throttled = base_ms, source_fps, tick_s, False
        self.given_up, self.costs_ms, self.changes = [False] * 4, costs_ms, []
        self.now, self.offered, self.frames, self.busy_s = 100.0, 0.0, 0.0, 0.0
        steps = [Step(name, lambda on, i=i: self.apply(i, on)) for i, name in enumerate(STEPS)]
        self.steering = Steering(Governor(target_fps, 4), steps, lambda: self.throttled,
                                 lambda: self.changes.append((round(self.now - 100.0, 3), self.steering.record()["level"])))

    def apply(self, i, on):
        assert self.given_up[i] != on, "a step is told once"
        self.given_up[i] = on

    @property
    def frame_s(self):
        return (self.base_ms + sum(c for c, gone in zip(self.costs_ms, self.given_up) if not gone)) / 1e3

    def run(self, seconds):
        for _ in range(int(round(seconds / self.tick_s))):
            self.now += self.tick_s
            self.offered += self.source_fps * self.tick_s
            done = min(self.source_fps, 1.0 / self.frame_s) * self.tick_s
            self.frames += done
            self.busy_s += done * self.frame_s
            self.steering.on_work(Work(self.now, int(self.offered), {
                "capture": (int(self.offered), 0.0), "stages": (self.frames, self.busy_s), "output": (self.frames, 0.0)}))
        return self.level

    @property
    def level(self):
        return self.steering.record()["level"]


@pytest.mark.parametrize("base_ms, level", [(10.0, 0), (20.0, 1), (26.0, 2), (30.0, 3), (31.0, 4), (60.0, 4)])
def test_as_much_is_given_up_as_it_takes_and_in_the_declared_order(base_ms, level):
    board = Board(base_ms)
    assert board.run(12.0) == level
    assert board.given_up == [i < level for i in range(4)]
    assert board.steering.record()["given_up"] == list(STEPS[:level])
    assert [to for _, to in board.changes] == list(range(1, level + 1))
    assert board.run(120.0) == level, "and it stays so"


def test_what_was_given_up_first_takes_about_a_second_and_a_short_load_nothing():
    board = Board(20.0)
    board.run(4.0)
    assert GIVE_UP_AFTER_S <= board.changes[0][0] <= GIVE_UP_AFTER_S + MORE_S
    board = Board(10.0)
    for _ in range(20):
        board.base_ms = 60.0
        board.run(0.6)
        board.base_ms = 10.0
        board.run(1.4)
    assert board.changes == []


@pytest.mark.parametrize("source_fps, target_fps, base_ms, level", [
    (15.0, 30.0, 40.0, 0),  # a camera that only gives 15 is nobody's fault
    (15.0, 30.0, 55.0, 1),
    (60.0, 30.0, 15.0, 0),  # half of its frames are dropped, and 30 are what is wanted
    (60.0, 60.0, 6.0, 1),
    (30.0, 10.0, 60.0, 0),
    (29.97, 30.0, 16.0, 0),
    (5.0, 30.0, 150.0, 0),
])
def test_what_counts_is_the_rate_that_is_wanted_and_that_the_source_gives(source_fps, target_fps, base_ms, level):
    assert Board(base_ms, source_fps=source_fps, target_fps=target_fps).run(60.0) == level


def test_it_is_taken_back_after_some_seconds_with_room_one_step_after_the_other():
    board = Board(60.0)
    board.run(12.0)
    board.base_ms, board.changes = 5.0, []
    board.run(60.0)
    assert [to for _, to in board.changes] == [3, 2, 1, 0]
    times = [at for at, _ in board.changes]
    assert all(TAKE_BACK_AFTER_S <= b - a <= TAKE_BACK_AFTER_S + MORE_S for a, b in zip([12.0] + times, times))
    assert board.steering.record() == {"level": 0, "given_up": [], "reason": ""}


def test_room_that_taking_back_would_use_up_is_no_room():
    board = Board(20.0, costs_ms=(14.0, 1.0, 1.0, 1.0))  # 37 ms of 33.3; without the irises 23
    assert board.run(300.0) == 1
    assert len(board.changes) == 1, "it does not even try"


def test_what_has_to_be_given_up_again_and_again_is_taken_back_ever_later():
    board = Board(10.0, costs_ms=(25.0, 1.0, 1.0, 1.0))  # 38 ms of 33.3; without the irises 13: surely room, one would think
    board.run(400.0)
    backs = [at for at, level in board.changes if level == 0]
    waits = [b - a for a, b in zip([at for at, level in board.changes if level == 1], backs)]
    assert 4 <= len(waits) <= 8
    assert all(later > 1.6 * earlier for earlier, later in zip(waits[1:], waits[2:])), waits


def test_a_step_that_was_kept_for_long_is_taken_back_soon_again():
    board = Board(10.0, costs_ms=(25.0, 1.0, 1.0, 1.0))
    board.run(60.0)
    board.base_ms = 1.0
    board.run(200.0)
    board.changes, board.base_ms = [], 10.0
    board.run(15.0)
    first, second = board.changes[:2]
    assert (first[1], second[1]) == (1, 0) and second[0] - first[0] < TAKE_BACK_AFTER_S + MORE_S


def test_a_short_hog_does_not_cost_a_step_for_ever():
    board = Board(10.0)
    board.base_ms = 500.0
    board.run(3.0)
    assert board.level >= 1
    board.base_ms = 10.0  # the step seems to have saved half a second: it is tried all the same
    assert board.run(60.0) == 0


def test_a_board_that_throttles_gives_up_the_first_step_and_takes_nothing_back_while_it_lasts():
    board = Board(5.0)
    board.throttled = True
    assert board.run(60.0) == 1
    assert board.steering.record()["reason"] == "the board throttles"
    board.throttled = False
    assert board.run(10.0) == 0


def test_a_source_that_falls_silent_changes_nothing():
    board = Board(26.0)
    board.run(0.8)
    board.source_fps = 1e-9
    assert board.run(60.0) == 0
    board.source_fps = 30.0
    assert board.run(12.0) >= 1
    level = board.level
    board.source_fps = 1e-9
    assert board.run(60.0) == level


def test_a_frame_that_takes_longer_than_a_window_is_counted_when_it_is_done():
    begin = Work(0.0, 10, {"a": (10, 1.0), "b": (10, 0.1)})
    assert load_of(begin, Work(0.6, 20, {"a": (10, 1.0), "b": (10, 0.1)}), False) is None
    load = load_of(begin, Work(2.0, 70, {"a": (12, 2.8), "b": (12, 0.2)}), False)
    assert load == Load(pytest.approx(0.9), 30.0, False), "the slowest counts"


def test_a_single_frame_that_hangs_gives_up_nothing():
    governor = Governor(30.0, 4)
    governor.decide(0.0, Load(0.01, 30.0))
    governor.decide(20.0, Load(18.0, 30.0))
    assert [governor.decide(20.5 + 0.5 * i, Load(0.01, 30.0)) for i in range(20)] == [0] * 20


def test_the_reason_has_numbers_and_every_change_is_a_line_of_the_log(caplog):
    with caplog.at_level("INFO"):
        board = Board(20.0)
        board.run(10.0)
        board.base_ms = 5.0
        board.run(10.0)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("governor: gives up: iris (level 1): a frame takes 35.0 ms, 30 frames per second leave 33.3")
    assert lines[1] == "governor: takes back: iris (level 0)" and len(lines) == 2


def test_with_nothing_to_give_up_nothing_happens():
    governor = Governor(30.0, 0)
    assert [governor.decide(0.5 * i, Load(1.0, 30.0)) for i in range(20)] == [0] * 20


def test_a_switch_is_what_it_was_set_to():
    switch = Switch()
    assert not switch()
    switch.set(True)
    assert switch()
