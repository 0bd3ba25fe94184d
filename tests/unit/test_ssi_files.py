"""SSI's files: what is written is read back, and what is wrong is one line that says so."""
import os
import random
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ssi.annotation import Segment, one_at_a_time
from edge.ssi.boxes import Boxes, square
from edge.ssi.header import Chunk, Header, elements, header_text, read_header
from edge.ssi.stream import read_stream

BOX = [0.1, 0.2, 0.5, 0.6, 0.9]
HEAD = ('<stream ssi-v ="2"><info ftype="{form}" sr="{sr}" dim="{dim}" byte="4" type="{type}" delim="{delim}" />'
        '<meta type="feature;face;boundingbox;blazeface" size="640:480" />'
        '<time ms="0" local="x" /><chunk from="0.000" to="1.000" byte="0" num="{num}" /></stream>')


def pair(folder, data, **fields):
    """The path of a stream with this data, and a header with these fields."""
    path = folder / "b.stream"
    head = dict({"form": "BINARY", "sr": "30.000", "dim": 5, "type": "FLOAT", "delim": " ", "num": 0}, **fields)
    path.write_text(head.pop("xml", HEAD).format(**head))
    if data is not None:
        (folder / "b.stream~").write_bytes(data)
    return str(path)


def rows(count, kind="<f4"):
    return np.array([BOX] * count, kind).tobytes()


@given(rate=st.floats(0.001, 1000.0), dim=st.integers(1, 3), nums=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory, rate, dim, nums):
    path = str(tmp_path_factory.mktemp("ssi") / "a.stream")
    rate = max(0.001, round(rate, 3))
    chunks = tuple(Chunk(1000.0 * i, num) for i, num in enumerate(nums))
    header = Header(rate, dim, chunks, media='a "b" <c>&')
    values = np.arange(sum(nums) * dim, dtype="<f4").reshape(-1, dim)
    with open(path, "wb") as f:
        f.write(header_text(header, [("size", "1:2")]))
    with open(path + "~", "wb") as f:
        f.write(values.tobytes())
    found = read_stream(path, dim)
    assert found.header == header and np.array_equal(found.values, values) and not found.half
    assert found.row_at(1000.0 * (len(nums) - 1)) == sum(nums[:-1]) and found.row_at(-1e6) is None


@pytest.mark.parametrize("kind, name", [("<f4", "FLOAT"), ("<f8", "DOUBLE"), ("<i2", "SHORT"), ("<i8", "LONG")])
@pytest.mark.parametrize("extra", [b"", b"abc"])
def test_while_it_is_written_whole_samples_are_taken(kind, name, extra, tmp_path):
    found = read_stream(pair(tmp_path, rows(3, kind) + extra, type=name), 5)
    assert found.values.shape == (3, 5) and found.half == bool(extra)
    assert np.array_equal(found.values, np.array([BOX] * 3, kind))


@pytest.mark.parametrize("delim, end, num, count", [
    (" ", "\n", 2, 2), (";", "\n", 0, 2), (",", "\r\n", 2, 2), (" ", "", 0, 1), (" ", "", 2, 2)])
def test_numbers_as_text(delim, end, num, count, tmp_path):
    text = (end or "\n").join([delim.join("{:.18e}".format(v) for v in BOX)] * 2) + end
    found = read_stream(pair(tmp_path, text.encode(), form="ASCII", delim=delim, num=num), 5)
    assert np.allclose(found.values, [BOX] * count) and found.half == (count == 1)


BOMB = ('<?xml version="1.0"?><!DOCTYPE stream [<!ENTITY a "aaaaaaaaaa">'
        + "".join('<!ENTITY a{} "{}">'.format(i, "&a{};".format(i - 1 if i else "") * 10) for i in range(9))
        + ']><stream>&a8;</stream>')


@pytest.mark.parametrize("fields, data, words", [
    ({"num": 3}, rows(2), "counts 3 samples, and there are 2"), ({"num": 2}, rows(3), "counts 2 samples, and there are 3"),
    ({"num": 2}, rows(2) + b"x", "and a part of one"), ({"num": -1}, rows(1), "num is '-1'"),
    ({"num": "nan"}, rows(1), "num is 'nan'"), ({"num": "1.5"}, rows(1), "num is '1.5'"), ({"num": "1e400"}, b"", "num is"),
    ({"sr": "0.000"}, rows(1), "sr is '0.000'"), ({"sr": "nan"}, rows(1), "sr is 'nan'"), ({"sr": "x"}, rows(1), "sr is 'x'"),
    ({"sr": "-30"}, rows(1), "sr is '-30'"), ({"dim": 937}, rows(1), "937 values a sample, not 5"),
    ({"dim": 0}, rows(1), "dim is '0'"), ({"type": "STRUCT"}, rows(1), "type is 'STRUCT'"),
    ({"form": "BIN_LZ4"}, rows(1), "ftype is 'BIN_LZ4'"), ({}, None, "b.stream~, is not there"),
    ({"form": "ASCII"}, b"1 2 3 4 5\n1 2 3\n", "line 2 of its data has 3 values, not 5"),
    ({"form": "ASCII"}, b"1 2 3 4 x\n", "could not convert"), ({"form": "ASCII"}, b"x" * 9999 + b" 1 2 3 4\n", "line 1 of"),
    ({"form": "ASCII"}, b"\xff\xfe\n", "codec can't decode"),
    ({"xml": BOMB}, rows(1), "declares a document type"), ({"xml": "no XML"}, rows(1), "it is no XML"),
    ({"xml": ""}, rows(1), "it is no XML"), ({"xml": "<trainer/>"}, rows(1), "no header of an SSI stream"),
    ({"xml": "<stream><chunk/></stream>"}, rows(1), "it has no info"),
    ({"xml": "<stream ssi-v='2'><info/></stream>"}, rows(1), "it has no chunk"),
    ({"xml": "<a>" * 100000}, rows(1), "it is no XML"), ({"xml": "<stream a='" + "x" * (1 << 20) + "'/>"}, b"", "bytes"),
])
def test_a_wrong_file_is_a_line(fields, data, words, tmp_path):
    began = time.monotonic()
    with pytest.raises(ValueError) as caught:
        Boxes(pair(tmp_path, data, **fields))
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 250
    assert time.monotonic() - began < 30.0


def test_an_entity_of_a_strange_encoding_is_found_too():
    for encoding in ("utf-16", "utf-8-sig"):
        with pytest.raises(ValueError, match="document type"):
            elements(BOMB.replace('<?xml version="1.0"?>', "").encode(encoding))
    with pytest.raises(ValueError):
        elements(b'<?xml version="1.0" encoding="no-such"?><stream/>')


def test_ten_gigabytes_are_not_read(tmp_path):
    path = pair(tmp_path, b"")
    with open(path + "~", "wb") as f:
        f.truncate(10 << 30)
    with pytest.raises(ValueError, match="its data are 10240 MB; at most 64 MB are read"):
        Boxes(path)


@pytest.mark.parametrize("name", ["b.stream", "b.stream~"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_or_a_pipe_is_no_file_and_waits_for_nobody(name, make, tmp_path):
    path = pair(tmp_path, rows(1))
    os.remove(str(tmp_path / name))
    make(str(tmp_path / name))
    with pytest.raises((OSError, ValueError)):
        Boxes(path)


def test_bytes_at_random_are_boxes_or_a_line(tmp_path):
    dice = random.Random(3)
    text = HEAD.format(form="ASCII", sr=30, dim=5, type="FLOAT", delim=" ", num=0).encode()
    for _ in range(300):
        damaged = bytearray(text)
        for _ in range(dice.randrange(4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        (tmp_path / "b.stream").write_bytes(bytes(damaged))
        (tmp_path / "b.stream~").write_bytes(bytes(dice.choice(b"0123456789. \n-ne") for _ in range(dice.randrange(60))))
        try:
            assert len(Boxes(str(tmp_path / "b.stream"))) >= 0
        except ValueError as e:
            assert str(e)


def test_a_box_is_there_where_its_numbers_say_so(tmp_path):
    told = np.array([BOX, BOX[:4] + [0.0], BOX[:4] + [7.0], [np.nan] + BOX[1:], [0.5, 0.2, 0.1, 0.6, 1.0], BOX[:4] + [-1.0],
                     [-0.5, -0.2, 1.5, 1.2, 0.5]], "<f4")
    boxes = Boxes(pair(tmp_path, told.tobytes()))
    found = [boxes.box(row) for row in range(len(told))]
    assert [one is not None for one in found] == [True, False, True, False, False, False, True]
    assert found[0] == pytest.approx((0.2, 0.1, 0.6, 0.5, 0.9)) and found[2].confidence == 1.0
    assert found[6] == pytest.approx((-0.2, -0.5, 1.2, 1.5, 0.5))
    assert (boxes.odd, boxes.box(99), boxes.box(-1), boxes.box(None)) == (1, None, None, None)


def test_a_square_is_one_of_pixels():
    y0, x0, y1, x1, confidence = square((100.0, 50.0, 140.0, 150.0), 640, 480, 0.5)
    assert ((x1 - x0) * 640, (y1 - y0) * 480, confidence) == (pytest.approx(100.0), pytest.approx(100.0), 0.5)
    assert ((x0 + x1) * 320, (y0 + y1) * 240) == (pytest.approx(120.0), pytest.approx(100.0))


def test_a_header_is_read_as_others_write_it(tmp_path):
    found = read_header(pair(tmp_path, None, num=7))
    assert found == Header(30.0, 5, (Chunk(0.0, 7),), media="feature;face;boundingbox;blazeface")


TIMES = st.tuples(st.integers(0, 40), st.integers(0, 15), st.integers(0, 3))


@given(st.lists(TIMES, max_size=12))
def test_at_each_moment_stands_the_shortest(told):
    segments = [Segment(start, start + lasts, label, 0.5) for start, lasts, label in told]
    found = one_at_a_time(segments)
    assert found == sorted(found) and all(one.from_ms < one.to_ms for one in found)
    assert all(one.to_ms <= other.from_ms for one, other in zip(found, found[1:]))
    for moment in range(60):
        here = [s for s in segments if s.from_ms <= moment < s.to_ms]
        shown = [s.label for s in found if s.from_ms <= moment < s.to_ms]
        shortest = min((s.to_ms - s.from_ms for s in here), default=None)
        assert len(shown) == bool(here)
        assert not here or shown[0] in [s.label for s in here if s.to_ms - s.from_ms == shortest]


def test_what_overlaps_nothing_stays_whole():
    apart = [Segment(0, 10, 1, 0.5), Segment(10, 20, 1, 0.25), Segment(40, 90, 0, 1.0)]
    assert one_at_a_time(apart[::-1]) == apart
    assert apart[2].line == "0.040;0.090;0;1.00\n"


@pytest.mark.parametrize("text", [b"\n" * (4 << 20), b"1 " * (2 << 20) + b"\n"], ids=["lines", "values"])
def test_text_of_many_lines_or_values_takes_no_memory_for_each(text, tmp_path):
    path = pair(tmp_path, text, form="ASCII", num=0)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="line 1 of its data has (0|more) values, not 5"):
            Boxes(path)
        assert tracemalloc.get_traced_memory()[1] < 6 * len(text)
    finally:
        tracemalloc.stop()
