"""`nanoface bench`, `make bench` and `make bench-growth`: the tracker alone, and beside a peer that runs while it waits."""
import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest

from edge.core.roles import RUNTIMES

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BESIDE = os.path.join(TESTS, "peers", "bench_beside.py")
PEER = """#!{python}
import json, sys, time
if len(sys.argv) != 3 or not sys.argv[1].endswith("mediapipe_facemesh.py"):
    sys.exit("what is this?")
rounds = 0
print(json.dumps({{"version": "0.0"}}), flush=True)
for _ in sys.stdin:
    rounds += 1
    spent = time.process_time() + 0.3
    while time.process_time() < spent:  # it would be seen in the tracker's own figures
        pass
    print(json.dumps({{"cpu_ms": 1000.0 * rounds, "wall_ms": 5.0, "faces": 3, "peak_mb": 7.0}}), flush=True)
"""


def bench(models_home, *words):
    environ = dict(os.environ, NANOFACE_HOME=models_home, NANOFACE_CONFIG=os.devnull)
    return subprocess.run([sys.executable] + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=300, env=environ)


@pytest.mark.parametrize("script", [[BESIDE, "PEER"], ["-m", "edge", "bench"]], ids=["beside", "alone"])
def test_every_round_of_the_tracker_has_one_of_the_peer(tmp_path, models_home, script):
    if not any(map(find_spec, RUNTIMES)):
        pytest.skip("needs a runtime for networks")
    peer = tmp_path / "python"
    peer.write_text(PEER.format(python=sys.executable))
    peer.chmod(0o755)
    done = bench(models_home, *[str(peer) if word == "PEER" else word for word in script] +
                 ["--source", "portrait", "--frames", "3", "--rounds", "2", "--json"])
    assert (done.returncode, done.stderr) == (0, "")
    reported = json.loads(done.stdout)
    assert (reported["frames"], reported["rounds"], reported["source"]) == (3, 2, "portrait")
    assert 0.0 < reported["networks_ms"]["median"] < reported["cpu_ms"]["median"]
    assert {"yunet_s", "mb05"} < {row["network"] for row in reported["alone"]}
    assert ("peer" in reported) == (script[0] == BESIDE)
    if "peer" in reported:
        assert reported["peer"]["name"] == "MediaPipe 0.0 FaceMesh" and reported["peer"]["faces"] == 3
        assert reported["peer"]["cpu_ms"]["median"] == 1500.0  # of a first and a second round, and no third
        assert 0.0 < reported["peer"]["cpu_ratio"]["median"] < 1.0
        assert len(reported["forms"]) == 6 and all(form["faces"] == 1 for form in reported["forms"].values())
        points_first = {form["networks"][1][0] for key, form in reported["forms"].items() if key.endswith("points")}
        assert len(reported["gains"]) == 2 and all(gain["before_ms"] > 0.0 for gain in reported["gains"])
        assert points_first == {"face_landmark"} and reported["forms"]["camera"]["cpu_ms"] == reported["cpu_ms"]


def test_the_frames_whose_faces_grow_are_the_same_each_time_and_move(monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(BESIDE))
    made = import_module("bench_growth").made
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
