"""`nanoface pose`: its table, its JSON, its conventions, and how it ends."""
import json
import os
import types

import pytest
from fakes.records import face

from edge.cli import main as cli
from edge.core.errors import SourceError
from edge.core.records import read_face
from edge.library import stream
from edge.library.stream import StreamFrame

TURNED = face(4, yaw=12.34, pitch=-5.0, roll=0.04)
UNKNOWN = dict(face(7), missing={"pose": "the points fit no head before the camera"})
del UNKNOWN["pose"]
ELSEWHERE = face(1, yaw=10.0, place=(300.0, 0.0, 600.0))  # 26.6 degrees off the axis
NOWHERE = face(1)
del NOWHERE["pose"]["translation_mm"]


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Of a stream of these steps, (file, faces) or faces: the exit code, and what was printed."""
    monkeypatch.setenv("NANOFACE_CONFIG", os.devnull)
    seen = []

    class Stream:
        def __init__(self, source, config, options, keywords, report, fetch, timeout_s):
            seen.append(config)
            self.source = types.SimpleNamespace(stills=Stream.stills, name="what was given")

        def __iter__(self):
            for index, step in enumerate(Stream.steps):
                if isinstance(step, Exception):
                    raise step
                file, faces = step if Stream.stills else ("", step)
                yield (None, []) if faces is None else (
                    StreamFrame(index, index / 30.0, None, 1.0, file), [read_face(one) for one in faces])

        def __enter__(self):
            return self

        def __exit__(self, *error):
            """As a stream."""

    def run(words, steps, stills=True):
        Stream.steps, Stream.stills = steps, stills
        code = cli.main(["pose"] + words.split())
        return (code,) + tuple(capsys.readouterr())

    monkeypatch.setattr(stream, "Stream", Stream)
    run.configs = seen
    return run


def test_pictures_have_a_line_for_each_face_and_one_where_there_is_none(call):
    code, out, err = call("photos", [("photos/a.jpg", [TURNED, UNKNOWN]), ("b c.jpg", [])])
    assert code == 0 and err == ""
    assert out.splitlines() == [
        "    yaw   pitch    roll  face  file",
        "   12.3    -5.0     0.0     1  photos/a.jpg",
        "      -       -       -     2  photos/a.jpg  (the points fit no head before the camera)",
        "      -       -       -  none  b c.jpg",
    ]
    assert call.configs[0].models.iris == ("none",) and call.configs[0].source.spec == "photos"


def test_a_film_has_the_numbers_of_its_tracks_and_every_nth_frame(call):
    code, out, _ = call("clip.mp4 --every 2", [[TURNED], None, [UNKNOWN], [TURNED], [TURNED]], stills=False)
    assert code == 0 and out.splitlines() == [
        "    yaw   pitch    roll  face    frame     time_s",
        "   12.3    -5.0     0.0     4        0      0.000",
        "      -       -       -     7        2      0.067  (the points fit no head before the camera)",
        "   12.3    -5.0     0.0     4        4      0.133",
    ]


def test_the_same_as_json(call):
    code, out, _ = call("a.jpg --json", [("a.jpg", [TURNED, UNKNOWN]), ("b.jpg", [])])
    assert code == 0 and [json.loads(line) for line in out.splitlines()] == [
        {"file": "a.jpg", "faces": [{"face": 1, "yaw": 12.34, "pitch": -5.0, "roll": 0.04},
                                    {"face": 2, "missing": "the points fit no head before the camera"}]},
        {"file": "b.jpg", "faces": []}]
    code, out, _ = call("c.mp4 --json", [[TURNED]], stills=False)
    assert json.loads(out) == {"frame": 0, "time_s": 0.0, "faces": [{"face": 4, "yaw": 12.34, "pitch": -5.0, "roll": 0.04}]}


@pytest.mark.parametrize("given, expected", [
    (TURNED, (12.289, 5.126, -1.133)),  # on the axis: the order of the turns alone
    (ELSEWHERE, (10.0 - 26.565, 0.0, 0.0)), (NOWHERE, None),
])
def test_3ddfas_angles_are_those_along_the_line_of_sight(call, given, expected):
    _, out, _ = call("a.jpg --json --convention 3ddfa", [("a.jpg", [given])])
    found = json.loads(out)["faces"][0]
    if expected is None:
        assert "line of sight" in found["missing"]
    else:
        assert [found[name] for name in ("yaw", "pitch", "roll")] == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("steps", [[("a.jpg", []), ("b.jpg", [])], []])
def test_no_face_at_all_is_told_and_the_exit_code_says_so(call, steps):
    code, out, err = call("photos", steps)
    assert code == 3 and err == "nanoface: no face was found in what was given\n"
    assert len(out.splitlines()) == (len(steps) + 1 if steps else 0)


def test_an_error_of_the_source_is_one_line(call):
    code, out, err = call("photos", [("a.jpg", [TURNED]), SourceError("photos is gone")])
    assert code == 3 and err == "nanoface: photos is gone\n" and len(out.splitlines()) == 2


@pytest.mark.parametrize("words, said", [
    ("", "nanoface pose what?"), ("--json", "nanoface pose what?"), ("a.jpg --every 0", "--every: 0 is not"),
    ("a.jpg --convention bfm", "--convention"), ("a.jpg --source b.jpg", "both name a source"),
    ("a.jpg --jso", "did you mean --json"), ("a.jpg --output jsonl:-", "--output is unknown"),
])
def test_wrong_words_are_one_line(call, words, said):
    code, out, err = call(words, [])
    assert code == 2 and said in err and err.count("\n") == 1 and out == ""
