"""A recorded run as bytes: what is written is read back, and nothing in a file can do more than end the reading."""
import io
import json
import math
import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from fakes.recordings import ALL, LAST, packets, records, without_file, written

from edge.core.errors import SourceError
from edge.core.packet import Packet
from edge.core.parts import SHAPES, Parts
from edge.outputs.record import encode
from edge.recording import format as layout
from edge.recording.reading import Reader


def read(data):
    reader = Reader(io.BytesIO(data), "a.nfr")
    found = []
    try:
        while True:
            found.append(reader.next())
    except EOFError:
        return reader, found


def as_lists(value):
    if isinstance(value, dict):
        return {key: as_lists(one) for key, one in value.items()}
    if isinstance(value, list):
        return [as_lists(one) for one in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def test_what_was_written_is_read_back_and_no_path_is_in_it():
    wanted = [without_file(record) for record in records()]
    data = b"".join(written())
    reader, found = read(data)
    assert [as_lists(one.record) for one in found] == wanted and not reader.cut
    assert reader.totals == (len(wanted), pytest.approx(139 / 30.0, abs=1e-6)) and reader.facts == {"nanoface": "0.1.0"}
    assert b"anna" not in b"".join(json.dumps(as_lists(one.record)).encode() for one in found)


def test_arrays_and_lists_are_written_alike():
    arrays = [encode(packet, packet.frame.captured_at + 0.01, ALL, as_lists=False) for packet in packets()]
    assert written(arrays) == written()


@pytest.mark.parametrize("parts", [Parts(*bits) for bits in np.ndindex(2, 2, 2)], ids=str)
def test_a_replay_gives_each_reader_what_the_run_gave_it(parts):
    parts = Parts(*map(bool, parts))
    _, found = read(b"".join(written()))
    for packet, one in zip(packets(), found):
        now = packet.frame.captured_at + 0.01
        wanted = without_file(encode(packet, now, parts))
        replayed = encode(Packet(packet.frame._replace(file="", recorded=one), (), (), packet.events), now, parts)
        assert replayed == wanted


def test_the_events_behind_the_last_frame_come_with_it():
    _, found = read(b"".join(written(records() + [LAST])))
    assert found[-1].record["events"] == LAST["events"] and len(found) == len(records())


def from_the_page(data):
    """Frames by docs/recordings.md alone: the records, with the points of the first eye and mesh put in."""
    line, _, rest = data.partition(b"\n")
    assert line == b"NANOFACE RECORDING 1"
    before, found = {}, []
    while rest:
        kind, flags, _, length = struct.unpack("<cBdI", rest[:14])
        head, payload, rest = rest[:18], rest[18:18 + length], rest[18 + length:]
        assert struct.unpack("<I", head[14:])[0] == zlib.crc32(payload, zlib.crc32(head[:14])) & 0xFFFFFFFF
        if kind != b"F":
            continue
        before = {} if flags & 1 else before
        raw = zlib.decompressobj(zdict=layout.WORDS).decompress(payload)
        size = struct.unpack("<I", raw[:4])[0]
        record, raw, now = json.loads(raw[4:4 + size].decode()), raw[4 + size:], {}
        for one in record["faces"]:
            places = [(one, "landmarks", 3, 468)] if "landmarks" in one else []
            places += [(one["eye_contours"], side, 2, 71) for side in one.get("eye_contours", ())]
            for holder, name, columns, rows in places:
                packing, count = holder[name], columns * rows
                part, raw = raw[:count * abs(packing)], raw[count * abs(packing):]
                if packing == 8:
                    values = struct.unpack("<{}d".format(count), part)
                    holder[name] = [list(values[i * columns:(i + 1) * columns]) for i in range(rows)]
                    continue
                numbers = [sum(part[plane * count + i] << 8 * plane for plane in range(abs(packing))) for i in range(count)]
                steps = [-(n + 1) // 2 if n & 1 else n // 2 for n in numbers]
                if packing < 0:
                    steps = [a + b for a, b in zip(steps, before[one["id"], name])]
                now[one["id"], name] = steps
                holder[name] = [[steps[c * rows + r] / 100.0 for c in range(columns)] for r in range(rows)]
        before = now
        found.append(record)
    return found


def test_a_decoder_made_from_the_description_reads_the_same():
    assert from_the_page(b"".join(written(records()[:12]))) == [without_file(record) for record in records()[:12]]


def test_the_dictionary_is_a_part_of_the_format():
    assert layout.VERSION == 1 and zlib.crc32(layout.WORDS) & 0xFFFFFFFF == 0xaf0c5a05, "another one is another version"
    assert all('"{}"'.format(name).encode() in layout.WORDS for name in SHAPES)


def test_a_face_takes_less_than_3_kb_a_frame():
    pieces = written([record for record in records() if len(record["faces"]) == 1][2:])
    assert sum(map(len, pieces)) / (len(pieces) - 2) < 3000


@pytest.mark.parametrize("time_s, most", [(0.0, 0.0), (2.0, 2.0), (4.0, 4.0), (99.0, 4.7)])
def test_a_reader_begins_a_little_before_a_time(time_s, most):
    data = b"".join(written())
    reader = Reader(io.BytesIO(data), "a.nfr")
    reader.next()
    reader.seek(time_s)
    first = reader.next()
    assert most - 64 / 30.0 - 0.1 <= first.time_s <= most
    same = next(one for one in read(data)[1] if one.time_s == first.time_s)
    assert as_lists(first.record) == as_lists(same.record)


def test_what_is_cut_off_anywhere_is_read_up_to_its_last_whole_frame():
    pieces = written(records()[:6])
    data, ends, at = b"".join(pieces), [], 0
    for piece in pieces:
        at += len(piece)
        ends.append(at)
    for length in list(range(ends[0], len(data), 211)) + ends[:-1]:
        reader, found = read(data[:length])
        assert len(found) == sum(end <= length for end in ends[1:-1])
        assert "cut off" in reader.cut and reader.torn == (length not in ends)
        assert len(read(data[:length] + b"\0" * 5000)[1]) == len(found)  # blocks that were never written
    for length in range(1, ends[0]):
        with pytest.raises(SourceError, match="a.nfr"):
            read(data[:length])
    with pytest.raises(SourceError, match="a.nfr: it is empty: nothing was recorded"):
        read(b"")


def test_a_bit_that_flips_is_found():
    data = b"".join(written(records()[:6]))
    whole = [as_lists(one.record) for one in read(data)[1]]
    for bit in range(0, 8 * len(data), 1709):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            reader, found = read(bytes(changed))
        except SourceError as e:
            assert "\n" not in str(e) and str(e).startswith("a.nfr")
        else:
            assert reader.cut or reader.totals is None or bit // 8 >= len(data) - 34
            assert [as_lists(one.record) for one in found] == whole[:len(found)]


def frame_chunk(record, points=b"", raw=None, **head):
    text = json.dumps(record).encode() if isinstance(record, dict) else record
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_DEFAULT_STRATEGY, layout.WORDS)
    payload = packer.compress(struct.pack("<I", len(text)) + text + points if raw is None else raw) + packer.flush()
    start = struct.pack("<cBdI", head.get("kind", b"F"), head.get("flags", 1), head.get("time_s", 0.0),
                        head.get("length", len(payload)))
    return start + struct.pack("<I", zlib.crc32(payload, zlib.crc32(start)) & 0xFFFFFFFF) + payload


GOOD = {"schema": 1, "frame": 0, "time_s": 0.0, "size": [640, 480], "faces": [{"id": 1}], "events": []}
NAN_POINTS = struct.pack("<1404d", *[math.nan] * 1404)


@pytest.mark.parametrize("chunk, told", [
    (frame_chunk(b"{"), "damaged"), (frame_chunk(b"[]"), "it is no object"), (frame_chunk(b"{\"schema\": NaN}"), "NaN"),
    (frame_chunk(b"[" * 500000), "nested too deeply"), (frame_chunk({}), "faces must be a list"),
    (frame_chunk(dict(GOOD, schema=2)), "schema 2"), (frame_chunk(dict(GOOD, frame=-1)), "frame must be a whole number"),
    (frame_chunk(dict(GOOD, frame=10 ** 30)), "do not follow"), (frame_chunk(dict(GOOD, size=[10 ** 9, 1])), "no picture"),
    (frame_chunk(dict(GOOD, faces=[{"id": 1}] * 65)), "at most 64"), (frame_chunk(dict(GOOD, faces=[7])), "objects"),
    (frame_chunk(dict(GOOD, faces=[{"id": 1 << 40}])), "do not follow"), (frame_chunk(dict(GOOD, faces=[{}])), "no id"),
    (frame_chunk(dict(GOOD, faces=[{"id": 1, "landmarks": 2}])), "cannot be unpacked"),
    (frame_chunk(dict(GOOD, faces=[{"id": 1, "landmarks": -2}]), b"\0" * 2808), "cannot be unpacked"),
    (frame_chunk(dict(GOOD, faces=[{"id": 1, "landmarks": 10 ** 20}])), "cannot be unpacked"),
    (frame_chunk(dict(GOOD, faces=[{"id": 1, "landmarks": True}])), "cannot be unpacked"),
    (frame_chunk(dict(GOOD, faces=[{"id": 1, "landmarks": 8}]), NAN_POINTS), "468 x 3 numbers"),
    (frame_chunk(dict(GOOD, faces=[{"id": 1, "eye_contours": {"third": 2}}])), "two eyes"),
    (frame_chunk(dict(GOOD, faces=[{"id": 1, "box": [1, 2]}])), "box must be 4 numbers"),
    (frame_chunk(dict(GOOD, events=7)), "events must be a list"), (frame_chunk(dict(GOOD, events=[{"schema": 1}])), "event"),
    (frame_chunk(GOOD, raw=b"\1"), "damaged"), (frame_chunk(GOOD, raw=b"\xff\xff\xff\xff{}"), "damaged"),
    (frame_chunk(GOOD, raw=b"\0" * (layout.MOST_BYTES + 1)), "cannot be unpacked"),
    (frame_chunk(GOOD, length=1 << 31), "wrong head"), (frame_chunk(GOOD, kind=b"?"), "no head"),
    (frame_chunk(GOOD, time_s=math.nan), "wrong head"), (frame_chunk(GOOD, time_s=1e300), "wrong head"),
    (frame_chunk(GOOD, kind=b"H"), "another kind"), (frame_chunk(GOOD, flags=3), "another kind"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_chunk_that_cannot_be_is_one_line(chunk, told):
    with pytest.raises(SourceError) as raised:
        read(written([])[0] + chunk)
    assert told in str(raised.value) and str(raised.value).startswith("a.nfr is damaged ") and "\n" not in str(raised.value)


def test_what_was_packed_to_be_huge_takes_little_memory():
    bomb = frame_chunk(GOOD, raw=b"\0" * (256 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="damaged"):
            read(written([])[0] + bomb)
        assert tracemalloc.get_traced_memory()[1] < 3 * layout.MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data, told", [
    (b"NANOFACE RECORDING 2\n", "made by a newer nanoface, in version 2 of the format; this one reads 1: update"),
    (b"NANOFACE RECORDING x\n", "no recording of nanoface"), (b"\x89PNG", "no recording of nanoface"),
    (b"NANOFACE RECORDING 1\n", "cut off before the first frame"), (b"NANOFACE RECORDING 1\nnonsense" * 9, "damaged"),
])
def test_a_file_that_is_no_recording_is_one_line(data, told):
    with pytest.raises(SourceError, match=told):
        read(data)


def test_any_nonsense_ends_in_one_line_or_at_the_end():
    draw, data = random.Random(3), b"".join(written(records()[:4]))
    for _ in range(300):
        at = draw.randrange(len(data))
        junk = bytes(bytearray(draw.randrange(256) for _ in range(draw.choice((1, 4, 30)))))
        try:
            _, found = read(data[:at] + junk + data[at + draw.choice((0, len(junk))):])
            assert len(found) <= 4
        except SourceError as e:
            assert str(e).startswith("a.nfr") and "\n" not in str(e)
