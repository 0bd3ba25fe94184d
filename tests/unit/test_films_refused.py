"""What is no film, or one that cannot be read: the line has the reason and the cure; never "damaged" of what is not."""
import os

import films
import pytest
from films import AAC, MJPEG, SOUND, X264, refusal

from edge.sources.films.header import read_header
from edge.sources.films.probe import parse_lines, why_not

KEY = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", 32 * "7", "-encryption_kid", 32 * "a")


def test_an_encrypted_film_is_called_encrypted(tmp_path):
    assert "is encrypted (DRM)" in refusal(films.make(tmp_path / "a.mp4", X264 + KEY))


@pytest.mark.parametrize("name", ["a.m4a", "a.mkv", "a.wav"])
def test_sound_alone_is_called_so(tmp_path, name):
    films.ffmpeg(*(SOUND + (AAC if name == "a.m4a" else ()) + (str(tmp_path / name),)))
    assert "is no video: it holds sound alone" in refusal(tmp_path / name)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / "a.mp4"))
    assert refusal(tmp_path / "a.mp4").endswith("a.mp4 cannot be read: it is no regular file")


@pytest.mark.parametrize("name, data, part", [
    ("empty.mp4", b"", "is empty"), ("text.mp4", b"This is a text.\n" * 50, "is no video: it looks like text"),
    ("zeros.mp4", bytes(5000), "is no video that FFmpeg"), ("noise.mp4", bytes(range(1, 256)) * 9, "is no video that FFmpeg"),
])
def test_what_is_no_film_is_distinguished_from_what_is_damaged(tmp_path, name, data, part):
    (tmp_path / name).write_bytes(data)
    text = refusal(tmp_path / name)
    assert part in text and ("damaged" in text) == (name in ("zeros.mp4", "noise.mp4"))


def test_a_film_whose_index_was_never_written_is_reported(tmp_path):
    path = films.make(tmp_path / "a.mp4", X264)
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[:len(data) // 2])
    assert "its index (moov) is missing: it was cut off" in refusal(path)


def test_a_count_that_the_file_has_no_room_for_is_refused(tmp_path):
    path = films.make(tmp_path / "a.mp4", X264)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    at = data.index(b"stsz")
    data[at + 8:at + 16] = (1).to_bytes(4, "big") + (1 << 31).to_bytes(4, "big")
    (tmp_path / "a.mp4").write_bytes(bytes(data))
    assert "counts 2147483648 frames, more than the file has room for" in refusal(path)


@pytest.mark.parametrize("scale", [0, 1])
def test_a_zero_timescale_is_no_bug(tmp_path, scale):
    films.make(tmp_path / "a.mp4", X264)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    for box in (b"mvhd", b"mdhd"):
        at = data.index(box) + 16
        data[at:at + 4] = scale.to_bytes(4, "big")
    (tmp_path / "a.mp4").write_bytes(bytes(data))
    frames, _ = films.read_film(tmp_path / "a.mp4")
    assert frames and all(a.time_s < b.time_s for a, b in zip(frames, frames[1:]))  # its edit list hides some then
    second = films.second_decoder(tmp_path / "a.mp4")
    assert second is None or len(second) == len(frames)


def test_a_header_that_is_cut_anywhere_is_read_without_an_error(tmp_path):
    films.make(tmp_path / "a.mp4", X264 + ("-movflags", "faststart"))
    data = (tmp_path / "a.mp4").read_bytes()
    whole = read_header(str(tmp_path / "a.mp4"))
    assert [(t.frames, t.encrypted, t.mirror) for t in whole.tracks] == [(films.FRAMES, False, "")] and not whole.cut_off
    for cut in range(0, len(data), 37):
        (tmp_path / "cut").write_bytes(data[:cut] + data[cut + 1:])
        assert read_header(str(tmp_path / "cut")).impossible >= 0
        (tmp_path / "cut").write_bytes(data[:cut])
        assert all(t.frames in (None, films.FRAMES) for t in read_header(str(tmp_path / "cut")).tracks)


@pytest.mark.parametrize("said, part", [
    (["    Stream #0:0: Video: av1 (av01 / 0x31307661), 64x48, 25 fps", "Decoder (codec av1) not found"],
     "coded (av1): turn them into H.264"),
    (["    Stream #0:0: Video: none (zzzz / 0x7A7A7A7A), 64x48, 25 fps"], "coded (zzzz): turn them into H.264"),
    (["[asf @ 0x1] DRM protected stream detected, decoding will likely fail!"], "is encrypted (DRM)"),
    (["    Stream #0:0: Video: h264 (High), yuv420p, 64x48, 25 fps"], "no picture in it can be decoded (h264)"),
])
def test_the_reason_is_that_of_ffmpeg(tmp_path, said, part):
    (tmp_path / "a").write_bytes(b"x")
    assert part in why_not("a", parse_lines(said), read_header(str(tmp_path / "a")), b"", (4, 2), [])


def test_names_with_what_means_something_elsewhere_are_names(tmp_path, monkeypatch):
    whole = films.make(tmp_path / "whole.avi", MJPEG, frames=3)
    monkeypatch.chdir(tmp_path)
    for name in ("12:30.avi", "a b.avi", "%d.avi", "%03d.avi", "-i.avi", "new\nline.avi", "http:.avi", "pipe:1",
                 "f'o\"o.avi", "\xe9.avi"):
        with open(whole, "rb") as f, open(name, "wb") as copy:
            copy.write(f.read())
        assert len(films.read_film("./" + name if name.startswith("-") else name)[0]) == 3, name
