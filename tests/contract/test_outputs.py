"""Every output keeps the same promises, whatever it writes."""
import csv
import json
import os

import cv2
import numpy as np
import pytest

from edge.core.contracts import Output
from edge.core.errors import OutputError
from edge.core.packet import Eyes, Face, Frame, Gaze, Iris, Packet, Pose, Roi, Span
from edge.outputs.kinds import KINDS, OutputOptions, make_output
from edge.outputs.record import encode
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_output
from edge.recording.reading import Reader

FILES = {"record": "a.nfr", "jsonl": "a.jsonl", "csv": "a.csv", "video": "a.mp4", "images": "frames", "image": "a.jpg"}
PAIRS = {"ssi": "a.stream", "ssi-box": "a.stream", "ssi-events": "a.annotation"}  # and a second file with a ~
FULL = Face(
    1, Roi(80.0, 60.0, 90.0, 0.0), 0.9, (50.0, 30.0, 110.0, 90.0),
    landmarks=np.random.RandomState(0).uniform(40.0, 100.0, (468, 3)),
    pose=Pose(np.eye(3), np.array([0.0, 0.0, 600.0]), 1.0),
    irises=Eyes(Iris(np.array([70.0, 50.0]), 4.0, 0.9), Iris(np.array([90.0, 50.0]), 4.0, 0.9)),
    eye_contours=Eyes(np.zeros((71, 2)), np.zeros((71, 2))),
    gaze=Gaze((1.0, 2.0), (1.0, 2.0), (1.0, 2.0), np.array([0.0, 0.0, -1.0])), expression={"mouth_open": 0.5})
BARE = Face(2, FULL.roi, 0.5, FULL.box)
FACES = [(), (FULL,), (BARE,), (FULL, BARE, FULL._replace(track_id=3), BARE._replace(track_id=4)), ()]


def options(**changes):
    return OutputOptions(landmarks=True, mirror=False, blocking=True, fps=lambda: 30.0)._replace(**changes)


def packets():
    for seq, faces in enumerate(FACES):
        image = np.full((120, 160, 3), 40 * seq, np.uint8)
        image.flags.writeable = False
        span = Span("align", 10.0 + seq, 10.1 + seq, 10.2 + seq)
        yield Packet(Frame(seq, 10.0 + seq, seq / 30.0, image), faces, (span,))


def item_for(output, packet):
    return packet if output.needs_picture else encode(packet, packet.frame.captured_at + 0.01, output.parts)


def frames_in(kind, path):
    """How many frames are in what was written; None where it holds only one picture."""
    if kind == "jsonl":
        with open(path) as f:
            return len({json.loads(line)["frame"] for line in f})
    if kind == "csv":
        with open(path, newline="") as f:
            return len({row["frame"] for row in csv.DictReader(f)})
    if kind == "record":
        with open(path, "rb") as f:
            return Reader(f, path).totals[0]
    if kind == "images":
        return len(os.listdir(path))
    if kind == "image":
        assert cv2.imread(path).shape == (120, 160, 3)
        return None
    film, count = cv2.VideoCapture(path), 0
    while film.read()[0]:
        count += 1
    film.release()
    return count


def test_every_kind_that_can_be_named_can_be_made(tmp_path):
    for kind in (name for name, line in KINDS.items() if not line.live):
        target = "" if kind == "window" else ":" + str(tmp_path / dict(FILES, **PAIRS).get(kind, "table.csv"))
        output = make_output(parse_output(kind + target), options())
        assert isinstance(output, Output) and output.name == kind + target
        assert output.fatal == (kind != "window")
        assert output.needs_picture == (kind in ("video", "images", "image", "window"))


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("reported", [True, False])
def test_an_option_of_one_output_overrides_that_of_the_run(kind, reported):
    for own, expected in (("", reported), ("?landmarks=yes", True), ("?landmarks=no", False)):
        assert make_output(parse_output(kind + ":a" + own), options(landmarks=reported)).landmarks == expected


@pytest.mark.parametrize("kind", ["image", "images"])
def test_an_option_of_a_picture_does_what_the_configuration_does(kind, tmp_path):
    packet = list(packets())[1]
    packet = packet._replace(frame=packet.frame._replace(image=np.zeros((480, 640, 3), np.uint8)))  # with room for a panel

    def written(keys, **reported):
        text = "{}:{}{}".format(kind, tmp_path / FILES[kind], keys)
        output = make_output(parse_output(text), options(**reported))
        output.open()
        output.emit(packet)
        output.close()
        return (tmp_path / FILES[kind] / ("000001.jpg" if kind == "images" else "")).read_bytes()

    plain = written("")
    for key in ("mirror", "draw_times"):
        changed = written("", **{key: key == "mirror"})
        assert changed != plain
        assert written("?{}={}".format(key, "yes" if key == "mirror" else "no")) == changed
    assert len(written("?quality=30")) < len(plain) == len(written("?quality=92"))


@pytest.mark.parametrize("kind", sorted(FILES))
def test_a_file_is_written_whole_and_the_packets_stay_as_they_are(kind, tmp_path):
    path = str(tmp_path / "new" / FILES[kind])
    output = make_output(parse_output(kind + ":" + path), options())
    output.open()
    for packet in packets():
        before = packet.frame.image.copy()
        output.emit(item_for(output, packet))
        assert (packet.frame.image == before).all()
    output.close()
    output.close()
    assert frames_in(kind, path) in (None, len(FACES))


@pytest.mark.parametrize("kind", sorted(FILES))
def test_through_a_sender_nothing_of_a_file_is_lost(kind, tmp_path):
    path = str(tmp_path / FILES[kind])
    output = make_output(parse_output(kind + ":" + path), options())
    sender = Sender(output, capacity=4)
    sender.start()
    assert all(sender.put(item_for(output, packet)) for packet in packets())
    assert sender.close(30.0) and sender.error is None
    assert sender.stats() == {"sent": len(FACES), "failed": 0, "dropped": 0, "state": "closed"}
    assert frames_in(kind, path) in (None, len(FACES))


@pytest.mark.parametrize("kind", sorted(FILES))
def test_what_was_there_stays_until_something_new_is_written(kind, tmp_path):
    path = tmp_path / FILES[kind]
    if kind == "images":
        path.mkdir()
        path = path / "000000.jpg"
    path.write_text("older")
    output = make_output(parse_output("{}:{}".format(kind, tmp_path / FILES[kind])), options())
    output.open()
    output.close()
    assert path.read_text() == "older" and os.listdir(str(path.parent)) == [path.name]


@pytest.mark.parametrize("name", ["12:30", "a,b", "two  blanks ", "%d", "a\nb", "-x", "'q'"])
@pytest.mark.parametrize("kind", sorted(FILES))
def test_any_name_is_the_name_of_the_file(kind, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name += os.path.splitext(FILES[kind])[1]
    output = make_output(parse_output("{}:{}".format(kind, name)), options())
    output.open()
    for packet in packets():
        output.emit(item_for(output, packet))
    output.close()
    assert os.listdir(".") == [name]
    os.rename(name, FILES[kind])
    assert frames_in(kind, FILES[kind]) in (None, len(FACES))


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("kind", sorted(FILES) + ["window"])
def test_only_a_file_of_a_file_makes_the_source_wait(kind, blocking, tmp_path):
    text = kind if kind == "window" else "{}:{}".format(kind, tmp_path / FILES[kind])
    assert make_output(parse_output(text), options(blocking=blocking)).blocking == (blocking and kind != "window")


@pytest.mark.parametrize("kind", sorted(FILES) + sorted(PAIRS) + ["window"])
def test_close_without_open_is_fine(kind, tmp_path):
    text = kind if kind == "window" else "{}:{}".format(kind, tmp_path / dict(FILES, **PAIRS)[kind])
    make_output(parse_output(text), options()).close()
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("kind", sorted(FILES) + sorted(PAIRS))
@pytest.mark.parametrize("place, words", [
    ("file/{}", "part of the path is a file"), ("{}", "it is a folder; add a file name"),
    ("x" * 300 + "/{}", "choose another place"),
], ids=["a file for a folder", "a folder for a file", "too long a name"])
def test_a_place_that_cannot_be_is_one_clear_line_that_names_the_option(kind, place, words, tmp_path):
    (tmp_path / "file").write_text("")
    target = tmp_path / place.format(dict(FILES, **PAIRS)[kind])
    if place == "{}" and kind == "images":
        target.write_text("")
        words = "part of the path is a file"
    elif place == "{}":
        target.mkdir()
    text = "{}:{}".format(kind, target)
    with pytest.raises(OutputError) as caught:
        Sender(make_output(parse_output(text), options())).start()
    message = str(caught.value)
    assert message.startswith("output {}: ".format(text)) and words in message and "\n" not in message
    assert caught.value.exit_code == 5
