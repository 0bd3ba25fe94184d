"""`nanoface bench`, `make bench` and `make bench-growth`: the tracker alone, and beside a peer that runs while it waits."""
import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

from edge.bench.measure import JSONL
from edge.cli.options import config_of
from edge.cli.table import read_words
from edge.config.load import load_config
from edge.core.roles import RUNTIMES
from edge.outputs.spec import parse_outputs

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BESIDE = os.path.join(TESTS, "peers", "bench_beside.py")
PEER = """#!{python}
import json, sys
if len(sys.argv) != 3 or not sys.argv[1].endswith("mediapipe_facemesh.py"):
    sys.exit("what is this?")
rounds = 0
print(json.dumps({{"version": "0.0"}}), flush=True)
for _ in sys.stdin:
    rounds += 1
    print(json.dumps({{"cpu_ms": 1000.0 * rounds, "wall_ms": 5.0, "faces": 3, "peak_mb": 7.0}}), flush=True)
"""
needs_runtime = pytest.mark.skipif(not any(map(find_spec, RUNTIMES)), reason="needs a runtime for networks")


@pytest.fixture
def peers(monkeypatch):
    """The modules of tests/peers by name."""
    monkeypatch.syspath_prepend(os.path.dirname(BESIDE))
    return import_module


def bench(models_home, *words):
    environ = dict(os.environ, NANOFACE_HOME=models_home, NANOFACE_CONFIG=os.devnull)
    return subprocess.run([sys.executable] + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=300, env=environ)


@needs_runtime
def test_the_tracker_alone_tells_what_it_and_each_network_cost(models_home):
    done = bench(models_home, "-m", "edge", "bench", "--source", "portrait", "--frames", "3", "--rounds", "1", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    reported = json.loads(done.stdout)
    assert (reported["frames"], reported["rounds"], reported["source"]) == (3, 1, "portrait")
    assert 0.0 < reported["networks_ms"]["median"] < reported["cpu_ms"]["median"]
    assert {"yunet_s", "mb05"} < {row["network"] for row in reported["alone"]} and "peer" not in reported


@needs_runtime
def test_every_round_of_the_tracker_has_one_of_the_peer(tmp_path, models_home, monkeypatch, capsys, peers):
    beside, peer = peers("bench_beside"), tmp_path / "python"
    peer.write_text(PEER.format(python=sys.executable))
    peer.chmod(0o755)
    ends = (beside.FORMS[0], beside.FORMS[-1])  # the others are refused or run as these are
    monkeypatch.setattr(beside, "FORMS", ends)
    monkeypatch.setattr(beside, "GAINS", (("less", ends[1].name, ends[0].name),))
    monkeypatch.setattr("edge.bench.measure.ALONE_RUNS", 1)
    monkeypatch.setenv("NANOFACE_HOME", models_home)
    monkeypatch.setenv("NANOFACE_CONFIG", os.devnull)

    assert beside.main([str(peer), "--source", "portrait", "--frames", "3", "--rounds", "2", "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert (reported["frames"], reported["rounds"], reported["peer"]["name"]) == (3, 2, "MediaPipe 0.0 FaceMesh")
    assert 0.0 < reported["networks_ms"]["median"] < reported["cpu_ms"]["median"]
    assert reported["peer"]["cpu_ms"]["median"] == 1500.0  # of a first and a second round, and no third
    assert 0.0 < reported["peer"]["cpu_ratio"]["median"] < 1.0 and reported["peer"]["faces"] == 3
    assert [form["faces"] for form in reported["forms"].values()] == [1, 1]
    camera, points_first = reported["forms"]["camera"], reported["forms"]["camera_points"]
    assert camera["cpu_ms"] == reported["cpu_ms"] and points_first["networks"][1][0] == "face_landmark"
    gain = reported["gains"][0]
    assert (gain["before_ms"], gain["after_ms"]) == (points_first["cpu_ms"]["median"], camera["cpu_ms"]["median"])


def test_every_form_and_case_is_one_that_the_tracker_takes_and_gains_are_between_forms(peers):
    forms, cases = peers("bench_beside").FORMS, peers("bench_growth").CASES
    made = [config_of(read_words(["bench"] + list(one.words))).pipeline for one in forms + tuple(cases)]
    ends = {form.name: one.ends() for form, one in zip(forms, made)}
    assert ends["recorded"] == load_config(None, {}, None).pipeline.ends() == ends["no_pose"]
    assert (ends["camera"], ends["recorded"], ends["read_ahead"]) == ((False, False), (True, True), (False, True))
    assert {name for gain in peers("bench_beside").GAINS for name in gain[1:]} <= set(ends)
    asked = {form.name: [spec.keys for spec in parse_outputs(form.outputs)] for form in forms if form.outputs != JSONL}
    assert asked == {"shapes": [{"shapes": True}], "events": [{"events": True}],
                     "shapes_events": [{"shapes": True, "events": True}]}


def test_the_frames_whose_faces_grow_are_the_same_each_time_and_move(peers):
    made = peers("bench_growth").made
    for faces, filled in ((1, {(0, 0)}), (3, {(0, 0), (0, 1), (1, 0)})):
        one, other = made(2, faces, 480)
        assert one.shape == (480, 852, 3) and (one == made(1, faces, 480)[0]).all()
        quarters = {(y, x): np.s_[240 * y:240 * (y + 1), 426 * x:426 * (x + 1)] for y in (0, 1) for x in (0, 1)}
        assert {at for at, part in quarters.items() if one[part].std() > 30} == filled
        assert all((one[quarters[at]] != other[quarters[at]]).any() for at in filled)


@pytest.mark.parametrize("words, code, part", [
    ([], 2, "name a Python that has mediapipe"), (["absent/python"], 2, "absent/python: No such file"),
    ([sys.executable], 4, "it does not run MediaPipe's FaceMesh"),
    ([sys.executable, "--sorce", "x"], 2, "did you mean --source"),
])
def test_wrong_words_for_the_peer_are_one_line(models_home, words, code, part):
    source = ["--source", "portrait", "--frames", "1"] if len(words) == 1 else []
    done = bench(models_home, BESIDE, *words + source)
    assert (done.returncode, done.stdout) == (code, "") and done.stderr.count("\n") == 1 and part in done.stderr
