"""Videos: every frame once, in order, at its own time, on every version of OpenCV."""
import os
import tempfile

import cv2
import numpy as np
import pytest
from sources_clips import SHARED, cut_tail, drain, needs_media, number_of, set_durations, set_rotation, write_video

from edge.core.errors import SourceError
from edge.sources.choose import make_source
from edge.sources.spec import SourceOptions

FRAMES = 40


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4", FRAMES)


def source(path, **options):
    return make_source(SourceOptions(spec=str(path), **options))


def test_every_frame_comes_once_in_order_at_its_time(clip):
    s = source(clip)
    frames = drain(s)
    assert [number_of(f.image) for f in frames] == list(range(FRAMES)) == [f.seq for f in frames]
    assert np.allclose([f.time_s for f in frames], np.arange(FRAMES) / 10.0, atol=1e-6)
    assert s.frame_count == FRAMES and s.warning == "" and not s.live and not s.stills


@pytest.mark.parametrize("start_s, end_s, expected", [
    (0, None, range(0, 40)), (1.0, None, range(10, 40)), (0, 1.0, range(0, 10)), (0.5, 0.7, range(5, 7)),
    (0.45, 0.75, range(5, 8)), (3.9, None, range(39, 40)), (0, 100, range(0, 40)),
])
def test_start_and_end_are_exact(clip, start_s, end_s, expected):
    s = source(clip, start_s=start_s, end_s=end_s)
    frames = drain(s)
    assert [number_of(f.image) for f in frames] == list(expected)
    assert [f.seq for f in frames] == list(range(len(expected))) and s.frame_count == len(expected)
    assert frames[0].time_s == 0 and s.warning == ""


def test_a_late_start_is_exact_where_seeking_is_quicker_than_decoding(tmp_path):
    path = write_video(tmp_path / "long.mp4", 250, fps=10.0)
    frames = drain(source(path, start_s=20.05, end_s=20.5))
    assert [number_of(f.image) for f in frames] == [201, 202, 203, 204]
    assert np.allclose([f.time_s for f in frames], [0, 0.1, 0.2, 0.3], atol=1e-6)


def test_a_loop_goes_on_counting(clip):
    s = source(clip, loop=True, start_s=0.2, end_s=0.5)
    s.open()
    frames = [s.read(1.0) for _ in range(8)]
    s.close()
    assert [number_of(f.image) for f in frames] == [2, 3, 4, 2, 3, 4, 2, 3]
    assert [f.seq for f in frames] == list(range(8)) and s.frame_count is None
    assert np.allclose([f.time_s for f in frames], np.arange(8) / 10.0, atol=1e-6)


def test_a_variable_rate_is_kept(tmp_path):
    path = write_video(tmp_path / "phone.mp4", 12)
    durations_ms = [100, 200, 50, 50, 300, 100, 100, 30, 70, 50, 50, 100]
    set_durations(path, durations_ms)
    frames = drain(source(path))
    assert [number_of(f.image) for f in frames] == list(range(12))
    assert np.allclose([f.time_s for f in frames], np.cumsum([0] + durations_ms[:-1]) / 1000.0, atol=2e-3)


def test_frames_per_second_replace_the_files_own_times(clip):
    frames = drain(source(clip, fps=50))
    assert len(frames) == FRAMES and frames[-1].time_s == pytest.approx(39 / 50.0)


@pytest.mark.parametrize("degrees, corner", [(90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_a_phones_rotation_is_applied(tmp_path, degrees, corner):
    """The first block of the top row, bit 0, goes to the named corner."""
    path = write_video(tmp_path / "turned.mp4", 2)
    set_rotation(path, degrees)
    frame = drain(source(path))[1]
    assert frame.image.shape == ((128, 96, 3) if degrees % 180 else (96, 128, 3))
    row, column = (8 if c == 0 else frame.image.shape[i] - 8 for i, c in enumerate(corner))
    assert frame.image[row, column].mean() > 200 and frame.image.flags.c_contiguous


@pytest.mark.parametrize("suffix, fourcc", [("avi", "MJPG"), ("mkv", "mp4v")])
def test_other_containers(tmp_path, suffix, fourcc):
    path = write_video(tmp_path / ("clip." + suffix), 20, fourcc=fourcc)
    frames = drain(source(path))
    assert [number_of(f.image) for f in frames] == list(range(20))
    assert np.allclose([f.time_s for f in frames], np.arange(20) / 10.0, atol=2e-3)


def test_a_cut_off_tail_gives_what_is_there_and_says_so(tmp_path):
    path = write_video(tmp_path / "cut.mp4", FRAMES)
    cut_tail(path, 0.5)
    s = source(path)
    frames = drain(s)
    assert 5 < len(frames) < 35 and [number_of(f.image) for f in frames[:-1]] == list(range(len(frames) - 1))
    assert s.warning.endswith("{} of {} frames could be decoded".format(len(frames), FRAMES))
    with pytest.raises(EOFError):
        s.read(0)


def test_at_its_own_pace_a_file_is_live_and_drops_what_is_late(clip, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("edge.core.clock.monotonic", lambda: now[0])
    s = source(clip, pace="realtime")
    s.open()
    assert s.live
    got = [s.read(0)]
    assert s.read(0) is None  # the second frame is due in 100 ms
    for now[0] in (100.1, 100.2, 101.05):
        got.append(s.read(0))
    assert [f.seq for f in got] == [0, 1, 2, 10] == [number_of(f.image) for f in got]
    assert [round(f.time_s, 3) for f in got] == [0, 0.1, 0.2, 1.0]
    s.close()


def test_a_player_that_cannot_keep_the_pace_plays_slower(clip, monkeypatch):
    ticks = iter(np.arange(0, 1e6, 0.15))
    monkeypatch.setattr("edge.core.clock.monotonic", lambda: float(next(ticks)))
    frames = drain(source(clip, pace="realtime"), timeout_s=0.5)
    assert 3 < len(frames) < FRAMES


@pytest.mark.parametrize("options, shape", [
    ({}, (96, 128)), ({"width": 64}, (48, 64)), ({"height": 192}, (192, 256)), ({"width": 64, "height": 64}, (64, 64)),
    ({"rotate": 90}, (128, 96)), ({"width": 64, "rotate": 270}, (64, 48)), ({"flip": "both"}, (96, 128)),
])
def test_size_and_rotation(clip, options, shape):
    frames = drain(source(clip, end_s=0.3, **options))
    assert len(frames) == 3 and all(f.image.shape == shape + (3,) for f in frames)


def write(path, data):
    with open(str(path), "wb") as f:
        f.write(data)


def bad_files(folder, clip):
    with open(clip, "rb") as f:
        video = f.read()
    return {
        "missing": folder / "missing.mp4", "empty": folder / "empty.mp4", "text": folder / "text.mp4",
        "half": folder / "half.mp4", "folder of nothing": folder / "sub",
    }, {"empty.mp4": b"", "text.mp4": b"This is a text.\n" * 50, "half.mp4": video[:len(video) // 2]}


@pytest.mark.parametrize("what, message", [
    ("missing", "there is no .*missing.mp4"), ("empty", "is empty"), ("text", "no video"), ("half", "no video"),
    ("folder of nothing", "no picture"),
])
def test_what_cannot_be_read_is_one_clear_error(tmp_path, clip, what, message, capfd):
    names, contents = bad_files(tmp_path, clip)
    (tmp_path / "sub").mkdir()
    for name, data in contents.items():
        write(tmp_path / name, data)
    with pytest.raises(SourceError, match=message) as error:
        drain(source(names[what]))
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("options, message", [
    ({"start_s": 10.0}, "no frame between 10 s and its end .it is 4.0 s long"),
    ({"start_s": 1.01, "end_s": 1.09}, "no frame between"),
])
def test_an_empty_range_is_an_error(clip, options, message):
    with pytest.raises(SourceError, match=message):
        drain(source(clip, **options))


def test_a_file_that_may_not_be_read_says_so(clip):
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    path = os.path.join(folder, "secret.mp4")
    with open(clip, "rb") as f:
        write(path, f.read())
    os.chmod(path, 0)
    am_root = os.geteuid() == 0
    try:
        if am_root:
            os.seteuid(65534)
        with pytest.raises(SourceError, match="cannot be read: Permission denied"):
            drain(source(path))
    finally:
        if am_root:
            os.seteuid(0)
        os.remove(path)
        os.rmdir(folder)


def test_a_closed_source_has_ended(clip):
    s = source(clip)
    s.open()
    s.read(1.0)
    s.close()
    s.close()
    with pytest.raises(EOFError):
        s.read(1.0)


@needs_media
@pytest.mark.parametrize("name, frames, last_s", [
    ("video/flame.mp4", 900, 29.9667), ("synth/head_seed1.mp4", 600, 19.9667),
    ("noface/noface_bottle-detection.mp4", 1189, 39.821), ("video/intel_head-pose-face-detection-male.gif", 62, 5.08),
    ("video/intel_head-pose-face-detection-female.gif", 23, 1.83), ("video/hysts_video00.mp4", 433, 17.28),
    ("video/fer_woman2.mp4", 464, 15.4488),
])
def test_the_shared_clips(name, frames, last_s):
    s = source(os.path.join(SHARED, name))
    s.open()
    seqs, last = [], None
    try:
        while True:
            last = s.read(1.0)
            seqs.append(last.seq)
    except EOFError:
        s.close()
    assert seqs == list(range(frames)) and s.frame_count == frames and s.warning == ""
    assert last.time_s == pytest.approx(last_s, abs=2e-3)
    assert last.image.dtype == np.uint8 and cv2.countNonZero(last.image[:, :, 0]) > 0
