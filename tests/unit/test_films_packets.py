"""Which packets of a film count as lost: those that gave no frame after a complaint, and none that a codec hides."""
from types import SimpleNamespace

import pytest

from edge.host.ffmpeg import Ffmpeg
from edge.sources.films import decoder
from edge.sources.films.packets import MOST_EARLY, Packet, PacketLines, Packets

BAD = "bad"


def lost(codec, events, from_start=True):
    """`events`: the packets' times, all read before, and frames' times or BAD. (lost between frames, lost at the end)"""
    told, events = events
    packets, found = Packets(codec, from_start), []
    for time_s in told:
        packets.packet(Packet(time_s, time_s, False))
    times = [e for e in events if e != BAD]
    for event in events:
        if event == BAD:
            packets.complaint(True)
            continue
        times.pop(0)
        found += packets.frame(event, times[0] if times else None)
    return found, packets.end()


@pytest.mark.parametrize("codec, told, events, between, behind", [
    ("mjpeg", range(5), [0, 1, 2, 3, 4], [], []),
    ("mjpeg", range(5), [0, BAD, 2, 3, 4], [1], []),
    ("mjpeg", range(5), [BAD, 1, 2, 3, 4], [0], []),
    ("mjpeg", range(5), [0, 1, 2, BAD, BAD], [], [3, 4]),
    ("h264", range(5), [2, 3, 4], [], []),  # it began in the middle: nobody complained
    ("h264", range(3), [0, 1], [], []),
    ("vp8", range(6), [0, 2, 3, 5], [], []),  # two packets that are never shown
    ("vp8", range(6), [0, BAD, 2, 3, 5], [1], []),
    ("h264", range(20), list(range(0, 10, 2)) + [BAD] + list(range(12, 20, 2)), [9], []),  # fields in packets of their own
    ("h264", [0, 1, 2, 9, 4, 5], [BAD, 0, 1, 2, 9, 4, 5], [], []),  # one time is damaged
    ("h264", [0, 1, 2, 2, 3], [BAD, 0, 1, 2, 2, 3], [], []),
    ("h264", [None] * 5, [None, None, BAD, None, None], [None], []),
    ("h264", [None] * 5, [None, BAD, BAD, None, None], [None, None], []),
])
def test_what_was_lost_is_reported_where_it_was(codec, told, events, between, behind):
    found = lost(codec, (list(told), events))
    if codec == "h264" and len(told) == 20:
        assert len(found[0]) + len(found[1]) == len(between)  # which of the two fields is all one
    else:
        assert found == (between, behind)


def test_after_a_seek_the_frames_before_the_first_are_not_lost():
    assert lost("h264", ([7, 8, 9, 10], [BAD, 9, 10]), from_start=False) == ([], [])


def test_no_number_of_strange_frames_fills_the_memory():
    packets = Packets("h264")
    for i in range(3 * MOST_EARLY):
        packets.frame(float(i), None)
    assert len(packets._early) <= MOST_EARLY and packets.end() == []


@pytest.mark.parametrize("line, packet", [
    ("0,      -1024,          0,      512,    23792, 0x23911330", Packet(0.0, -0.5, False)),
    ("0,       2048,       1024,      512,     1539, 0xd9e600be, F=0x0", Packet(0.5, 1.0, False)),
    ("0,          0,       2048,      512,    15668, 0x4bb8350c, F=0x5", Packet(1.0, 0.0, True)),
    ("0, -9223372036854775808, NOPTS, 512, 15668, 0x4bb8350c, S=1, MPEGTS Stream ID, 1, 0xe0", Packet(None, None, False)),
    ("0,          0,       2048,      512,        0, 0x00000001", None),
    ("#extradata 0:       41, 0xf6d00c8f", None), ("", None), ("0, 1", None), ("nonsense, x, y", None),
])
def test_a_line_of_the_packets_is_read(line, packet):
    lines = PacketLines()
    assert lines.read("#tb 0: 1/2048") is None
    assert lines.read(line) == packet


@pytest.mark.parametrize("line, complains", [
    ("[mjpeg @ 0x5] [error] No JPEG data found in image", True), ("[mjpeg @ 0x5] [warning] Found EOI before any SOF", False),
    ("[Parsed_showinfo_0 @ 0x7] [info]  color_space:bt470bgError submitting packet to decoder: Invalid data found", True),
    ("[Parsed_showinfo_0 @ 0x7] [info] n:   9 pts:      9 pts_time:0.9 s:128x48 i:P type:I Decoding error: Invalid", True),
    ("[Parsed_showinfo_0 @ 0x7] [info] color_range:pc color_space:bt470bg color_primaries:unknown color_trc:unknown", False),
    ("[Parsed_showinfo_0 @ 0x7] [info] n:   9 pts:      9 pts_time:0.9 fmt:yuvj444p sar:0/1 s:128x48 i:P iskey:1", False),
])
def test_a_complaint_that_another_thread_wrote_into_a_line_is_seen(monkeypatch, line, complains):
    monkeypatch.setattr(decoder, "FfmpegChild", lambda *_: SimpleNamespace(give_up=None))
    one = decoder.Decoder(Ffmpeg("ffmpeg", (9, 0)), decoder.Wanted("a.avi", 0, "mjpeg", 10 ** 6, 100))
    one._on_line(line)
    assert one.packets.complained == complains


def test_packets_that_are_written_late_are_waited_for_while_frames_are_small(monkeypatch):
    """FFmpeg writes pixels and packets in threads of their own: those of a short film may all be there before any packet."""
    class Child:
        has_packet_lines, give_up = True, None

        def __init__(self, argv, memory_bytes, on_line, on_packet_line):
            self.frames, self._line, self._packet = 11, on_line, on_packet_line
            on_line("[error] Error submitting packet to decoder: Invalid data found when processing input")
            on_line("config in time_base: 1/10, frame_rate: 10/1")
            for number in range(self.frames):
                on_line("n: {} pts: {} pts_time:0 s:16x16 i:P".format(number, number + 1))

        def pump(self, buffer, lines_first=False):
            if self.frames and not lines_first:
                self.frames -= 1
                return len(buffer)
            if not self.has_packet_lines:
                return -1
            self.has_packet_lines = False
            self._packet("#tb 0: 1/10")
            for number in range(12):
                self._packet("0, {0}, {0}, 1, 900, 0x1".format(number))
            return 0

    monkeypatch.setattr(decoder, "FfmpegChild", Child)
    one = decoder.Decoder(Ffmpeg("ffmpeg", (9, 0)), decoder.Wanted("a.avi", 0, "mjpeg", 10 ** 6, 100))
    first, second = one.next(), one.next()
    assert (first.time_s, first.lost) == (pytest.approx(0.1), [0.0]) and second.lost == []
