"""SSI streams and annotations as they are written: evenly sampled, whole at any moment."""
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from fakes.ssi import POINTS, TESTS, annotated, ended, face, killed_writer, packet, written
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ConfigError
from edge.outputs.kinds import KINDS, OutputOptions, make_output
from edge.outputs.spec import parse_output, parse_outputs
from edge.outputs.ssi.streams import MOST_FILLED, Places, logit_share
from edge.ssi.annotation import COLOURS
from edge.ssi.header import read_header
from edge.ssi.stream import read_stream


@pytest.mark.parametrize("kind", ["ssi", "ssi-box"])
def test_the_values_are_those_of_the_face(kind, tmp_path):
    found, _ = written(tmp_path / "a.stream", [packet(i, i / 30.0, face()) for i in range(3)], kind)
    row = found.values[1]
    assert found.header.rate == 30.0 and len(found.values) == 3 and row.dtype == "<f4"
    if kind == "ssi":
        points = np.round(POINTS + 1, 2)
        assert row.shape == (937,) and row[-1] == np.float32(0.9) and found.header.media == "feature;face;landmarks;facemesh"
        assert np.allclose(row[:-1].reshape(468, 2) * (480, 640), points[:, 1::-1], atol=1e-4)
    else:
        assert row == pytest.approx([50 / 480.0, 70 / 640.0, 150 / 480.0, 170 / 640.0, 0.9])
        assert found.header.media == "feature;face;boundingbox"
    text = (tmp_path / "a.stream").read_text()
    assert 'size="640:480"' in text and 'num="3"' in text and 'to="0.100"' in text


def test_the_media_type_can_be_another(tmp_path):
    found, _ = written(tmp_path / "a.stream", [packet(0, 0.0)], keys="?media=feature;face;boundingbox;blazeface")
    assert found.header.media == "feature;face;boundingbox;blazeface"


def test_a_frame_without_a_face_repeats_the_last_values_at_confidence_0(tmp_path):
    frames = [packet(0, 0.0), packet(1, 1 / 30.0, face()), packet(2, 2 / 30.0), packet(3, 3 / 30.0, face())]
    boxes = written(tmp_path / "b.stream", frames)[0].values
    points = written(tmp_path / "p.stream", frames, "ssi")[0].values
    assert boxes[0].tolist() == [0.0, 0.0, 1.0, 1.0, 0.0] and not points[0].any()
    for values in (boxes, points):
        assert (values[:, -1] > 0).tolist() == [False, True, False, True]
        assert np.array_equal(values[2, :-1], values[1, :-1])


@pytest.mark.parametrize("far", [1e300, -1e39, float("nan")])
def test_a_face_that_is_nowhere_is_none(far, tmp_path):
    lost = face(box=(far, 50.0, 140.0, 150.0))._replace(landmarks=POINTS * far)
    for kind in ("ssi", "ssi-box", "ssi-box?square=false"):
        frames = [packet(0, 0.0, face()), packet(1, 1 / 30.0, lost)]
        found, _ = written(tmp_path / "a.stream", frames, kind.split("?")[0], kind[kind.index("?"):] if "?" in kind else "")
        assert np.array_equal(found.values[1, :-1], found.values[0, :-1]) and found.values[1, -1] == 0.0


@pytest.mark.parametrize("keys, followed", [("", [2, 2, 0, 3, 3, 2]), ("?face=3", [3, 0, 0, 3, 3, 0]),
                                            ("?face=first", [2, 2, 0, 3, 3, 2])])
def test_one_face_is_followed_as_long_as_it_is_there(keys, followed, tmp_path):
    here = [(2, 3), (2,), (), (3,), (2, 3), (2,)]
    frames = [packet(i, i / 30.0, *[face(n, n / 10.0) for n in ids]) for i, ids in enumerate(here)]
    values = written(tmp_path / "a.stream", frames, keys=keys)[0].values
    assert np.round(values[:, -1] * 10).tolist() == followed


def test_frames_that_a_camera_dropped_are_samples_at_confidence_0(tmp_path):
    times = [0.0, 1 / 30.0, 5 / 30.0, 6 / 30.0]
    found, counts = written(tmp_path / "a.stream", [packet(i, t, face()) for i, t in enumerate(times)])
    assert (found.values[:, -1] > 0).tolist() == [True, True, False, False, False, True, True] and counts == {}


def test_frames_that_come_more_often_than_samples_are_left_out(tmp_path):
    found, counts = written(tmp_path / "a.stream", [packet(i, i / 60.0, face()) for i in range(61)], fps=30.0)
    assert len(found.values) == 31 and counts == {"skipped": 30} and (found.values[:, -1] > 0).all()


@given(st.integers(1, 240), st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60))
def test_a_jitter_makes_no_hole_and_loses_no_frame(rate, jitter):
    places, taken = Places(rate), []
    for n, off in enumerate([0.0] + jitter):
        taken.append(places.place((n + off) / rate))
        places.next = taken[-1] + 1
    assert taken == list(range(len(jitter) + 1))


@given(st.sampled_from([10.0, 29.97, 30.0]), st.lists(st.floats(0.0, 2.0), min_size=1, max_size=30))
def test_a_sample_stands_at_its_time(rate, steps):
    places, time_s = Places(rate), 0.0
    for step in [0.0] + steps:
        time_s += step
        before, place = places.next, places.place(time_s)
        if place is None:
            assert before - 1 + 0.25 >= time_s * rate - 1e-9  # the sample of its time is there
        else:
            assert place >= before and abs(place - time_s * rate) < 0.7501
            places.next = place + 1


def test_a_rate_that_is_a_little_off_loses_no_more_than_a_sample_now_and_then(tmp_path):
    for actual in (29.9, 30.1):
        found, counts = written(tmp_path / "a.stream", [packet(i, i / actual, face()) for i in range(600)])
        holes = int((found.values[:, -1] == 0).sum())
        assert holes + counts.get("skipped", 0) <= 3 and abs(len(found.values) - 600 * 30.0 / actual) <= 2


def test_a_very_long_gap_is_no_gigabytes_but_a_chunk_of_its_own(tmp_path):
    far_s = 1e6
    times = [0.0, far_s, far_s + 0.1]
    found, _ = written(tmp_path / "a.stream", [packet(i, time_s, face()) for i, time_s in enumerate(times)])
    assert [(chunk.from_s, chunk.num) for chunk in found.header.chunks] == [(0.0, 1), (far_s, 4)]
    assert found.row_at(far_s + 0.1) == 4 and found.row_at(500.0) is None
    found, _ = written(tmp_path / "b.stream", [packet(0, 0.0), packet(1, MOST_FILLED / 30.0)])
    assert len(found.header.chunks) == 1 and len(found.values) == MOST_FILLED + 1


def test_pictures_are_samples_by_their_number(tmp_path):
    frames = [packet(0, 0.0, face(), file="a.jpg"), packet(2, 0.0, face(), file="c.jpg")]
    assert (written(tmp_path / "a.stream", frames)[0].values[:, -1] > 0).tolist() == [True, False, True]


@pytest.mark.parametrize("fps, rate", [(None, 30.0), (float("nan"), 30.0), (29.97002997, 29.97), (1e-9, 0.001)])
def test_the_rate_is_that_of_the_source(fps, rate, tmp_path):
    assert written(tmp_path / "a.stream", [packet(0, 0.0, face())], fps=fps)[0].header.rate == rate


@pytest.mark.parametrize("logit", [0.5, 12.0, 30.0])
def test_the_confidence_of_discover_is_a_hundredth_of_the_logit(logit, tmp_path):
    score = 1.0 / (1.0 + math.exp(-logit))
    found, _ = written(tmp_path / "a.stream", [packet(0, 0.0, face(score=score))], "ssi", "?confidence=logit")
    assert found.values[0, -1] == pytest.approx(logit / 100.0, abs=2e-4)
    plain, _ = written(tmp_path / "b.stream", [packet(0, 0.0, face(score=score))], "ssi")
    assert np.array_equal(plain.values[0, :-1], found.values[0, :-1])


def test_a_score_of_none_and_of_all_has_a_share():
    assert logit_share(1.0) == pytest.approx(0.367, abs=1e-3) and logit_share(0.2) == 0.0 == logit_share(0.0)
    assert logit_share(float("nan")) is None


@pytest.mark.parametrize("text, words", [
    ("ssi:a.txt", "must end in .stream"), ("ssi:-", "must end in .stream"), ("ssi-events:a.stream", "must end in .annotation"),
    ("ssi:a.stream?face=last", "first, or the id of a face"), ("ssi-box:a.stream?confidence=logit", "has no option"),
    ("ssi-events:a.annotation?event=wink", "one of blink"), ("a.stream", "did you mean ssi:a.stream"),
])
def test_what_is_no_such_output_is_a_line(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_output(text)


def test_two_outputs_do_not_write_over_each_others_data():
    for other in ("jsonl:a.stream~", "ssi-box:a.stream", "csv:./a.stream"):
        with pytest.raises(ConfigError, match="go to the same place"):
            parse_outputs(["ssi:a.stream", other])
    assert len(parse_outputs(["ssi:a.stream", "ssi-box:b.stream", "ssi-events:a.annotation"])) == 3


def test_what_was_there_stays_until_a_frame_comes(tmp_path):
    for name in ("a.stream", "a.stream~"):
        (tmp_path / name).write_text("older")
    output = make_output(parse_output("ssi:{}".format(tmp_path / "a.stream")), OutputOptions(True, False, True, lambda: 30.0))
    output.open()
    output.close()
    assert [(tmp_path / name).read_text() for name in sorted(os.listdir(str(tmp_path)))] == ["older", "older"]
    assert len(written(tmp_path / "a.stream", [packet(0, 0.0, face())])[0].values) == 1


def test_a_full_disk_leaves_whole_samples_and_says_so(tmp_path):
    program = """
import resource, signal, sys
sys.dont_write_bytecode = True  # which the limit would cut off
sys.path[:0] = [{tests!r}, {root!r}]
from edge.core.errors import OutputError
from fakes.ssi import *
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    written({path!r}, [packet(i, i / 30.0, face()) for i in range(9)], "ssi")
except OutputError as e:
    print(e)
"""
    path = str(tmp_path / "a.stream")
    done = subprocess.run([sys.executable, "-c", program.format(tests=TESTS, root=os.path.dirname(TESTS), path=path)],
                          stdout=subprocess.PIPE, universal_newlines=True)
    assert "File too large" in done.stdout
    assert os.path.getsize(path + "~") == 2 * 937 * 4
    assert read_stream(path).values.shape == (2, 937)


def test_a_sample_has_its_room_before_it_is_written(tmp_path, monkeypatch):
    sizes, write = [], os.write

    def watched(fd, data):
        sizes.append(os.fstat(fd).st_size)
        return write(fd, data[:2000])  # as far as the kernel came when the kill reached it

    monkeypatch.setattr(os, "write", watched)
    written(tmp_path / "a.stream", [packet(i, i / 30.0, face()) for i in range(3)], "ssi")
    assert sizes == [937 * 4 * row for row in (1, 1, 2, 2, 3, 3)]


def test_a_killed_writer_leaves_whole_samples(tmp_path):
    killed = str(tmp_path / "a.stream")
    killed_writer(killed)
    assert 'num="0"' in open(killed).read() and read_header(killed).dim == 937
    found = read_stream(killed)
    assert len(found.values) >= 20 and not found.half and os.path.getsize(killed + "~") % (937 * 4) == 0


def test_events_that_are_over_are_lines_sorted_and_one_at_a_time(tmp_path):
    events = [ended("blink", 2.0, 2.15), ended("nod", 1.0, 3.0), ended("blink", 0.5, 0.6, 2),
              ended("presence", 0.0, 4.0, None, cut=True)]
    during, after = annotated(tmp_path / "e.annotation", events)
    assert during[0] == ["2.000;2.150;0;0.88", "1.000;3.000;4;0.88", "0.500;0.600;0;0.88", "0.000;4.000;8;0.88"]
    assert 'size="0"' in during[1] and 'size="7"' in after[1]
    assert after[0] == ["0.000;0.500;8;0.88", "0.500;0.600;0;0.88", "0.600;1.000;8;0.88", "1.000;2.000;4;0.88",
                        "2.000;2.150;0;0.88", "2.150;3.000;4;0.88", "3.000;4.000;8;0.88"]
    assert "still going at the end: presence 0.000 to 4.000" in after[1] and "still going" not in during[1]


@pytest.mark.parametrize("keys, lines", [
    ("?event=nod", ["1.000;3.000;0;0.88"]), ("?event=blink", ["0.500;0.600;0;0.88", "2.000;2.150;0;0.88"]),
    ("?event=blink&face=2", ["0.500;0.600;0;0.88"]), ("?event=yawn", []),
])
def test_one_kind_has_a_tier_of_its_own(keys, lines, tmp_path):
    events = [ended("blink", 2.0, 2.15), ended("nod", 1.0, 3.0), ended("blink", 0.5, 0.6, 2)]
    _, (found, header) = annotated(tmp_path / "e.annotation", events, keys)
    assert found == lines and 'size="{}"'.format(len(lines)) in header and header.count("<item ") == 1
    assert 'scheme name="{}"'.format(keys[7:].split("&")[0]) in header


def test_every_kind_of_event_has_a_label():
    told = open(os.path.join(os.path.dirname(TESTS), "docs", "events.md"), encoding="utf-8").read()
    table = told.partition("| event |")[2].partition("\n\n")[0]
    kinds = [name.strip(" `") for line in table.splitlines()[2:] for name in line.split("|")[1].split(",")
             if name.strip().startswith("`")]
    assert sorted(kinds) == sorted(COLOURS) == sorted(KINDS["ssi-events"].keys["event"].rule.choices)
