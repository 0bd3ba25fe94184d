"""The text of --source: what it means, and one clear line where it means nothing."""
import os

import pytest

from edge.config.rules import RULES
from edge.core.errors import ConfigError, SourceError
from edge.sources.choose import make_source
from edge.sources.spec import SourceOptions, classify, hides_file

PNG = b"\x89PNG\r\n\x1a\n"

@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files as names only: classify() does not look inside."""
    for name in ("a.jpg", "B.PNG", "film.mp4", "anim.gif", "noend", "sub/2.png", "sub/10.png", "sub/.hidden.png",
                 "sub/x.txt", "empty/film.mov", "1,2.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    (tmp_path / "list.txt").write_text("# two pictures\nsub/2.png\n\na.jpg\n")
    (tmp_path / "nothing.txt").write_text("# none\n")
    for name in ("0", "portrait", "lies.mp4"):
        (tmp_path / name).write_bytes(PNG)
    for name in ("12:30.mp4", "x,y.mp4", " b.mp4 ", "%d.mp4", "-n.mp4", "n\nl.jpg"):
        (tmp_path / name).write_text("")
    for name, content in (("bom.txt", b"\xef\xbb\xbfa.jpg\r\nsub/2.png\r\n"),
                          ("utf16.txt", "a.jpg\nsub/2.png".encode("utf-16")),
                          ("url.txt", b"http://h/a.jpg\n"), ("films.txt", b"a.jpg\nfilm.mp4\n"), ("latin.txt", b"\xff.jpg\n")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "wrong.txt").write_text("a.jpg\nc.jpg\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("spec, kind, target, paths", [
    ("0", "camera", "0", ()), ("12", "camera", "12", ()), (" 1 ", "camera", "1", ()), ("007", "camera", "7", ()),
    ("/dev/video3", "camera", "/dev/video3", ()), ("/dev/v4l/by-id/usb-x", "camera", "/dev/v4l/by-id/usb-x", ()),
    ("portrait", "portrait", "", ()), ("Portrait", "portrait", "", ()),
    ("rtsp://h/s", "rtsp", "rtsp://h/s", ()), ("RTSPS://h/s", "rtsp", "RTSPS://h/s", ()),
    ("http://h:81/v,1.mjpg", "rtsp", "http://h:81/v,1.mjpg", ()), ("https://h", "rtsp", "https://h", ()),
    ("csi://0", "csi", "0", ()), ("csi://1", "csi", "1", ()), ("csi://", "csi", "0", ()),
    ("gst:videotestsrc ! appsink", "gst", "videotestsrc ! appsink", ()), ("gst: a ! b", "gst", "a ! b", ()),
    ("film.mp4", "video", "film.mp4", ()), ("./film.mp4", "video", "./film.mp4", ()),
    ("anim.gif", "video", "anim.gif", ()), ("noend", "video", "noend", ()),
    ("a.jpg", "images", "a.jpg", ("a.jpg",)), ("B.PNG", "images", "B.PNG", ("B.PNG",)),
    ("sub", "images", "sub", ("sub/2.png", "sub/10.png")),
    ("a.jpg,sub/2.png", "images", "a.jpg,sub/2.png", ("a.jpg", "sub/2.png")),
    ("a.jpg, B.PNG,", "images", "a.jpg, B.PNG,", ("a.jpg", "B.PNG")),
    ("1,2.jpg", "images", "1,2.jpg", ("1,2.jpg",)),
    ("list.txt", "images", "list.txt", ("sub/2.png", "a.jpg")),
    ("bom.txt", "images", "bom.txt", ("a.jpg", "sub/2.png")), ("utf16.txt", "images", "utf16.txt", ("a.jpg", "sub/2.png")),
    ("./0", "images", "./0", ("./0",)), ("./portrait", "images", "./portrait", ("./portrait",)),
    ("12:30.mp4", "video", "12:30.mp4", ()), ("x,y.mp4", "video", "x,y.mp4", ()), (" b.mp4 ", "video", " b.mp4 ", ()),
    ("%d.mp4", "video", "%d.mp4", ()), ("-n.mp4", "video", "-n.mp4", ()), ("n\nl.jpg", "images", "n\nl.jpg", ("n\nl.jpg",)),
    (r"1\,2.jpg,a.jpg", "images", r"1\,2.jpg,a.jpg", ("1,2.jpg", "a.jpg")), ("lies.mp4", "images", "lies.mp4", ("lies.mp4",)),
    ("sub/*.png", "images", "sub/*.png", ("sub/2.png", "sub/10.png")), ("[a]*.jpg", "images", "a.jpg", ("a.jpg",)),
    ("fil?.mp4", "video", "film.mp4", ()), ("**/2*.png", "images", "sub/2.png", ("sub/2.png",)),
    ("**/" * 30 + "2*.png", "images", "sub/2.png", ("sub/2.png",)),
    ("sub/*.png,a.jpg", "images", "sub/*.png,a.jpg", ("sub/2.png", "sub/10.png", "a.jpg")),
])
def test_every_form_is_understood(folder, spec, kind, target, paths):
    found = classify(spec)
    assert (found.kind, found.target, found.paths) == (kind, target, paths)


def test_a_file_address_and_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert classify("file://{}/film.mp4".format(folder)).target == str(folder / "film.mp4")
    assert classify("~/film.mp4").target == str(folder / "film.mp4")
    (folder / "a b%.mp4").write_text("")
    for address in ("file://{}/a%20b%25.mp4", "file://localhost{}/a%20b%25.mp4", "FILE://{}/a b%.mp4"):
        assert classify(address.format(folder)).target == str(folder / "a b%.mp4")


def test_several_names_are_one_text_whatever_is_in_them(folder):
    names = ["1,2.jpg", "a.jpg", "back\\", "back\\,\\", " lead.jpg"]
    for name in names:
        (folder / name).write_bytes(PNG)
    text = RULES["source.spec"].read(names)
    assert classify(text).paths == tuple(names)
    assert RULES["source.spec"].read(["1,2.jpg"]) == "1,2.jpg" and RULES["source.spec"].read("a,b") == "a,b"


def test_what_is_passed_over_is_counted_once_and_hidden_files_are_not(folder):
    for name in ("y.txt", "z.MD", ".h.txt", "noend"):
        (folder / "sub" / name).write_text("")
    os.mkfifo(str(folder / "sub" / "fifo"))
    assert classify("sub").passed == "4 files of other kinds are passed over: 2 .txt, 1 .md, 1 without extension"
    assert classify("sub/*").paths == ("sub/2.png", "sub/10.png") and classify("sub/*").passed.startswith("4 files")
    assert classify("a.jpg").passed == ""


def test_a_list_of_anything_else_than_a_file_is_refused_at_once(folder):
    os.mkfifo(str(folder / "pipe.txt"))
    os.symlink("/dev/zero", str(folder / "zero.txt"))
    with open(str(folder / "huge.txt"), "wb") as f:
        f.truncate(1 << 34)
    for name, message in (("pipe.txt", "pipe or a device"), ("zero.txt", "pipe or a device"),
                          ("huge.txt", "larger than 16 MB")):
        with pytest.raises(SourceError, match=name + ".*" + message):
            classify(name)


@pytest.mark.parametrize("spec, hidden", [("0", "0"), ("portrait", "portrait"), ("./0", ""), ("1", ""), ("a.jpg", "")])
def test_a_number_is_the_camera_and_a_file_of_that_name_is_reported(folder, spec, hidden):
    assert hides_file(spec) == hidden


@pytest.mark.parametrize("spec, message", [
    ("", "empty"), ("  ", "empty"), ("-1", "counted from 0"),
    ("flim.mp4", "did you mean film.mp4"), ("sub/2.pgn", "did you mean sub/2.png"),
    ("nowhere/film.mp4", "no folder nowhere"),
    ("portrat", "did you mean portrait"), ("webcam", "--source 0"), ("qqqqqq", "there is no qqqqqq"),
    ("empty", "no picture.*film.mov"), ("a.jpg,c.jpg", "there is no c.jpg"),
    ("a.jpg,film.mp4", "film.mp4 is not a picture"),
    ("a.jpg,sub", "sub is a folder"), ("nothing.txt", "is empty"), ("wrong.txt", "there is no c.jpg"),
    ("csi://x", "csi://0"), ("rtsp://", "address is missing"), ("gst:", "pipeline is missing"),
    ("gst:  ", "pipeline is missing"), ("rstp://h/s", "did you mean rtsp://"), ("ftp://h/x", "did you mean|there are"),
    ("file:///nope.mp4", "there is no"), ("file://host/nope.mp4", "three slashes"), ("a\0b", "no file can be called"),
    ("*.nope", "matches nothing"), ("[" * 5000, r"there is no \[{60}\.\.\.: no file has a name of 5000 characters"),
    ("?/" * 2000, "there is no"), ("sub/x*", "sub/x.txt is empty"),
    ("url.txt", "url.txt, line 1: http://h/a.jpg is an address"),
    ("films.txt", "films.txt, line 2: film.mp4 is not a picture: films are given to --source alone"),
    ("\ud800.jpg", "such a name"),
    ("f*.mp4,a.jpg", "film.mp4 is not a picture"), ("latin.txt", "no text in UTF-8"),
])
def test_what_is_not_understood_is_one_line_with_a_cure(folder, spec, message):
    with pytest.raises(SourceError, match=message) as error:
        classify(spec)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options, message", [
    ({"flip": "sideways"}, "none, horizontal"), ({"rotate": 45}, "0, 90, 180 or 270"),
    ({"pace": "fast"}, "every-frame"),
    ({"width": 0}, "width 0"), ({"height": -480}, "height -480"), ({"width": 100000}, "pixels"),
    ({"fps": 0}, "more than 0"), ({"fps": -5.0}, "more than 0"), ({"fps": float("nan")}, "more than 0"),
    ({"start_s": -1.0}, "0 or more"), ({"start_s": float("nan")}, "0 or more"),
    ({"start_s": 5.0, "end_s": 4.0}, "after the start"), ({"start_s": 5.0, "end_s": 5.0}, "after the start"),
    ({"end_s": -1.0}, "after the start"), ({"end_s": float("nan")}, "after the start"),
])
def test_values_out_of_range_are_a_usage_error(options, message):
    with pytest.raises(ConfigError, match=message):
        make_source(SourceOptions(spec="portrait", **options))


@pytest.mark.parametrize("spec", [None, "0", "rtsp://host/s", "csi://0", "gst:videotestsrc"])
@pytest.mark.parametrize("options, message", [
    ({"loop": True}, "--loop is for files"), ({"start_s": 1.0}, "--start is for files"),
    ({"end_s": 1.0}, "--end is for files"), ({"pace": "every-frame"}, "--every-frame is for files"),
])
def test_what_only_a_file_can_do_is_refused_for_what_is_live(spec, options, message):
    with pytest.raises(ConfigError, match=message):
        make_source(SourceOptions(spec=spec, **options))


@pytest.mark.parametrize("spec", ["rtsp://host/s", "gst:videotestsrc"])
def test_a_stream_has_its_own_rate(spec):
    with pytest.raises(ConfigError, match="its own rate"):
        make_source(SourceOptions(spec=spec, fps=15))


@pytest.mark.parametrize("spec, live", [
    ("0", True), ("rtsp://u:secret@h/s", True), ("csi://0", True), ("portrait", False),
])
def test_a_source_says_whether_it_is_live_and_no_password(spec, live):
    source = make_source(SourceOptions(spec=spec))
    assert source.live is live and "secret" not in source.name and source.name
    assert source.warning == "" and source.lost_since is None and source.stills is False


@pytest.mark.skipif(os.path.exists("/dev/video99"), reason="this machine has a /dev/video99")
@pytest.mark.parametrize("spec", ["99", "/dev/video99"])
def test_a_camera_that_is_not_there(spec, capfd):
    source = make_source(SourceOptions(spec=spec))
    with pytest.raises(SourceError, match="no camera /dev/video99"):
        source.open()
    assert capfd.readouterr().err == ""


def test_without_a_camera_the_demo_is_named_but_never_taken(monkeypatch):
    monkeypatch.setattr("edge.sources.live.camera.present_cameras", lambda: [])
    source = make_source(SourceOptions())
    with pytest.raises(SourceError, match="no camera was found.*--source portrait"):
        source.open()
    with pytest.raises(EOFError):
        source.read(0)
