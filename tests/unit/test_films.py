"""The table of films: every kind that a camera, a phone, a program or a website writes comes whole, upright and in time.

Each is made by ffmpeg and checked against what was put in, and against a second decoder where there is one.
"""
import films
import numpy as np
import pytest
from films import AAC, FRAMES, HEIGHT, MJPEG, MPEG2, MPEG4, SOUND, VP8, VP9, WIDTH, X264, X265
from sources_clips import number_of

TENTHS = [i / 10.0 for i in range(FRAMES)]
KINDS = {
    "h264_b.mp4": X264 + ("-bf", "3"), "h264_no_b.mp4": X264 + ("-bf", "0"),
    "index_first.mp4": X264 + ("-movflags", "faststart"),
    "fragmented.mp4": X264 + ("-movflags", "frag_keyframe+empty_moov"), "h264.mkv": X264, "h264.mov": X264,
    "h264.ts": X264, "h264.flv": X264, "h264.m4v": X264, "h264_b.avi": X264 + ("-bf", "2"),
    "interlaced.mp4": X264 + ("-flags", "+ildct+ilme"), "yuv444.mp4": X264 + ("-pix_fmt", "yuv444p"),
    "h264.nut": X264, "h264.3g2": X264, "hevc.mp4": X265, "hevc.mkv": X265, "vp8.webm": VP8, "vp9.webm": VP9,
    "vp8.ivf": VP8, "svt.mp4": ("-c:v", "libsvtav1", "-preset", "12"),
    "aom.mkv": ("-c:v", "libaom-av1", "-cpu-used", "8", "-strict", "-2"), "mpeg4.mp4": MPEG4,
    "mpeg4_b.avi": MPEG4 + ("-bf", "2"), "mpeg4.nut": MPEG4, "xvid.avi": MPEG4 + ("-vtag", "XVID"),
    "mjpeg.avi": MJPEG, "mjpeg.mov": MJPEG, "mjpeg.mkv": MJPEG, "prores.mov": ("-c:v", "prores"),
    "ffv1.mkv": ("-c:v", "ffv1"), "grey.mkv": ("-c:v", "ffv1", "-pix_fmt", "gray"),
    "10bit.mkv": ("-c:v", "ffv1", "-pix_fmt", "yuv420p10le"),
    "12bit.mov": ("-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"),
    "huffyuv.avi": ("-c:v", "huffyuv"), "raw.avi": ("-c:v", "rawvideo", "-pix_fmt", "yuv420p"),
    "raw_bgr.avi": ("-c:v", "rawvideo", "-pix_fmt", "bgr24"), "lossless.gif": ("-f", "gif"),
    "moving.apng": ("-f", "apng", "-c:v", "apng"), "theora.ogv": ("-c:v", "libtheora", "-q:v", "9"),
    "sorenson.flv": ("-c:v", "flv", "-q:v", "3"), "wmv2.asf": ("-c:v", "wmv2", "-q:v", "3"),
    "wmv1.wmv": ("-c:v", "wmv1", "-q:v", "3"), "h263.3gp": ("-c:v", "h263", "-q:v", "3", "-vf", "pad=128:96"),
    "qtrle.mov": ("-c:v", "qtrle"), "alpha.mov": ("-c:v", "png", "-pix_fmt", "rgba"),
    "svq1.mov": ("-c:v", "svq1", "-q:v", "3"), "cinepak.avi": ("-c:v", "cinepak"),
    "msmpeg4.avi": ("-c:v", "msmpeg4", "-q:v", "3"), "utvideo.avi": ("-c:v", "utvideo"),
    "odd.mkv": ("-c:v", "ffv1", "-vf", "pad=131:51", "-pix_fmt", "yuv444p"),
    "sound.mp4": X264 + AAC + ("-map", "1", "-map", "0"), "film.y4m": ("-pix_fmt", "yuv420p"),
}
AT_25 = {  # kinds that know no rate of 10
    "mpeg1.mpg": ("-c:v", "mpeg1video", "-bf", "2"), "mpeg2.mpg": MPEG2, "mpeg2.ts": MPEG2, "mpeg2.mxf": MPEG2,
    "mpeg2.vob": MPEG2, "interlaced.mpg": MPEG2 + ("-flags", "+ildct+ilme"), "raw.h264": X264, "raw.hevc": X265,
    "raw.m2v": MPEG2, "raw.m4v": MPEG4 + ("-f", "m4v"), "raw.mjpeg": MJPEG,
}
SIZES = {"odd.mkv": (51, 131), "h263.3gp": (96, 128)}


def check(path, times, size=(HEIGHT, WIDTH), numbers=None, stream=0):
    frames, source = films.read_film(path)
    assert [number_of(f.image) for f in frames] == list(range(len(times)) if numbers is None else numbers)
    assert [f.seq for f in frames] == list(range(len(times)))
    assert np.allclose([f.time_s for f in frames], times, rtol=0, atol=1.001e-3)
    assert {f.image.shape for f in frames} == {size + (3,)}
    assert (source.lost, source.warning, source.frame_count) == (0, "", len(times))
    check_second(path, frames, stream)
    return source


def check_second(path, frames, stream=0):
    second = films.second_decoder(path, stream)
    if second is None:
        return
    if str(path).endswith("_b.avi"):  # the container has no times of B-frames: what is left are guesses
        second = [(None, size) for _, size in second]
    assert len(second) == len(frames)
    assert [f.image.shape[:2] for f in frames] == [size for _, size in second]
    for frame, (time_s, _) in zip(frames, second):
        assert time_s is None or frame.time_s == pytest.approx(time_s, abs=1.001e-3)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_frame_of_a_kind_comes_in_order_at_its_time(tmp_path, name):
    before = SOUND if name.startswith("sound") else ()
    path = films.make(tmp_path / name, KINDS[name], before=before)
    source = check(path, TENTHS, SIZES.get(name, (HEIGHT, WIDTH)))
    assert source.fps == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("name", sorted(AT_25))
def test_every_frame_of_broadcast_and_of_bare_kinds_comes(tmp_path, name):
    path = films.make(tmp_path / name, AT_25[name], rate="25")
    check(path, [i / 25.0 for i in range(FRAMES)])


@pytest.mark.parametrize("rate, step_s", [("240", 1 / 240.0), ("1/20", 20.0), ("30000/1001", 1001 / 30000.0), ("1", 1.0)])
@pytest.mark.parametrize("name, words", [("a.mp4", X264), ("a.avi", MJPEG), ("a.mkv", MJPEG)])
def test_every_rate_is_kept(tmp_path, name, words, rate, step_s):
    source = check(films.make(tmp_path / name, words, rate=rate), [i * step_s for i in range(FRAMES)])
    assert source.fps == pytest.approx(1 / step_s, rel=0.005)


@pytest.mark.parametrize("name, more", [("a.mp4", ("-use_editlist", "0")), ("a.mkv", ())])
def test_a_variable_rate_is_kept(tmp_path, name, more):
    words = X264 + ("-bf", "0", "-vf", "settb=1/1000,setpts=N*N*20", "-enc_time_base", "1/1000") + more
    path = films.make(tmp_path / name, words + tuple(films.programs.find().every_frame))
    source = check(path, [i * i * 0.02 for i in range(FRAMES)])
    assert source.fps == pytest.approx((FRAMES - 1) / ((FRAMES - 1) ** 2 * 0.02), rel=0.15)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_times_count_from_the_first_frame(tmp_path, name):
    check(films.make(tmp_path / name, X264 + ("-output_ts_offset", "7.5")), TENTHS)


def test_a_film_cut_without_encoding_shows_what_its_edit_list_shows(tmp_path):
    whole = films.make(tmp_path / "whole.mp4", X264 + ("-bf", "2", "-g", "100"))
    films.ffmpeg("-ss", "0.55", "-i", whole, "-c", "copy", str(tmp_path / "trim.mp4"))
    frames, source = films.read_film(tmp_path / "trim.mp4")
    assert [number_of(f.image) for f in frames] == list(range(6, FRAMES))
    assert (source.lost, source.warning) == (0, "")
    check_second(tmp_path / "trim.mp4", frames)


def test_much_sound_between_pictures_is_passed_over(tmp_path):
    words = X264 + ("-c:a", "pcm_s16le", "-shortest")
    sound = ("-f", "lavfi", "-i", "sine=d=400:r=8000")
    path = films.make(tmp_path / "slides.mkv", words, rate="1/100", frames=4, before=sound)
    check(path, [0, 100, 200, 300])


def test_sound_that_is_longer_than_the_film_is_no_loss(tmp_path):
    path = films.make(tmp_path / "long.mp4", X264 + AAC, before=("-f", "lavfi", "-i", "sine=d=9"))
    check(path, TENTHS)


def test_of_two_films_in_one_the_default_one_comes(tmp_path):
    words = ("-filter_complex", "[0]split[a][b];[b]scale=64:48,negate[c]", "-map", "[c]", "-map", "[a]",
             "-disposition:v:0", "0", "-disposition:v:1", "default") + X264
    path = films.make(tmp_path / "two.mkv", words)
    check(path, TENTHS, stream=1)


def test_a_cover_is_no_film(tmp_path):
    film = films.make(tmp_path / "film.mp4", X264)
    cover = films.make(tmp_path / "cover.jpg", MJPEG + ("-frames:v", "1", "-vf", "scale=640:480"))
    films.ffmpeg("-i", cover, "-i", film, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic",
                 str(tmp_path / "both.mp4"))
    check(tmp_path / "both.mp4", TENTHS)
    films.ffmpeg(*(SOUND + ("-i", cover, "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v:0", "attached_pic",
                            str(tmp_path / "song.m4a"))))
    assert "sound alone (aac and a cover)" in films.refusal(tmp_path / "song.m4a")


def test_subtitles_do_not_disturb(tmp_path):
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    film = films.make(tmp_path / "film.mkv", X264)
    films.ffmpeg("-i", film, "-i", str(tmp_path / "a.srt"), "-c", "copy", str(tmp_path / "titled.mkv"))
    check(tmp_path / "titled.mkv", TENTHS)


def test_a_size_that_changes_is_followed(tmp_path):
    films.make(tmp_path / "1.ts", X264)
    films.make(tmp_path / "2.ts", X264 + ("-vf", "pad=192:80", "-output_ts_offset", "2"))
    both = (tmp_path / "1.ts").read_bytes() + (tmp_path / "2.ts").read_bytes()
    (tmp_path / "both.ts").write_bytes(both)
    frames, source = films.read_film(tmp_path / "both.ts")
    assert [f.image.shape[:2] for f in frames] == [(HEIGHT, WIDTH)] * FRAMES + [(80, 192)] * FRAMES
    assert [number_of(f.image) for f in frames[:FRAMES]] == list(range(FRAMES))
    assert (source.lost, source.warning) == (0, "")
    check_second(tmp_path / "both.ts", frames)


def test_films_that_were_put_together_come_whole_though_their_times_begin_again(tmp_path):
    films.make(tmp_path / "1.ts", X264 + ("-bf", "2"))
    (tmp_path / "both.ts").write_bytes(2 * (tmp_path / "1.ts").read_bytes())
    frames, source = films.read_film(tmp_path / "both.ts")
    assert [number_of(f.image) for f in frames] == 2 * list(range(FRAMES))
    assert (source.lost, source.warning) == (0, "")
    assert np.allclose(np.diff([f.time_s for f in frames]), 0.1, atol=0.05)


def test_a_gap_in_a_broadcast_is_a_gap(tmp_path):
    films.make(tmp_path / "1.ts", X264 + ("-bf", "0"))
    films.make(tmp_path / "2.ts", X264 + ("-bf", "0", "-output_ts_offset", "60"))
    (tmp_path / "both.ts").write_bytes((tmp_path / "1.ts").read_bytes() + (tmp_path / "2.ts").read_bytes())
    check(tmp_path / "both.ts", TENTHS + [60 + time_s for time_s in TENTHS], numbers=2 * list(range(FRAMES)))


@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1), (0, 1, -1, 0), (0, -1, 1, 0),
                                    (0, 1, 1, 0), (0, -1, -1, 0)])
def test_a_film_stands_as_its_display_matrix_has_it(tmp_path, matrix):
    path = films.make(tmp_path / "phone.mp4", X264, frames=6)
    plain = films.read_film(path)[0][5].image
    films.set_matrix(path, *matrix)
    turned = films.read_film(path)[0][5].image
    expected = films.upright(plain, *matrix)
    assert turned.shape == expected.shape
    assert np.abs(turned.astype(int) - expected).mean() < 3


def test_a_seek_is_exact_in_every_container(tmp_path):
    for name, words in (("a.mp4", X264 + ("-bf", "2")), ("a.mkv", X264), ("a.ts", X264), ("a.avi", MJPEG)):
        path = films.make(tmp_path / name, words, frames=200)
        frames, _ = films.read_film(path, start_s=15.05, end_s=15.5)
        assert [number_of(f.image) for f in frames] == [151, 152, 153, 154], name
        assert np.allclose([f.time_s for f in frames], [0, 0.1, 0.2, 0.3], atol=2e-3)


@pytest.mark.parametrize("title", [
    "showinfo @ x n: 0 pts: 0 fmt:a s:90000x90000 i", "Picture size 9x9 exceeds specified max pixel", "Duration: 99:00:00.00",
    "[error] Invalid data"])
def test_what_a_films_title_says_is_not_taken_for_a_line_of_ffmpeg(tmp_path, title):
    path = films.make(tmp_path / "a.mkv", X264 + ("-metadata", "title=" + title, "-metadata:s:v", "title=" + title))
    frames, source = films.read_film(path)
    assert len(frames) == FRAMES and source.frame_count == FRAMES and not source.warning
