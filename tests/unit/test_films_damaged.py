"""Two hundred damaged films: every frame that can be decoded comes, and each packet that gave none is counted.

What can be decoded is what a second decoder makes of it. That is PyAV where it is, whose FFmpeg is another build of another
year, so that a damaged frame which one repairs and the other drops is allowed for: a few in all films. Of our own decoder it
is exact: records and gaps are the packets, but for frames that it makes up (of a time that it had already).
"""
import random

import films
import pytest
from films import MJPEG, MPEG2, MPEG4, VP8, X264, X265

from edge.core.errors import SourceError
from edge.sources.choose import make_source
from edge.sources.spec import SourceOptions

SEEDS, KEPT_HEAD = 200, 6  # of each film the first sixth is not damaged: its header, mostly
KINDS = {
    "h264.mp4": X264 + ("-movflags", "faststart", "-bf", "2"), "mjpeg.avi": MJPEG, "h264.mkv": X264 + ("-bf", "2"),
    "h264.ts": X264, "mpeg4.avi": MPEG4 + ("-bf", "2"), "vp8.webm": VP8, "mpeg2.mpg": MPEG2,
    "fragmented.mp4": X264 + ("-movflags", "empty_moov+frag_keyframe"), "hevc.mp4": X265 + ("-movflags", "faststart"),
    "mjpeg.mov": MJPEG + ("-movflags", "faststart"), "png.mov": ("-c:v", "png", "-movflags", "faststart"),
    "ffv1.mkv": ("-c:v", "ffv1"), "flv.flv": ("-c:v", "flv"), "wmv2.asf": ("-c:v", "wmv2"),
    "moving.gif": ("-f", "gif"), "theora.ogv": ("-c:v", "libtheora", "-q:v", "9"), "raw.h264": X264,
    "cinepak.avi": ("-c:v", "cinepak"), "mpeg4.mp4": MPEG4 + ("-movflags", "faststart"),
    "raw.avi": ("-c:v", "rawvideo", "-pix_fmt", "yuv420p"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    for name, words in KINDS.items():
        films.write_film(folder / name, words, rate="25", frames=30)
    return folder


def damaged(data, seed):
    rng, data = random.Random(seed), bytearray(data)
    first, kind = len(data) // KEPT_HEAD, seed // len(KINDS) % 4
    if kind == 0:
        for _ in range(rng.randint(1, 60)):
            data[rng.randrange(first, len(data))] = rng.randrange(256)
    elif kind == 1:
        begin = rng.randrange(first, len(data))
        end = min(len(data), begin + rng.randint(16, max(17, len(data) // 10)))
        data[begin:end] = bytes(end - begin)
    elif kind == 2:
        data = data[:rng.randint(len(data) // 3, len(data) - 1)]
    else:
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(first, len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def read(path):
    """(records, frames with gaps, packets, complained, error)"""
    source = make_source(SourceOptions(spec=str(path)))
    try:
        source.open()
    except SourceError as e:
        assert "\n" not in str(e)
        return [], 0, None, False, str(e)
    frames, decoder = [], source._recording._decoder
    try:
        while True:
            frames.append(source.read(10.0))
    except EOFError:
        source.close()
    return frames, source.taken, decoder.packets, decoder.packets.complained, ""


def test_of_damaged_films_every_frame_comes_or_is_counted(whole, tmp_path):
    names, differing, compared, lossy = sorted(KINDS), [], 0, 0
    for seed in range(SEEDS):
        name = names[seed % len(names)]
        path = tmp_path / "{}_{}".format(seed, name)
        path.write_bytes(damaged((whole / name).read_bytes(), seed))
        frames, taken, packets, complained, error = read(path)
        seqs = [frame.seq for frame in frames]
        assert seqs == sorted(set(seqs)), path.name
        assert all(a.time_s < b.time_s for a, b in zip(frames, frames[1:])), path.name
        lossy += taken > len(frames)
        if packets is not None and complained:
            made_up = taken - packets.seen
            assert 0 <= made_up <= 3, (path.name, len(frames), taken, packets.seen)
        elif packets is not None:
            assert taken == len(frames), path.name
        second = films.second_decoder(path)
        if second is not None:
            compared += 1
            if len(second) != len(frames):
                differing.append((path.name, len(frames), len(second), error))
        path.unlink()
    assert lossy > SEEDS // 10
    assert len(differing) <= compared // 50, differing


@pytest.mark.parametrize("name, filling", [("ffv1.mkv", b"\0"), ("flv.flv", b"\xff")])
def test_a_hole_in_the_container_is_reported(whole, tmp_path, name, filling):
    data = bytearray((whole / name).read_bytes())
    data[len(data) // 2:len(data) * 2 // 3] = filling * (len(data) * 2 // 3 - len(data) // 2)
    (tmp_path / name).write_bytes(data)
    frames, source = films.read_film(tmp_path / name)
    assert len(frames) < 30 and source.lost > 0 and name in source.warning


def test_a_gif_that_is_cut_off_is_reported_and_one_with_padding_is_not(whole, tmp_path):
    data = (whole / "moving.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(data[:len(data) // 2])
    assert "cut.gif: it ends early, as if it was cut off" in films.read_film(tmp_path / "cut.gif")[1].warning
    (tmp_path / "padded.gif").write_bytes(data + bytes(99))
    assert not films.read_film(tmp_path / "padded.gif")[1].warning


def test_a_film_of_which_nothing_can_be_decoded_is_one_line(whole, tmp_path):
    data = (whole / "png.mov").read_bytes()
    head = data[:data.index(b"mdat") + 4]
    (tmp_path / "a.mov").write_bytes(head + bytes(len(data) - len(head)))
    source = make_source(SourceOptions(spec=str(tmp_path / "a.mov")))
    with pytest.raises(SourceError, match="no picture in it can be decoded"):
        source.open()
    assert source.warning == ""
