"""What comes next has a place to go: a toy detector, and a toy network that fills points and irises, each in a file of its
own and its line in two tables; the real command then runs them. Shown on a copy of the program.
"""
import os
import shutil

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the toys are run with ONNX Runtime")
pytest.importorskip("onnx", reason="the toys are networks made with the package onnx")
from fakes.simulated import onnx_bytes
from whole_runs import ROOT, Program, write_index

from edge.core.roles import NETWORKS
from edge.store.models import sha256_of
from tests.unit.test_eyes import contour
from tests.unit.test_stages import mesh_in_crop

NAMES, SIZE = "edge/core/roles.py", 64
BOX = (10.0, 6.0, 22.0, 20.0)  # input pixels of the toy detector, of 32
CORNERS = ((33, 133), (362, 263))
DETECTOR = '''"""A toy: one face, always at the same place."""
from edge.core.contracts import RGB
from edge.models.spec import Detector, Input, shaped, surest


class ToyFinder(Detector):
    input = Input((32, 32), RGB, 1.0 / 255.0, (0.0, 0.0, 0.0))

    def _surest(self, outputs, threshold):
        scores = shaped(outputs, "score", (1,), self.network)
        found = surest(scores, threshold)
        return found, scores[found]

    def _places(self, outputs, anchors):
        return shaped(outputs, "box", (1, 4), self.network)[anchors], None
'''
ALIGNER = '''"""A toy: points, irises and lids in one go."""
import numpy as np

from edge.core.contracts import RGB, Crop
from edge.core.packet import Eyes
from edge.face.mesh import POINTS
from edge.geometry import roi as regions
from edge.models.iris_landmark import circle
from edge.models.spec import Aligned, Aligner, shaped

SIZE = 64


class ToyMesh(Aligner):
    fills = ("landmarks", "irises", "eye_contours")

    def crop(self, roi):
        return Crop(regions.matrix(roi, SIZE), (SIZE, SIZE), RGB, 1.0 / 255.0, (0.0, 0.0, 0.0))

    def decode(self, outputs, roi):
        back = regions.invert(self.crop(roi).matrix)
        points = shaped(outputs, "points", (POINTS, 3), self.network)
        landmarks = np.column_stack([regions.apply(back, points[:, :2]), points[:, 2] * (roi.size / SIZE)])
        irises = [circle(regions.apply(back, eye)) for eye in shaped(outputs, "irises", (2, 5, 2), self.network)]
        lids = [regions.apply(back, eye) for eye in shaped(outputs, "lids", (2, 71, 2), self.network)]
        return Aligned(landmarks, float(shaped(outputs, "presence", (1,), self.network)[0]),
                       {"irises": Eyes(*irises), "eye_contours": Eyes(*lids)})
'''
TOYS = {  # new file, its text, the table of its kind, the class
    "detect": ("edge/models/detectors/toy_finder.py", DETECTOR, "edge/models/detectors/table.py", "ToyFinder"),
    "align": ("edge/models/toy_mesh.py", ALIGNER, "edge/models/aligners.py", "ToyMesh"),
}


def add(copy, role):
    """Write a toy's file and its lines in the tables; what changed: file -> lines that are new."""
    file, text, table, kind = TOYS[role]
    name, row = file.split("/")[-1][:-3], ""
    (copy / file).write_text(text)
    whole = (copy / table).read_text().split("\n")
    first = next(i for i, line in enumerate(whole) if line.startswith("from edge.models"))
    row = next(i for i, line in enumerate(whole) if line.endswith(" = {"))
    whole[row + 1:row + 1] = ['    "{}": {},'.format(name, kind)]
    whole[first:first] = ["from {} import {}".format(file[:-3].replace("/", "."), kind)]
    (copy / table).write_text("\n".join(whole))
    names = (copy / NAMES).read_text()
    known = '"{}", '.format(NETWORKS[role][0])  # where the role's networks begin
    assert names.count(known) == 1
    (copy / NAMES).write_text(names.replace(known, '"{}", {}'.format(name, known)))
    return name


def differences(copy):
    """File of the product -> how many of its lines are not in the one that it was copied from."""
    found = {}
    for place, _, names in os.walk(str(copy / "edge")):
        for path in (os.path.join(place, name) for name in names if name.endswith((".py", ".yaml"))):
            name = os.path.relpath(path, str(copy)).replace(os.sep, "/")
            before = []
            if os.path.exists(os.path.join(ROOT, name)):
                with open(os.path.join(ROOT, name), encoding="utf-8") as f:
                    before = f.read().split("\n")
            with open(path, encoding="utf-8") as f:
                new = [line for line in f.read().split("\n") if line not in before]
            if new:
                found[name] = len(new)
    return found


def answering(batch, size, **outputs):
    """A network that says the same to every picture: nothing of the picture is left but zero times its mean."""
    nodes = [("GlobalAveragePool", "input", "mean", {}), ("Flatten", "mean", "flat", {"axis": 1})]
    weights = {}
    for name, values in outputs.items():
        values = np.asarray(values, np.float32).reshape(1, -1)
        weights.update({name + "_w": np.zeros((3, values.size), np.float32), name + "_b": values})
        nodes.append(("Gemm", "flat {0}_w {0}_b".format(name), name, {}))
    sizes = [(name, (batch, np.asarray(values).size)) for name, values in outputs.items()]
    return onnx_bytes(nodes, [("input", (batch, 3, size, size))], sizes, weights)


def seen_by_the_toy():
    """What the toy mesh says, pixels of its crop: open eyes with the irises in the middle."""
    points = mesh_in_crop() * (SIZE / 192.0)
    irises, lids = [], []
    for a, b in CORNERS:
        middle, width = (points[a, :2] + points[b, :2]) / 2.0, float(np.linalg.norm(points[a] - points[b]))
        irises.append(middle + np.array([[0, 0], [1, 0], [0, -1], [-1, 0], [0, 1]]))
        lids.append(contour(0.25, width, at=middle - (width / 2.0, 0.0)))
    return {"points": points, "presence": [0.97], "irises": irises, "lids": lids}


def networks():
    """Name -> role and bytes."""
    crop = mesh_in_crop()
    iris = np.array([[40, 32, 0], [46, 32, 0], [40, 26, 0], [34, 32, 0], [40, 38, 0]])  # beside the middle
    lids = np.column_stack([contour(0.25, 28.0, at=(18.0, 32.0)), np.zeros(71)])
    return {
        "toy_finder": ("detect", answering(1, 32, score=[0.9], box=BOX)),
        "toy_mesh": ("align", answering(1, SIZE, **seen_by_the_toy())),
        "face_landmark": ("align", answering(1, 192, landmarks=crop, presence=[4.0])),
        "iris_landmark": ("iris", answering(2, 64, iris=iris, contour=lids)),
    }


@pytest.fixture
def copy(tmp_path):
    """The product as it would be checked out, without networks."""
    shutil.copytree(os.path.join(ROOT, "edge"), str(tmp_path / "copy" / "edge"), ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy"


@pytest.fixture
def program(copy, tmp_path, tmp_path_factory):
    """call(names of networks, words) -> of a run of the copy over five frames of the portrait: the face of each, stage ->
    its network, and what was said."""
    def call(names, *words):
        home, made = tmp_path / "home-{}".format("-".join(names)), networks()
        (home / "onnx").mkdir(parents=True, exist_ok=True)
        entries = {}
        for name in names:
            path = home / "onnx" / (name + ".onnx")
            path.write_bytes(made[name][1])
            entries[name] = {"role": made[name][0], "file": path.name, "sha256": sha256_of(str(path)), "decode": {}}
        write_index(str(home), entries)
        path = os.pathsep.join([str(copy)] + [part for part in [os.environ.get("PYTHONPATH")] if part])
        done = Program(home, tmp_path_factory).run(
            "--source", "portrait", "--max-frames", "5", "--output", "jsonl:faces.jsonl", "--landmarks", "--runtime",
            "onnxruntime", "--status", "status.jsonl", *words, PYTHONPATH=path)
        records = done.records("faces.jsonl")
        assert [len(record["faces"]) for record in records] == [1] * 5
        stages = done.records("status.jsonl")[-1]["stages"]
        return [record["faces"][0] for record in records], {name: row.get("model") for name, row in stages.items()}, done.err
    return call


def check_little_was_touched(copy, role):
    """At most two files beside the line of the table, in which a class also has to be imported."""
    file, _, table, _ = TOYS[role]
    changed = differences(copy)
    assert set(changed) == {file, NAMES, table} and changed[NAMES] == 1 and changed[table] == 2


def test_a_toy_detector_is_a_file_and_its_lines_in_two_tables(copy, program):
    name = add(copy, "detect")
    check_little_was_touched(copy, "detect")
    faces, stages, _ = program(["toy_finder", "face_landmark"], "--detector", name, "--pose", "none", "--iris", "none")
    assert {face["missing"]["iris"] for face in faces} == {"switched off"}
    assert stages["detect"] == "toy_finder" and "iris" not in stages
    x0, y0, x1, y1 = faces[0]["box"]  # the region that the toy's box asks for, in which the mesh stands still
    scale = max(480, 640) / 32.0
    assert (x0 + x1) / 2 == pytest.approx(scale * (BOX[0] + BOX[2]) / 2, abs=6)
    assert (y0 + y1) / 2 == pytest.approx(scale * (BOX[1] + BOX[3]) / 2, abs=6)


def test_a_toy_network_that_fills_points_and_irises_leaves_the_iris_stage_out(copy, program):
    name = add(copy, "align")
    add(copy, "detect")
    faces, stages, output = program(["toy_finder", "toy_mesh", "iris_landmark"], "--detector", "toy_finder", "--aligner", name)
    assert "iris: left out, toy_mesh gives its values; --iris NAME uses a network of its own\n" in output
    assert stages["align"] == "toy_mesh" and "iris" not in stages and "iris_landmark" not in output
    for face in faces:
        assert face["missing"] == {} and len(face["landmarks"]) == 468 and len(face["eye_contours"]["left"]) == 71
        assert face["expression"]["eye_open_right"] > 0.9 and abs(face["gaze"]["yaw"]) < 15
        for side, (a, b) in zip(("right", "left"), CORNERS):
            middle = (np.array(face["landmarks"][a]) + face["landmarks"][b])[:2] / 2.0
            assert np.allclose(face["iris"][side]["center"], middle, atol=0.5)


def test_the_irises_that_the_user_switched_off_are_left_out_where_the_aligner_sees_them_too(copy, program):
    add(copy, "align")
    add(copy, "detect")
    words = ("--detector", "toy_finder", "--aligner", "toy_mesh")
    faces, stages, _ = program(["toy_finder", "toy_mesh"], *words, "--iris", "none")
    assert "iris" not in stages
    for face in faces:
        assert {face["missing"][key] for key in ("iris", "gaze", "eye_open_right", "eye_open_left")} == {"switched off"}
        assert not {"iris", "gaze", "eye_contours"} & set(face) and len(face["landmarks"]) == 468
        assert set(face["expression"]) == {"mouth_open"}


def test_a_toy_network_is_two_tables_and_a_file_also_where_it_does_two_stages_work(copy):
    add(copy, "align")
    check_little_was_touched(copy, "align")


def test_an_iris_network_that_the_user_names_overrides(copy, program):
    add(copy, "align")
    add(copy, "detect")
    words = ("--detector", "toy_finder", "--aligner", "toy_mesh", "--iris", "iris_landmark")
    faces, stages, output = program(["toy_finder", "toy_mesh", "iris_landmark"], *words)
    assert "left out" not in output and stages["iris"] == "iris_landmark"
    for face in faces:
        middle = (np.array(face["landmarks"][33]) + face["landmarks"][133])[:2] / 2.0
        assert np.linalg.norm(face["iris"]["right"]["center"] - middle) > 2.0
    faces, stages, output = program(["toy_finder", "toy_mesh"], *words)  # not fetched: what the aligner sees stays
    assert "iris: iris_landmark not built, toy_mesh gives its values\n" in output
    assert "iris" in faces[-1] and "gaze" in faces[-1] and "iris" not in stages
