"""A recording as a source: its numbers, times, faces and events, whatever part of it is played and how fast."""
import json
import time

import numpy as np
import pytest
from fakes.recordings import ALL, LAST, records, replayed, without_file, written
from patience import PATIENCE_S
from sources_clips import drain

from edge.core.errors import ConfigError, SourceError
from edge.core.packet import END, START, Packet
from edge.outputs.record import encode
from edge.sources.choose import make_source
from edge.sources.spec import SourceOptions, is_replay
from edge.stages.replay import Replayed


@pytest.fixture
def path(tmp_path):
    return replayed(tmp_path / "run.nfr", records() + [LAST])


def source(path, **options):
    return make_source(SourceOptions(spec=path, **options))


def through(frames):
    """Records of frames that the replay's stage has seen."""
    stage = Replayed()
    return [encode(stage.process(Packet(frame)), frame.captured_at, ALL) for frame in frames]


def same(record, *more):
    return {key: value for key, value in without_file(record).items() if key not in ("captured_at", "age_ms") + more}


def untimed(events):
    return [same(event) for event in events]


@pytest.mark.parametrize("spelled", ["record:{}", "RECORD:{}", "{}"])
def test_a_recording_gives_every_frame_as_it_was(path, spelled):
    frames = drain(source(spelled.format(path)))
    wanted = records()
    assert [frame.seq for frame in frames] == [record["frame"] for record in wanted]
    for found, record in zip(through(frames), wanted):
        last = LAST["events"] if record is wanted[-1] else []
        assert same(found, "events") == same(record, "events")
        assert untimed(found["events"]) == untimed(record["events"] + last)


def test_its_pictures_are_black_and_cost_no_memory(path):
    frames = drain(source(path))
    assert all(frame.image.shape == (480, 640, 3) and not frame.image[::7, ::7].any() for frame in frames)
    assert all(frame.image.strides == (0, 0, 0) or frame.image.strides[:2] == (0, 0) for frame in frames)
    with pytest.raises(ValueError):
        frames[0].image[0, 0] = 1


def test_it_is_known_by_what_it_begins_with_too(path, tmp_path):
    other = tmp_path / "clip.mp4"
    (tmp_path / "run.nfr").rename(other)
    assert is_replay(str(other)) and len(drain(source(str(other)))) == len(records())
    assert is_replay("record:gone") and is_replay("gone.nfr") and not is_replay("gone.mp4") and not is_replay(None)


def test_what_made_it_is_known_before_it_is_opened(tmp_path):
    made = source(replayed(tmp_path / "a.nfr", fps=12.5, stills=True))
    assert made.facts["nanoface"] == "0.1.0" and made.fps == 12.5 and made.stills and not made.live
    made.open()
    assert made.frame_count == len(records())
    made.close()


@pytest.mark.parametrize("facts", [{"fps": None}, {"fps": "30"}, {"fps": 0}, {"fps": 1e9}, {"fps": True}])
def test_a_rate_that_is_not_known_is_that_of_its_frames(tmp_path, facts):
    assert 0.01 <= source(replayed(tmp_path / "a.nfr", **facts)).fps <= 1000


def test_a_part_of_it_begins_at_0(path):
    frames = drain(source(path, start_s=2.0, end_s=3.0))
    assert [frame.seq for frame in frames] == list(range(30)) and frames[0].time_s == 0.0
    assert frames[-1].time_s == pytest.approx(29 / 30.0, abs=1e-5)
    assert {face.id for frame in frames for face in frame.recorded.faces} == {1}


def test_another_rate_counts_by_the_numbers(path):
    frames = drain(source(path, fps=10))
    assert [frame.time_s for frame in frames] == [frame.seq / 10.0 for frame in frames]


def test_a_second_pass_goes_on_with_new_numbers(path):
    looped, count = source(path, loop=True), len(records())
    looped.open()
    frames = [looped.read(1.0) for _ in range(2 * count)]
    looped.close()
    assert all(frame.seq < later.seq and frame.time_s < later.time_s for frame, later in zip(frames, frames[1:]))
    first, second = through(frames)[:count], through(frames)[count:]
    for one, other in zip(first, second):
        assert [face["id"] + 4 for face in one["faces"]] == [face["id"] for face in other["faces"]]
        for told, again in zip(one["events"], other["events"]):
            assert again["id"] == told["id"] + 2 and again["face"] == told["face"] + 4
            assert again["frame"] - told["frame"] == 140 if "frame" in told else "frame" not in again
            assert again["start_s"] - told["start_s"] == pytest.approx(140 / 30.0, abs=1e-4)


def test_at_its_own_pace_frames_are_dropped_and_no_event_is(tmp_path):
    some = records()[:40]
    made = source(replayed(tmp_path / "run.nfr", some + [LAST]), pace="realtime")
    made.open()
    began, frames = time.monotonic(), []
    while True:
        try:
            frame = made.read(0.1)
        except EOFError:
            break
        if frame is not None:
            frames.append(frame)
            time.sleep(0.15)  # slower than the frames come
        assert time.monotonic() - began < PATIENCE_S
    made.close()
    assert made.live and 1 < len(frames) < len(some) and time.monotonic() - began > 1.2
    told = [event for record in through(frames) for event in record["events"]]
    wanted = [event for record in some + [LAST] for event in record["events"]]
    assert untimed(told) == untimed(wanted)


def test_what_goes_on_when_a_part_ends_is_ended(path):
    stage = Replayed()
    for frame in drain(source(path, end_s=1.0)):
        packet = stage.process(Packet(frame))
    ends = encode(packet._replace(events=stage.last_events()), 0.0, ALL)["events"]
    assert [(end["event"], end["phase"], end["cut"]) for end in ends] == [("face", END, True)]
    assert ends[0]["end_s"] == pytest.approx(packet.frame.time_s) and not stage.last_events()
    whole = Replayed()
    for frame in drain(source(path)):
        whole.process(Packet(frame))
    assert whole.last_events() == () and START == "start"


@pytest.mark.parametrize("options, told", [
    ({"flip": "both"}, "--flip is for pictures"), ({"rotate": 90}, "--rotate is for pictures"),
    ({"width": 320}, "--size is for pictures"), ({"height": 320}, "--size is for pictures"),
])
def test_what_only_pictures_can_be_is_refused(path, options, told):
    with pytest.raises(ConfigError, match=told):
        source(path, **options)


@pytest.mark.parametrize("spec, told", [
    ("record:", "the file is missing; write it as record:run.nfr"), ("record: ", "the file is missing"),
    ("record:gone.nfr", "there is no gone.nfr"), ("record:{}", "is a folder"), ("record:/dev/null", "a pipe or a device"),
    ("record:a\0b", "no file can be called so"),
])
def test_a_recording_that_is_not_there_is_one_line(tmp_path, spec, told):
    with pytest.raises(SourceError, match=told):
        source(spec.format(tmp_path))


def test_one_that_was_cut_off_is_played_and_says_so(tmp_path):
    pieces = written(records()[:9])
    (tmp_path / "a.nfr").write_bytes(b"".join(pieces)[:-len(pieces[-1]) - 5])
    made = source(str(tmp_path / "a.nfr"))
    assert len(drain(made)) == 8 and "cut off behind frame 10" in made.warning and made.lost == 1
    (tmp_path / "a.nfr").write_bytes(b"".join(pieces[:-1]))
    made = source(str(tmp_path / "a.nfr"))
    assert len(drain(made)) == 9 and "cut off behind frame 11" in made.warning and made.lost == 0


def test_a_damaged_one_ends_where_it_is_damaged(tmp_path):
    pieces = written(records()[:9])
    pieces[5] = pieces[5][:40] + b"?" + pieces[5][41:]
    (tmp_path / "a.nfr").write_bytes(b"".join(pieces))
    made = source(str(tmp_path / "a.nfr"))
    made.open()
    seqs = [made.read(1.0).seq for _ in range(3)]
    with pytest.raises(SourceError, match="a.nfr is damaged behind frame 5: its checksum is another one"):
        for _ in range(9):
            seqs.append(made.read(1.0).seq)
    made.close()
    assert seqs == [0, 1, 2, 5]


def test_one_without_a_frame_is_no_source(tmp_path):
    (tmp_path / "a.nfr").write_bytes(b"".join(written([])))
    with pytest.raises(SourceError, match="a.nfr: no picture in it can be read"):
        source(str(tmp_path / "a.nfr")).open()


def test_a_frame_that_claims_too_many_pixels_is_refused(tmp_path):
    huge = dict(records()[0], size=[30000, 30000])
    with pytest.raises(SourceError, match="frame 0 has 30000x30000 pixels"):
        source(replayed(tmp_path / "a.nfr", [huge])).open()


def test_the_numbers_of_a_frame_are_finite_json(path):
    assert all(json.loads(json.dumps(record, allow_nan=False)) == record for record in through(drain(source(path))))
    assert np.isfinite([frame.time_s for frame in drain(source(path))]).all()
