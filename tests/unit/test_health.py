"""When the service manager gets READY and a sign of life, and the line of status."""
import pytest

from edge.telemetry.health import FIRST_FRAME_S, OPENING_S, Health, hanging


class KeptNotifier:
    """A notifier that keeps what is sent."""

    def __init__(self, watchdog_s=10.0):
        self.watchdog_s = watchdog_s
        self.lines = []
        self.reachable = self.listening = True

    def ready(self):
        self.lines.append("ready" if self.reachable else "ready lost")
        return self.reachable

    def status(self, text):
        self.lines.append("status " + text)
        return True

    def watchdog(self):
        self.lines.append("watchdog" if self.reachable else "watchdog lost")
        return self.reachable

    def stopping(self):
        self.lines.append("stopping")
        return True

    def extend_timeout(self, seconds):
        self.lines.append("extend {:g}".format(seconds))
        return True

    def take(self):
        lines, self.lines = self.lines, []
        return lines


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def healthy(watchdog_s=10.0):
    told, clock = KeptNotifier(watchdog_s), Clock()
    return Health(told, clock), told, clock


def ticks(health, clock, seconds, state="RUNNING", reason="", busy_since=None, delivered=lambda now: 1, absent=False):
    """Five ticks a second. `busy_since` None: every worker waits."""
    end = clock.now + seconds
    while clock.now < end - 1e-9:
        beats = {"capture": clock.now, "detect": clock.now if busy_since is None else busy_since}
        health.tick(state, reason, beats, delivered(clock.now), absent)
        clock.now += 0.2


def test_opening_asks_for_time_before_it_begins():
    health, told, clock = healthy()
    health.opening("align")
    assert told.take() == ["extend {:g}".format(OPENING_S), "status starting: opening align"]
    ticks(health, clock, 60.0, "STARTING", busy_since=clock.now)
    assert told.take() == []  # neither ready nor alive: systemd's watchdog sleeps until READY


def test_ready_comes_once_with_the_first_frame_that_arrived():
    health, told, clock = healthy()
    ticks(health, clock, 3.0, delivered=lambda now: 0)
    lines = told.take()
    assert lines[0] == "extend {:g}".format(FIRST_FRAME_S) and "status waiting for the first frame" in lines
    assert "ready" not in lines
    ticks(health, clock, 20.0)
    lines = told.take()
    assert lines.count("ready") == 1 and lines[lines.index("ready") + 1].startswith("status tracking")


def test_ready_is_sent_again_until_it_has_gone_out():
    health, told, clock = healthy()
    told.reachable = False  # the manager's queue is full, as at a busy boot
    for _ in range(3):
        health.tick("RUNNING", "", {"a": clock.now}, 1, False)
    assert told.take().count("ready lost") == 3 and not health.ready
    told.reachable = True
    for _ in range(3):
        health.tick("RUNNING", "", {"a": clock.now}, 1, False)
    assert told.take().count("ready") == 1 and health.ready


def test_ready_comes_without_a_frame_where_the_source_is_known_to_give_none():
    health, told, clock = healthy()
    ticks(health, clock, 1.0, "STARTING", delivered=lambda now: 0, absent=True)
    assert "ready" not in told.take()  # the networks are not open yet
    ticks(health, clock, 1.0, "DEGRADED", "source absent", delivered=lambda now: 0, absent=True)
    lines = told.take()
    assert lines.count("ready") == 1 and "status degraded: source absent" in lines


def test_signs_of_life_come_at_half_the_interval():
    health, told, clock = healthy(watchdog_s=10.0)
    ticks(health, clock, 50.0)
    assert 10 <= told.take().count("watchdog") <= 12


def test_a_sign_of_life_that_was_lost_is_given_again_at_once():
    health, told, clock = healthy(watchdog_s=10.0)
    told.reachable = False
    ticks(health, clock, 1.0)
    told.reachable = True
    ticks(health, clock, 0.2)
    lines = [line for line in told.take() if line.startswith("watchdog")]
    assert lines == ["watchdog lost"] * 5 + ["watchdog"]


def test_a_stage_that_hangs_ends_the_signs_of_life_and_its_return_brings_them_back():
    health, told, clock = healthy(watchdog_s=10.0)
    ticks(health, clock, 6.0)
    told.take()
    since = clock.now
    ticks(health, clock, 5.0, busy_since=since)
    assert "watchdog" in told.take()  # half the interval is not long enough to tell
    ticks(health, clock, 30.0, "DEGRADED", "detect hangs", busy_since=since)
    lines = told.take()
    assert [line for line in lines if line == "watchdog"] == []
    assert "status detect hangs: no more signs of life, the watchdog will restart the service" in lines
    ticks(health, clock, 1.0)
    assert "watchdog" in told.take()


@pytest.mark.parametrize("reason", ["source lost", "source hangs", "output vmc down"])
def test_what_is_degraded_lives(reason):
    health, told, clock = healthy(watchdog_s=10.0)
    ticks(health, clock, 40.0, "DEGRADED", reason, absent=reason.startswith("source"))
    lines = told.take()
    assert lines.count("watchdog") >= 8
    assert "status degraded: {}, 0.0 frames per second".format(reason) in lines


def test_the_line_of_status_has_the_speed_now_and_then():
    health, told, clock = healthy()
    began = clock.now
    ticks(health, clock, 21.0, delivered=lambda now: 1 + int(30.0 * (now - began) + 1e-6))
    words = [line for line in told.take() if line.startswith("status")]
    assert len(words) == 5 and words[-1] == "status tracking, 30.0 frames per second"


def test_without_a_watchdog_there_are_no_signs_of_life():
    health, told, clock = healthy(watchdog_s=None)
    ticks(health, clock, 20.0)
    ticks(health, clock, 20.0, "DEGRADED", "detect hangs", busy_since=clock.now)
    lines = told.take()
    assert "watchdog" not in lines and "status detect hangs" in lines


def test_the_end_is_a_line_of_status():
    health, told, clock = healthy()
    ticks(health, clock, 1.0)
    told.take()
    for state, reason in (("STOPPING", "stop requested"), ("STOPPING", "stop requested"), ("STOPPED", "stop requested")):
        health.tick(state, reason, {"detect": 0.0}, 5, False)
    assert told.take() == ["stopping", "status stopping: stop requested", "status stopped: stop requested"]
    health.tick("FAILED", "no such network", {}, 5, False)
    health.failed("no such network")
    assert told.take() == ["status failed: no such network"] * 2


def test_hanging_names_those_over_the_limit_in_order():
    assert hanging({"b": 1.0, "a": 2.0, "c": 9.9}, 10.0, 5.0) == ["a", "b"]
