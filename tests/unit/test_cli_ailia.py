"""The command line of ailia-models' facemesh.py: what it makes of this program's configuration."""
import os

import pytest

from edge.cli import main as cli
from edge.cli.commands import ailia
from edge.cli.options import config_of
from edge.cli.table import read_words
from edge.core.errors import ConfigError

# every option of facemesh.py and of the parser behind it, in its old and new versions, and how its value is written
THEIRS = {
    "-i --input": "a.jpg", "-v --video": "0", "-s --savepath": "out.png", "-b --benchmark": None, "-e --env_id": "1",
    "--env_list": None, "--ftype": "image", "--debug": None, "--profile": None, "-bc --benchmark_count": "3",
    "-m --model_type": "refine", "--back": None, "-n --normal": None,
}


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("NANOFACE_CONFIG", os.devnull)
    (tmp_path / "photos").mkdir()
    (tmp_path / "v1.2").mkdir()
    monkeypatch.chdir(tmp_path)


def read(line):
    args = read_words(["ailia"] + line.split())
    return args, config_of(args)


def test_without_a_word_it_is_its_sample():
    args, config = read("")
    assert os.path.isfile(config.source.spec) and config.source.spec.endswith("portrait.jpg")
    assert config.outputs == ("image:output.png",) and config.output.window is False and args.notes == []


@pytest.mark.parametrize("line, source, outputs, notes", [
    ("--input a.jpg --savepath out.png", "a.jpg", ["image:out.png"], []),
    ("-i a.jpg -s out.JPEG", "a.jpg", ["image:out.JPEG"], []),
    ("-i a.jpg -s out.bmp", "a.jpg", ["image:out.png"], ["--savepath out.bmp: it is written as out.png"]),
    ("-i a.jpg -s what?x=1.png", "a.jpg", ["image:what%3Fx=1.png?mirror=false"], []),
    ("-i a.jpg -s results", "a.jpg", ["images:results?suffix=_res"], []),
    ("-i a.jpg -s 50%/", "a.jpg", ["images:50%25/?suffix=_res"], []),
    ("-i a.jpg -s v1.2", "a.jpg", ["images:v1.2?suffix=_res"], []),
    ("-i a.jpg -s new.d/", "a.jpg", ["images:new.d/?suffix=_res"], []),
    ("-i a.jpg b.jpg -s results", "a.jpg,b.jpg", ["images:results?suffix=_res"], []),
    ("-i a.jpg b.jpg", "a.jpg,b.jpg", ["image:output.png"], ["the last picture stays in it"]),
    ("-i photos -s results", "photos", ["images:results?suffix=_res"], []),
    ("-i photos/", "photos/", ["images:photos_results?suffix=_res"], []),
    ("-i photos -s out.png", "photos", ["images:photos_results?suffix=_res"], ["go to a folder, photos_results"]),
    ("-s results", None, ["images:results?suffix=_res"], []),
    ("-v 0", "0", [], []), ("-v 0 -s output.png", "0", [], []), ("-v clip.mp4 -s out.mp4", "clip.mp4", ["video:out.mp4"], []),
    ("-v clip.mp4 -s out.avi", "clip.mp4", ["video:out.mp4"], ["--savepath out.avi: it is written as out.mp4"]),
    ("-v x/clip.avi -s results", "x/clip.avi", ["video:results/clip_res.mp4"], []),
    ("-v 0 -s results", "0", ["video:results/0_res.mp4"], []), ("-v 0 -s now.jpg", "0", ["image:now.jpg"], []),
    ("-v rtsp://192.0.2.9/a?b=c -s results", "rtsp://192.0.2.9/a?b=c", ["video:results/a_b_c_res.mp4"], []),
    ("-i clip.mp4 -s out.mp4", "clip.mp4", ["video:out.mp4"], ["it is a film, and taken as --video clip.mp4"]),
    ("-i a.jpg -v 0", "0", [], ["--input a.jpg: left out"]),
    ("-v clip.mp4 -b", "clip.mp4", [], ["nanoface bench measures a film"]),
    ("-i a.jpg --output jsonl:- -s out.png", "a.jpg", ["image:out.png", "jsonl:-"], []),
])
def test_what_a_line_means(line, source, outputs, notes):
    args, config = read(line)
    assert source is None or config.source.spec == source
    assert list(config.outputs) == outputs
    assert len(args.notes) == len(notes) and all(said in note for said, note in zip(notes, args.notes)), args.notes


@pytest.mark.parametrize("line, outputs", [
    ("-v 0", ["window?mirror=true"]), ("-v clip.mp4", ["window"]), ("-v clip.mp4 -s a.mp4", ["window", "video:a.mp4"]),
    ("-v 0 --set output.window=false", []), ("-v 0 --output window", ["window"]), ("-i a.jpg", ["image:output.png"]),
])
def test_a_film_is_shown_where_there_is_a_display_and_a_camera_as_in_a_mirror(monkeypatch, line, outputs):
    monkeypatch.setenv("DISPLAY", ":0")
    assert list(read(line)[1].outputs) == outputs


@pytest.mark.parametrize("name, network", [("legacy", "facemesh_pth"), ("normal", "face_landmark"),
                                           ("refine", "face_attention")])
def test_the_types_of_the_model_are_networks(name, network):
    assert read("-m " + name)[1].models.align == (network,)


def test_every_option_of_theirs_is_taken_and_one_line_names_those_that_are_left_out():
    for flags, value in THEIRS.items():
        for flag in flags.split():
            assert read_words(["ailia", flag] + ([] if value is None else [value])).command == "ailia"
    words = [word for flags, value in THEIRS.items() for word in (flags.split()[0], value) if word is not None]
    left = read_words(["ailia"] + words).notes[0]
    assert left.startswith("left out")
    assert set(left.partition(": ")[2].split(", ")) == {word.flags.split()[-1] for word in ailia.LEFT_OUT}


@pytest.mark.parametrize("line, said", [
    ("--inptu a.jpg", "did you mean --input"), ("a.jpg", "a.jpg is unknown, did you mean --input a.jpg?"), ("-i", "missing"),
    ("-m refined", "did you mean refine"), ("-m x", "is none of legacy, normal, refine"), ("-bc 0", "-bc: 0 is not"),
    ("-bc x", "is not a whole number"), ("-e x", "-e: x is not"), ("-v", "its value is missing"), ("--save a", "--save"),
])
def test_a_wrong_word_is_one_line_that_names_it(line, said):
    with pytest.raises(ConfigError) as raised:
        read(line)
    assert said in str(raised.value) and "\n" not in str(raised.value) and raised.value.exit_code == 2


@pytest.mark.parametrize("word", ["--input", "--video", "--savepath"])
def test_an_empty_word_is_a_variable_that_is_not_set(word):
    with pytest.raises(ConfigError, match="is a variable not set"):
        read_words(["ailia", word, ""])


def test_what_runs_networks_here_is_listed_and_nothing_runs(capsys):
    assert cli.main(["ailia", "--env_list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("env[{}]=".format(i)) for i, line in enumerate(lines)), lines
