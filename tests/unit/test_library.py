"""The library with stages that are played: whose thread it is, what it refuses, what it leaves alone, and when it ends."""
import copy
import gc
import logging
import os
import pickle
import threading
import warnings
import weakref

import numpy as np
import pytest

from edge.core.contracts import Stage
from edge.core.errors import ConfigError, EdgeError, FrameError, InputError, InputTypeError, ModelError, StateError
from edge.core.packet import END, START, Event, Face, Roi
from edge.core.parts import Parts
from edge.library import chain
from edge.library import stream as streams
from edge.library.tracker import Tracker
from edge.sources import portrait

PICTURE = np.zeros((48, 64, 3), np.uint8)


class Played(Stage):
    """Finds one face whose score is the mean of the picture; what it is told to raise, it raises once."""

    name = "detect"

    def __init__(self):
        self.seen, self.opened, self.closed, self.error = [], 0, 0, None
        self.last = self.tells = ()

    def open(self):
        self.opened += 1

    def process(self, packet):
        self.seen.append(packet.frame)
        error, self.error = self.error, None
        if error is not None:
            raise error
        box = (1.0, 2.0, 3.0, 4.0)
        packet = packet._replace(events=self.tells)
        return packet.with_faces((Face(len(self.seen), Roi(1.0, 1.0, 1.0, 0.0), packet.frame.image.mean() / 255.0, box),))

    coarse = frozenset()

    def last_events(self):
        return self.last

    def close(self):
        self.closed += 1


class Composed:
    """What make_stages() gives."""

    def __init__(self, stage):
        self._stage = self.express = stage

    def groups(self, _names):
        return [(self._stage,)]


@pytest.fixture
def made(monkeypatch, tmp_path):
    """The stages that were made, each with the options that it was made with."""
    found = []

    def make_stages(config, stills, report, live, wanted, neutral):
        stage = Played()
        stage.config, stage.stills, stage.live, stage.wanted = config, stills, live, wanted
        found.append(stage)
        return Composed(stage)

    monkeypatch.setenv("NANOFACE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(chain, "make_stages", make_stages)
    return found


def in_thread(work):
    """What it returned or raised in a thread of its own."""
    reported = []

    def run():
        try:
            reported.append(work())
        except EdgeError as e:
            reported.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return reported[0]


def test_a_picture_in_faces_out(made):
    with Tracker(max_faces=2) as tracker:
        faces = tracker(PICTURE + 51)
        assert [(face.id, face.score, face.box) for face in faces] == [(1, 0.2, (1.0, 2.0, 3.0, 4.0))]
        assert faces[0].landmarks is None and faces[0].missing["landmarks"] == "not measured"
        tracker(PICTURE)
    assert [frame.seq for frame in made[0].seen] == [0, 1] and made[0].config.tracking.max_faces == 2
    assert (made[0].opened, made[0].closed, len(made)) == (1, 1, 1)


def test_events_wait_until_they_are_taken_and_close_ends_what_is_still_going(made):
    start, end = Event("away", 1, START, 1, 0.0, None, 1.0), Event("away", 1, END, 1, 0.0, 2.0, 1.0, {"cut": True})
    tracker = Tracker(events=True, shapes=True)
    assert tracker.take_events() == [] and made[0].wanted == Parts(True, True, True)
    made[0].tells = (start,)
    tracker(PICTURE, time_s=1.5)
    made[0].tells = ()
    tracker(PICTURE, time_s=2.0)
    told = tracker.take_events()
    assert [(e.name, e.phase, e.time_s, e.frame) for e in told] == [("away", "start", 1.5, 0)] and not tracker.take_events()
    made[0].last = (end,)
    tracker.close()
    tracker.close()
    assert [(e.id, e.phase, e.frame, e.values) for e in tracker.take_events()] == [(1, "end", 1, {"cut": True})]


@pytest.mark.parametrize("value, asked", [(68, True), ("all", True), (True, False), (468, False), (False, False)])
def test_the_68_points_are_there_for_who_asks_and_the_mesh_in_any_case(made, value, asked):
    face = Tracker(landmarks=value)(PICTURE)[0]
    assert made[0].wanted == Parts(landmarks=True, landmarks68=asked)
    assert face.landmarks68 is None and face.missing.get("landmarks68") == ("not measured" if asked else None)


def test_who_asks_for_no_events_gets_none(made):
    tracker = Tracker()
    made[0].tells = made[0].last = (Event("nod", 1, END, 1, 0.0, 1.0, 1.0),)
    tracker(PICTURE)
    tracker.close()
    assert tracker.take_events() == [] and made[0].wanted == Parts(landmarks=True)


def test_the_time_is_now_or_what_is_given(made):
    live, film = Tracker(), Tracker()
    for _ in range(3):
        live(PICTURE)
    times = [frame.time_s for frame in made[0].seen]
    assert times[0] == 0.0 and times == sorted(times)
    for time_s in (5.0, np.float32(5.5), 6, 6):
        film(PICTURE, time_s=time_s)
    assert [frame.time_s for frame in made[1].seen] == [5.0, 5.5, 6.0, 6.0]


@pytest.mark.parametrize("time_s, reported", [
    (0.9, "lies before"), (None, "the pictures before came with time_s"), (float("nan"), "finite"), ("soon", "a number"),
    (float("-inf"), "finite"), (10 ** 400, "finite"), ("2.5", "a number"), (b"2", "a number"), (np.array([2.0]), "a number"),
    (True, "not True: still=True says that a picture has nothing to do with others"), (np.bool_(True), "still=True"),
], ids=lambda value: type(value).__name__)
def test_a_time_that_cannot_be_is_refused_and_the_next_picture_is_taken(made, time_s, reported):
    tracker = Tracker()
    tracker(PICTURE, time_s=1.0)
    with pytest.raises(InputError, match=reported):
        tracker(PICTURE, time_s=time_s)
    assert len(tracker(PICTURE, time_s=1.0)) == 1
    with pytest.raises(InputError, match="without time_s"):
        other = Tracker()
        other(PICTURE)
        other(PICTURE, time_s=1.0)


def test_unrelated_pictures_have_stages_of_their_own(made):
    with Tracker() as tracker:
        tracker(PICTURE, time_s=9.0)
        tracker(PICTURE, still=True)
        tracker(PICTURE, time_s=3.0, still="yes")  # time_s says nothing
        tracker(PICTURE, time_s=9.5)
    assert [stage.stills for stage in made] == [False, True] and [len(stage.seen) for stage in made] == [2, 2]
    times = [frame.time_s for frame in made[1].seen]
    assert times[0] < times[1]  # what is remembered of faces that are gone is forgotten
    assert [stage.closed for stage in made] == [1, 1]


@pytest.mark.parametrize("image, kind, reported", [
    (None, TypeError, "NoneType"), ([[[0, 0, 0]]], TypeError, "list"), ("face.jpg", TypeError, "cv2.imread"),
    (PICTURE.astype(np.float32), TypeError, "uint8, 0 to 255, not float32"), (PICTURE.astype(np.uint16), TypeError, "uint16"),
    (PICTURE[:, :, 0], ValueError, "GRAY2BGR"), (np.zeros((4, 4, 1), np.uint8), ValueError, "GRAY2BGR"),
    (np.zeros((4, 4, 4), np.uint8), ValueError, "alpha"), (np.zeros((3, 40, 40), np.uint8), ValueError, "transpose"),
    (np.zeros((1, 4, 4, 3), np.uint8), ValueError, "one picture at a time"), (np.zeros(3, np.uint8), ValueError, "height"),
    (np.zeros((0, 40, 3), np.uint8), ValueError, "40x0 has no pixels"),
    (np.broadcast_to(np.zeros(3, np.uint8), (2, 32767, 3)), ValueError, "scale it down"),
])
def test_what_is_no_picture_is_refused_with_the_cure(made, image, kind, reported):
    with Tracker() as tracker:
        with pytest.raises(EdgeError, match=reported) as error:
            tracker(image)
        assert isinstance(error.value, kind) and "\n" not in str(error.value)
        assert isinstance(error.value, InputTypeError) == (kind is TypeError) and isinstance(error.value, InputError)
        assert len(tracker(PICTURE)) == 1


def test_a_picture_is_neither_changed_nor_kept_and_may_lie_in_memory_in_any_way(made):
    whole = np.random.RandomState(0).randint(0, 255, (96, 128, 3)).astype(np.uint8)
    kept = whole.copy()
    fixed = whole.copy()
    fixed.setflags(write=False)
    views = [whole, whole[::2, ::2], whole[::-1], whole[:, :, ::-1], np.asfortranarray(whole), fixed,
             np.ma.masked_array(whole)]
    with Tracker() as tracker:
        for view in views:
            tracker(view)
    for frame, view in zip(made[0].seen, views):
        assert frame.image.flags["C_CONTIGUOUS"] and not frame.image.flags.writeable and type(frame.image) is np.ndarray
        assert (frame.image == np.asarray(view)).all()
    assert (whole == kept).all() and whole.flags.writeable
    assert len({id(frame.image) for frame in made[0].seen}) == len(views)  # by which a GPU tells one from another


def test_a_buffer_that_is_filled_anew_is_another_picture(made):
    buffer = np.zeros((48, 64, 3), np.uint8)
    with Tracker() as tracker:
        first = tracker(buffer)[0].score
        buffer[:] = 255
        assert (first, tracker(buffer)[0].score) == (0.0, 1.0)
    assert made[0].seen[0].image is not made[0].seen[1].image


def test_after_close_it_says_so(made):
    tracker = Tracker()
    tracker(PICTURE)
    assert not tracker.closed
    tracker.close()
    tracker.close()
    assert tracker.closed and made[0].closed == 1
    for use in (lambda: tracker(PICTURE), lambda: tracker.open(), lambda: tracker.__enter__()):
        with pytest.raises(StateError, match="closed: make a new one"):
            use()


def test_a_tracker_that_saw_no_picture_has_opened_nothing(made):
    with Tracker():
        pass
    assert (made[0].opened, made[0].closed) == (0, 0)
    with Tracker().open() as tracker:
        assert made[1].opened == 1
        tracker(PICTURE)
    assert (made[1].opened, made[1].closed) == (1, 1)


def test_the_end_of_the_block_closes_whatever_ends_it(made):
    with pytest.raises(ZeroDivisionError):
        with Tracker() as tracker:
            tracker(PICTURE)
            raise ZeroDivisionError
    assert made[0].closed == 1


def test_one_that_nobody_holds_is_closed_silently(made):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracker = Tracker()
        tracker(PICTURE)
        del tracker
        gc.collect()
    assert made[0].closed == 1
    with pytest.raises(ConfigError):  # nothing is left of one that was never made
        Tracker(no_such=1)


def test_a_frame_that_cannot_be_looked_at_is_an_error_and_the_next_one_is_taken(made):
    with Tracker() as tracker:
        tracker(PICTURE)
        made[0].error = FrameError("too narrow")
        with pytest.raises(FrameError, match="too narrow"):
            tracker(PICTURE)
        assert len(tracker(PICTURE)) == 1 and not tracker.closed


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), ModelError("gone")], ids=repr)
def test_whatever_else_ends_a_picture_ends_the_tracker(made, error):
    tracker = Tracker()
    tracker(PICTURE)
    made[0].error = error
    with pytest.raises(type(error)):
        tracker(PICTURE)
    assert made[0].closed == 1 and tracker.closed
    with pytest.raises(StateError, match="interrupted in the middle of a picture: make a new one"):
        tracker(PICTURE)


def test_what_does_not_open_is_closed_and_can_be_tried_again(made, monkeypatch):
    tracker = Tracker()
    monkeypatch.setattr(Played, "open", lambda self: (_ for _ in ()).throw(ModelError("damaged")))
    with pytest.raises(ModelError, match="damaged"):
        tracker(PICTURE)
    assert made[0].closed == 1
    monkeypatch.undo()
    assert len(tracker(PICTURE)) == 1


def test_it_belongs_to_the_thread_of_its_first_picture(made):
    tracker = Tracker()
    assert len(in_thread(lambda: tracker(PICTURE))) == 1  # made here, used there
    with pytest.raises(StateError, match="one for each thread"):
        tracker(PICTURE)
    tracker.close()
    assert tracker.closed and made[0].closed == 0  # another thread's: it is let go, not closed


def test_two_threads_at_once_are_distinguished(made, monkeypatch):
    tracker, inside, go = Tracker(), threading.Event(), threading.Event()

    def process(self, packet):
        inside.set()
        go.wait(60)
        return packet

    monkeypatch.setattr(Played, "process", process)
    thread = threading.Thread(target=lambda: tracker(PICTURE))
    thread.start()
    assert inside.wait(60)
    for use in (lambda: tracker(PICTURE), tracker.close):
        with pytest.raises(StateError, match="at work in another thread"):
            use()
    go.set()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here")
def test_a_forked_process_makes_its_own(made):
    tracker = Tracker()
    tracker(PICTURE)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            tracker(PICTURE)
        except StateError as e:
            code = 0 if "forked" in str(e) else 2
        finally:
            stage = weakref.ref(made[0])
            closed = made.pop().closed
            tracker.close()
            gc.collect()
            os._exit(code + 4 * closed + 8 * (stage() is None))  # to free what waits for threads of the parent hangs
    assert os.waitpid(pid, 0)[1] == 0 and len(tracker(PICTURE)) == 1


@pytest.mark.parametrize("send", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_not_copied(made, send):
    with pytest.raises(StateError, match="make one there"):
        send(Tracker())


def test_what_there_is_to_tell_goes_to_the_log_or_to_who_asks(made, monkeypatch, caplog):
    reported = []

    def make_stages(config, stills, report, live, wanted, neutral):
        report("note", "a note")
        report("warning", "a warning")
        return Composed(Played())

    monkeypatch.setattr(chain, "make_stages", make_stages)
    with caplog.at_level(logging.INFO):
        Tracker()
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [("INFO", "a note"), ("WARNING", "a warning")]
    assert all(r.name.startswith("edge.") for r in caplog.records)
    Tracker(report=lambda *words: reported.append(words))
    assert reported == [("note", "a note"), ("warning", "a warning")] and len(caplog.records) == 2


def test_a_source_is_tracked_to_its_end(made):
    steps = list(Tracker.stream("portrait", max_frames=3, width=320))
    assert [(frame.index, round(frame.time_s, 3), frame.image.shape, len(faces)) for frame, faces in steps] == [
        (0, 0.0, (240, 320, 3), 1), (1, 0.033, (240, 320, 3), 1), (2, 0.067, (240, 320, 3), 1)]
    assert made[0].closed == 1 and not made[0].stills and not steps[0][0].image.flags.writeable


class Source:
    """A source that is played: what read() gives or raises, in order."""

    live, stills, name, warning, lost, fps, facts = True, False, "played", "", 0, None, None

    def __init__(self, *given):
        self.given, self.calls = list(given), []

    def open(self):
        self.calls.append("open")

    def read(self, timeout_s):
        if not self.given:
            raise EOFError("played")
        given = self.given.pop(0)
        if isinstance(given, BaseException):
            raise given
        return given

    def close(self):
        self.calls.append("close")


def playing(monkeypatch, *given):
    source = Source(*given)
    monkeypatch.setattr(streams, "make_source", lambda options: source)
    return source


def frame(seq):
    from edge.core.packet import Frame
    return Frame(seq, 100.0 + seq, float(seq), PICTURE)


def test_a_live_source_that_gives_nothing_can_be_noticed(made, monkeypatch):
    source = playing(monkeypatch, frame(0), None, None, frame(1))
    stream = Tracker.stream("0", timeout_s=0.0)
    assert [step[0] and step[0].index for step in stream] == [0, None, None, 1]
    assert made[0].live and stream.source is source and source.calls[0] == "open"
    playing(monkeypatch, frame(0), None, None, frame(1))
    assert [step[0].index for step in Tracker.stream("0")] == [0, 1]


@pytest.mark.parametrize("timeout_s", ["1", -1, float("nan"), True, [1.0]])
def test_a_timeout_that_cannot_be_is_told_before_the_source_is_opened(made, monkeypatch, timeout_s):
    playing(monkeypatch, frame(0))
    with pytest.raises(ConfigError, match="timeout_s is .*; allowed: a number from 0 to 1e.09 seconds, or None"):
        Tracker.stream("0", timeout_s=timeout_s)
    assert next(Tracker.stream("0", timeout_s=np.float32(1.0)))[0].index == 0 and not made[1:]


@pytest.mark.parametrize("make", [Tracker, Tracker.stream])
def test_a_report_that_cannot_be_called_is_told_at_once(made, make):
    with pytest.raises(ConfigError, match="report='log': it is a function of two texts"):
        make(report="log")


def test_a_loop_that_is_left_frees_the_device(made, monkeypatch):
    source = playing(monkeypatch, frame(0), frame(1))
    for _ in Tracker.stream("0"):
        break
    gc.collect()
    assert "close" in source.calls and made[0].closed == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError()], ids=repr)
def test_what_ends_a_step_ends_the_stream(made, monkeypatch, error):
    source = playing(monkeypatch, frame(0), error, frame(2))
    stream = Tracker.stream("0")
    next(stream)
    with pytest.raises(type(error)):
        next(stream)
    assert "close" in source.calls and made[0].closed == 1 and list(stream) == []


def test_a_frame_that_cannot_be_read_or_looked_at_is_left_out_and_counted(made, monkeypatch):
    playing(monkeypatch, frame(0), FrameError("torn"), frame(2), frame(3))
    reported = []
    stream = Tracker.stream("0", report=lambda *words: reported.append(words))
    assert next(stream)[0].index == 0
    made[0].error = FrameError("too narrow")
    assert [step[0].index for step in stream] == [3] and stream.dropped == 2
    assert reported == [("warning", "frame dropped: torn"), ("warning", "frame dropped: too narrow")]


def test_another_thread_can_end_a_stream(made, monkeypatch):
    source = playing(monkeypatch, frame(0))
    stream = Tracker.stream("0")
    next(stream)
    waiting = threading.Event()

    def read(timeout_s):
        waiting.set()
        if "close" in source.calls:
            raise EOFError("closed")

    source.read = read
    thread = threading.Thread(target=lambda: (waiting.wait(60), stream.close()))
    thread.start()
    assert list(stream) == []
    thread.join()
    assert isinstance(in_thread(lambda: list(stream)), list)


def test_a_strict_source_that_lost_frames_is_an_error_at_its_end(made, monkeypatch):
    playing(monkeypatch, frame(0)).lost = 2
    steps = Tracker.stream("film.mp4", strict=True)
    assert len(next(steps)) == 2
    with pytest.raises(EdgeError, match="2 frames of the source could not be read"):
        next(steps)
    assert list(steps) == []


def test_a_source_that_does_not_exist_is_reported_before_the_first_step(made):
    with pytest.raises(EdgeError, match="there is no portrat") as error:
        Tracker.stream("portrat")
    assert "portrait" in str(error.value) and portrait.FRAMES == 300
