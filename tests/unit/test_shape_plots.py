"""The plots of answers against truth."""
import json
import sys
from xml.dom import minidom

import numpy as np
import pytest

from calibration.shapes import plots

COUNT = 60


@pytest.fixture
def film(tmp_path):
    truth = np.clip(np.sin(np.arange(COUNT) / 6.0), 0.0, 1.0)
    (tmp_path / "x.csv").write_text("frame,box_y1,jawOpen,cheekPuff\n" + "".join(
        "{},9,{:.4f},0\n".format(i, v) for i, v in enumerate(truth)))
    records = [{"frame": i, "faces": [{"expression": {"jawOpen": 0.1 + 0.5 * v, "eye_open_left": 1.0}}] if i % 20 != 7 else []}
               for i, v in enumerate(truth)]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return [str(tmp_path / "x.jsonl"), str(tmp_path / "x.csv")]


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["plots"] + list(arguments))
    code = plots.main()
    return (code,) + tuple(capsys.readouterr())


def test_a_panel_for_each_shape_that_is_answered_with_its_correlation(film, monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, *film)
    texts = [node.firstChild.data for node in minidom.parseString(out).getElementsByTagName("text")]
    assert code == 0 and texts == ["jawOpen  r = 1.00"]
    assert out.count("polyline") == 1 + 4  # the truth, and the answers between the frames without a face


def test_the_first_of_several_films_shows_the_shapes_own_second_alone(film):
    read = plots.read_film(*film)
    assert plots.own_second(np.array([0.0] * 40 + [0.5] * 10 + [0.0] * 40)) == slice(25, 65)
    assert plots.draw([read, read]).count("polyline") > plots.draw([read]).count("polyline")


@pytest.mark.parametrize("change, said", [
    (lambda f: f[::-1], "not JSON|Expecting|not the truth"), (lambda f: [f[0], f[0]], "not the truth of a rendered film"),
    (lambda f: ["absent.jsonl", f[1]], "absent.jsonl"),
])
def test_what_is_no_such_pair_is_one_line(film, monkeypatch, capsys, change, said):
    code, out, err = run(monkeypatch, capsys, *change(film))
    assert code == 1 and out == "" and err.count("\n") == 1
    assert any(part in err for part in said.split("|"))


def test_records_without_shapes_name_the_option(film, monkeypatch, capsys):
    with open(film[0], "w") as f:
        f.write('{"frame": 0, "faces": []}\n')
    code, _, err = run(monkeypatch, capsys, *film)
    assert code == 1 and "--shapes" in err
