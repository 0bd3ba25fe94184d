"""DISCOVER's own reader takes what is written here, also of a writer that was killed, and its files are read here."""
import numpy as np
import pytest
from fakes.ssi import annotated, ended, face, killed_writer, packet, written
from hypothesis import given, settings
from hypothesis import strategies as st
from peer_programs import python_peer

from edge.ssi.annotation import COLOURS
from edge.ssi.boxes import Boxes
from edge.ssi.header import DATA, Chunk, Header, header_text, read_header


@pytest.fixture(scope="module")
def discover():
    with python_peer("discover", "discover_reader.py") as peer:
        def ask(**words):
            count = len(peer.got("answer"))
            peer.tell(words)
            answer = peer.wait_for("answer", count + 1)
            assert not isinstance(answer, str), answer
            return answer
        yield ask


def test_both_streams_are_read(discover, tmp_path):
    frames = [packet(i, i / 25.0, *([face()] if i % 4 else [])) for i in range(50)]
    for kind, dim in (("ssi", 937), ("ssi-box", 5)):
        path = tmp_path / (kind + ".stream")
        ours = written(path, frames, kind, fps=25.0)[0]
        found = discover(read=str(path))
        assert found["shape"] == [50, dim] and (found["rate"], found["count"], found["duration_ms"]) == (25.0, 50, 2000)
        assert np.array_equal(np.array(found["values"], "<f4"), ours.values)


def test_a_stream_of_a_killed_writer_is_read(discover, tmp_path):
    killed_writer(str(tmp_path / "a.stream"))
    found = discover(read=str(tmp_path / "a.stream"))
    assert found["shape"][0] >= 20 and found["shape"][1] == 937 and found["count"] == 0
    assert np.isfinite(found["values"]).all()


def test_a_stream_with_a_pause_is_read(discover, tmp_path):
    written(tmp_path / "a.stream", [packet(0, 0.0, face()), packet(1, 1e6, face())])
    assert discover(read=str(tmp_path / "a.stream"))["shape"] == [2, 5]


def test_a_tier_is_read_and_says_at_each_moment_one_thing(discover, tmp_path):
    path = tmp_path / "e.annotation"
    annotated(path, [ended("blink", 2.0, 2.15), ended("nod", 1.0, 3.0), ended("presence", 0.0, 4.0, None, cut=True)])
    found = discover(read=str(path))
    assert found["names"] == list(COLOURS) and found["colours"] == list(COLOURS.values())
    assert [row[:3] for row in found["rows"]] == [[0, 1000, 8], [1000, 2000, 4], [2000, 2150, 0], [2150, 3000, 4],
                                                   [3000, 4000, 8]]
    assert found["shares"] == pytest.approx([0.15 / 4, 0, 0, 0, 1.85 / 4, 0, 0, 0, 0.5, 0])  # the last: no label
    assert "still going at the end: presence" in found["description"]


@pytest.mark.parametrize("events", [[], [ended("blink", 2.0, 2.15)]])
def test_a_tier_of_one_event_or_none_is_read(events, discover, tmp_path):
    annotated(tmp_path / "e.annotation", events, "?event=blink")
    found = discover(read=str(tmp_path / "e.annotation"))
    assert [row[:3] for row in found["rows"]] == [[2000, 2150, 0]] * len(events) and found["names"] == ["blink"]


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_boxes_that_discover_writes_are_read_here(ascii, kind, discover, tmp_path):
    path = str(tmp_path / "b.stream")
    rows = [[-0.1, 0.2, 0.5, 1.6, 0.9], [0.1, 0.2, 0.5, 0.6, 0.0], [0.0, 0.0, 1.0, 1.0, 0.25]]
    discover(write=path, values=rows, rate=29.97, ascii=ascii, type=kind)
    boxes = Boxes(path)
    assert np.allclose(boxes.stream.values, rows) and boxes.stream.header.rate == 29.97
    assert boxes.box(0) == pytest.approx((0.2, -0.1, 1.6, 0.5, 0.9)) and boxes.box(1) is None and len(boxes) == 3
    assert read_header(path).media == "feature;face;boundingbox;blazeface"


@settings(max_examples=20)
@given(rate=st.floats(0.5, 240.0), dim=st.integers(1, 40), count=st.integers(1, 30), finished=st.booleans())
def test_any_stream_of_ours_is_theirs(rate, dim, count, finished, discover, tmp_path_factory):
    path, rate = str(tmp_path_factory.mktemp("ssi") / "a.stream"), round(rate, 3)
    values = np.random.RandomState(count).uniform(-2, 2, (count, dim)).astype("<f4")
    with open(path, "wb") as f:
        f.write(header_text(Header(rate, dim, (Chunk(0.0, count if finished else 0),), media="feature;<&\">")))
    with open(path + DATA, "wb") as f:
        f.write(values.tobytes())
    found = discover(read=path)
    assert np.array_equal(np.array(found["values"], "<f4"), values) and found["rate"] == rate
