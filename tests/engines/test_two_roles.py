"""A network that gives points and irises at once: from the manifest to a plan, in a copy of the program that has one more."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from fakes import SIMULATOR
from patience import PATIENCE_S

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("cv2")

from edge.store import models, plans

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OUTPUTS = {"landmarks": 1404, "presence": 1, "iris": 30, "contour": 426, "lips": 160}
ENTRY = """  whole:
    roles: [iris, align]
    sources: [{{github: "acme/nets@{commit}:whole.onnx", sha256: {sha256}, size: {size}}}]
    licence: {{spdx: MIT}}
    input: {{shape: [1, 3, 192, 192], colour: rgb, scale: 0.00392156862745098, offset: [0.0, 0.0, 0.0]}}
    outputs: {outputs}
    decode: {{}}
    convert: {{kind: onnx, input: [1, 3, 192, 192]}}

"""


def toy():
    """Bytes of an ONNX that makes 2021 numbers of the mean colours of a picture's tiles: points all over it, and a face."""
    from onnx import TensorProto, helper, numpy_helper

    rng, nodes, constants = np.random.RandomState(5), [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    tiles = constant("tiles", np.full((3, 1, 48, 48), 1.0 / 48 ** 2))
    nodes.append(helper.make_node("Conv", ["input", tiles], ["means"], "tile", strides=[48, 48], group=3))
    for name, count in OUTPUTS.items():
        bias = constant(name + "_bias", [9.0] if name == "presence" else rng.uniform(40, 150, count))
        weights = constant(name + "_weights", rng.uniform(-1, 1, (count, 3, 4, 4)) * (name != "presence"))
        nodes.append(helper.make_node("Conv", ["means", weights, bias], [name + "_map"], "of_" + name))
        nodes.append(helper.make_node("Flatten", [name + "_map"], [name], "flat_" + name, axis=1))
    graph = helper.make_graph(
        nodes, "whole", [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 192, 192])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count]) for name, count in OUTPUTS.items()], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 6
    return model.SerializeToString()


class Copy:
    """The program with a line more in each table, and the mirror that the network comes from."""

    def __init__(self, folder):
        self.folder, self.home = str(folder), str(folder / "home")
        left_out = shutil.ignore_patterns("__pycache__", "onnx", "plans", "cache")
        for name in ("edge", "engines", "calibration"):
            shutil.copytree(os.path.join(ROOT, name), os.path.join(self.folder, name), ignore=left_out)
        network = toy()
        place = folder / "mirror" / "github" / "acme" / "nets" / "whole.onnx"
        place.parent.mkdir(parents=True)
        place.write_bytes(network)
        entry = ENTRY.format(commit=COMMIT, sha256=hashlib.sha256(network).hexdigest(), size=len(network),
                             outputs=json.dumps({name: [1, count] for name, count in OUTPUTS.items()}))
        self.change("engines/manifest/manifest.yaml", "  # ---- the mesh\n", "  # ---- the mesh\n" + entry)
        self.change("engines/manifest/manifest.yaml", "align: {candidates: [", "align: {candidates: [whole, ")
        self.change("edge/core/roles.py", '"face_attention", ', '"whole", "face_attention", ')
        if os.path.exists(os.path.join(self.folder, "edge", "models", "aligners.py")):
            self.change("edge/models/aligners.py", '    "face_landmark":', '    "whole": FaceLandmark,\n    "face_landmark":')

    def change(self, path, old, new):
        path = os.path.join(self.folder, *path.split("/"))
        with open(path, encoding="utf-8") as f:
            text = f.read()
        assert text.count(old) == 1, path
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))

    def run(self, *words):
        """(exit code, what it said)"""
        packages = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != ROOT]
        env = dict(os.environ, PYTHONPATH=os.pathsep.join([self.folder, SIMULATOR] + packages), NANOFACE_HOME=self.home,
                   NANOFACE_CONFIG=os.devnull, NANOFACE_MIRROR=os.path.join(self.folder, "mirror"))
        done = subprocess.run([sys.executable, "-m", "edge"] + list(words), cwd=self.folder, env=env, timeout=PATIENCE_S,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        assert "Traceback" not in done.stdout, done.stdout
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    copy = Copy(tmp_path_factory.mktemp("copy"))
    code, output = copy.run("models", "fetch", "whole")
    assert code == 0 and "align+iris whole" in output and "built" in output, output
    return copy


def test_the_index_and_the_lists_name_both_roles_and_the_plan_that_of_its_stage(copy):
    entry = models.read_index(copy.home)["whole"]
    assert (entry["role"], entry["roles"]) == ("align", ["align", "iris"])
    assert models.locate(copy.home, "whole").roles == ("align", "iris")
    listed = dict(line[2:].split(None, 1) for line in copy.run("models", "list")[1].splitlines() if line[1:2] == " ")
    assert listed["whole"].split()[0] == "align+iris"
    stars = re.findall(r"^\* (\w+)  ", copy.run("models", "list")[1], re.M)
    assert {"whole", "face_landmark", "iris_landmark"} <= set(stars) and "facemesh_pth" not in stars  # both ways
    code, output = copy.run("models", "lint", "whole", "--markdown")
    assert code == 0 and "| whole | align+iris |" in output


def test_one_plan_is_built_and_verified_for_both_and_none_is_missed_for_the_irises(copy):
    code, output = copy.run("build", "--set", "models.align=whole", "--set", "models.pose=none")
    rows = [line.split()[0] for line in output.splitlines() if re.match(r"(detect|align|pose|iris) ", line)]
    assert code == 4 and rows == ["detect", "align"], output  # no detector was fetched
    assert [n for n in os.listdir(plans.plans_dir(copy.home)) if n.endswith(".plan")] == ["align-whole.plan"]
    plan = plans.find(copy.home, "align", "whole")
    assert set(plan.sidecar["verified"]) == {
        "landmarks", "median landmark", "depth", "presence", "iris", "contour", "outputs"}
    for runtime in ("onnxruntime", "tensorrt"):
        code, output = copy.run("verify", "whole", "--runtime", runtime)
        assert code == 0 and re.search(r" iris +px of 192 .* agrees", output) and "cropped contour" in output, output
    code, output = copy.run("build", "--list", "--set", "models.align=whole")
    assert "align     whole            up to date" in output and "\niris " not in output, output


def test_the_irises_have_a_network_of_their_own_where_the_user_names_it(copy):
    for words in (["--only", "iris"], ["--set", "models.iris=iris_landmark"]):
        code, output = copy.run("build", "--list", "--set", "models.align=whole", *words)
        assert "iris      -                cannot be built: the network iris_landmark is not in" in output, output


def test_it_is_counted_once_in_the_estimate(copy):
    path = os.path.join(plans.plans_dir(copy.home), plans.CHOICE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump({"schema": 1, "roles": {"align": "whole"}}, f)
    code, output = copy.run("estimate", "--json")
    os.remove(path)
    found = json.loads(output)
    running = {engine["role"]: engine["network"] for engine in found["engines"] if engine["role"]}
    assert running == {"detect": "yunet_s", "align": "whole", "pose": "mb05"}
    tracking = found["situations"]["tracking"]["stages"]
    assert tracking["align"]["device"][1] > 0.0 and set(tracking["iris"]["device"] + tracking["iris"]["host"]) == {0.0}
