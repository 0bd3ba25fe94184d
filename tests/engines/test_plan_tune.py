"""`nanoface build --tune` without building anything: which plan is chosen, and what an interrupted tuning keeps."""
import hashlib
import io
import json
import os

import pytest

from edge.core.errors import ConfigError, EngineError, ModelError
from edge.host.disk import write_whole
from edge.store import plans
from edge.store.models import sha256_of
from engines.build import command, context, tune
from engines.build.boardfacts import Facts
from engines.build.command import BuildOptions, run_build
from engines.build.tune import run_tune

NANO = Facts("8.2.1.8", "NVIDIA Tegra X1", "5.3", "32.7.1")
BOX = {"unit": "px", "median": 0.0, "worst": 0.1, "tolerance": 1.0}
WAYS = ("fp16-cublas+cudnn", "fp16-cublas", "fp32-cublas+cudnn", "fp32-cublas")


class Bench:
    """Stands in for the building process: makes a plan of nothing that takes as long as the test says."""

    def __init__(self, home, monkeypatch):
        self.home, self.times_ms, self.unverified, self.calls, self.stop_at = str(home), {}, [], [], None
        for module in (command, tune):
            monkeypatch.setattr(module, "build_one", self.build_one)
            monkeypatch.setattr(module, "lint_gate", lambda home, stored: None)
        monkeypatch.setattr(context, "ask_facts", lambda folder, root, stop: NANO)
        monkeypatch.setattr("engines.build.cubin.find_nvcc", lambda folders: None)

    def fetch(self, *names):
        networks = {}
        for name in names:
            content = name.encode()
            write_whole(os.path.join(self.home, "onnx", name + ".onnx"), content)
            networks[name] = {"role": "detect", "decode": {}, "file": name + ".onnx",
                              "sha256": hashlib.sha256(content).hexdigest()}
        text = json.dumps({"schema": 1, "networks": networks})
        write_whole(os.path.join(self.home, "onnx", "index.json"), text.encode())

    def build_one(self, context, target, plan, runs, callbacks):
        way = "{} {}".format(target.stored.name, target.config.label)
        self.calls.append(way)
        if self.stop_at == len(self.calls):
            raise KeyboardInterrupt()
        took_ms = self.times_ms.get(way, 5.0)
        if isinstance(took_ms, str):
            raise EngineError(took_ms)
        sha256 = write_whole(plan, way.encode())
        shares = {"p50": took_ms, "p95": took_ms + 1}
        return dict(NANO._asdict(), schema=1, role=target.stored.role, network=target.stored.name, sha256=sha256,
                    size=len(way), onnx_sha256=target.stored.sha256, precision=target.precision, build_s=60.0,
                    flags=dict(target.flags, constraints=""), inputs=[], outputs=[],
                    verified=None if way in self.unverified else {"box": dict(BOX)},
                    measured={"device_ms": shares, "host_ms": {"p50": took_ms + 2, "p95": took_ms + 3}})

    def tune(self, **options):
        self.out = io.StringIO()
        self.calls = []
        self.code = run_tune(self.home, BuildOptions(only=("detect",), **options), self.out)
        return self.out.getvalue()

    def rows(self):
        with open(os.path.join(self.home, "plans", "tuning.json")) as f:
            return json.load(f)["rows"]

    def installed(self, name="yunet_s"):
        with open(plans.plan_path(self.home, "detect", name)) as f:
            return f.read()


@pytest.fixture
def bench(tmp_path, monkeypatch):
    made = Bench(tmp_path, monkeypatch)
    made.fetch("yunet_s", "yunet_n")
    return made


def test_the_fastest_on_the_gpu_is_installed_and_its_configuration_kept(bench):
    bench.times_ms = {"yunet_s fp32-cublas": 2.0, "yunet_s fp16-cublas": 3.0}
    output = bench.tune()
    assert bench.code == 0 and bench.installed() == "yunet_s fp32-cublas"
    assert bench.calls == ["yunet_s " + way for way in WAYS]
    assert [row["chosen"] for row in bench.rows()] == [False, False, False, True]
    assert "chosen: fp32-cublas" in output and "sudo jetson_clocks" in output and "\\n" not in output
    with open(os.path.join(bench.home, "plans", "tuning.txt")) as f:
        text = f.read()
    assert "NVIDIA Tegra X1, TensorRT 8.2.1.8, L4T 32.7.1" in text and text.count("verified") == 4
    out = io.StringIO()
    assert run_build(bench.home, BuildOptions(only=("detect",)), out) == 0 and "up to date" in out.getvalue()
    assert run_build(bench.home, BuildOptions(only=("detect",), untuned=True), out) == 0
    assert bench.installed() == "yunet_s fp16-cublas+cudnn" and plans.chosen(bench.home) == {}


@pytest.mark.parametrize("options, best", [
    ({"networks": ("yunet_s", "yunet_n")}, "yunet_n fp16-cublas"),
    ({"all_networks": True}, "yunet_n fp16-cublas"),
    ({"networks": ("yunet_s",)}, "yunet_s fp16-cublas+cudnn"),
])
def test_the_candidate_networks_compete_where_they_are_asked_for(bench, options, best):
    bench.times_ms = {"yunet_n fp16-cublas": 1.0, "yunet_s fp16-cublas+cudnn": 4.0}
    bench.tune(**options)
    name = best.split()[0]
    assert bench.installed(name) == best and plans.chosen(bench.home) == {"detect": name}
    out = io.StringIO()
    run_build(bench.home, BuildOptions(only=("detect",)), out)
    assert "detect    {}          up to date".format(name) in out.getvalue()


def test_what_does_not_agree_is_never_chosen_however_fast(bench):
    bench.times_ms = {"yunet_s " + way: "disagrees with ONNX Runtime" for way in WAYS[:3]}
    output = bench.tune()
    assert bench.code == 0 and bench.installed() == "yunet_s fp32-cublas" and output.count("failed: disagrees") == 3
    assert [bool(row["failure"]) for row in bench.rows()] == [True, True, True, False]


def test_where_nothing_is_right_the_former_plan_stays(bench):
    bench.tune()
    before = sha256_of(plans.plan_path(bench.home, "detect", "yunet_s"))
    bench.times_ms = {"yunet_s " + way: "TensorRT could not build it" for way in WAYS}
    assert "no variant gives a plan that is right" in bench.tune() and bench.code == 4
    assert sha256_of(plans.plan_path(bench.home, "detect", "yunet_s")) == before


def test_an_interrupted_tuning_goes_on_where_it_was_and_force_begins_anew(bench):
    bench.stop_at = 3
    with pytest.raises(KeyboardInterrupt):
        bench.tune()
    assert len(bench.rows()) == 2 and not os.path.exists(plans.plan_path(bench.home, "detect", "yunet_s"))
    bench.stop_at = None
    bench.tune()
    assert bench.calls == ["yunet_s " + way for way in WAYS[2:]] and len(bench.rows()) == 4
    bench.stop_at = 4
    with pytest.raises(KeyboardInterrupt):
        bench.tune()
    bench.stop_at = None
    bench.tune(force=True)
    assert len(bench.calls) == 4 and bench.code == 0


@pytest.mark.parametrize("changes", [
    {"rows": 5}, {"rows": [5]}, {"rows": [{"role": "align"}]}, {"ways": 5}, {"ways": {"align": 5}}, {"ways": {"align": [{}]}}])
def test_a_table_that_is_damaged_is_written_anew(bench, changes):
    bench.tune()
    path = os.path.join(bench.home, "plans", "tuning.json")
    with open(path) as f:
        table = json.load(f)
    write_whole(path, json.dumps(dict(table, **changes)).encode())
    bench.tune()
    assert bench.code == 0 and [row["chosen"] for row in bench.rows()] == [True, False, False, False]


@pytest.mark.parametrize("way", [{"tactic_sources": [[]]}, {"tactic_sources": 5}, {"precision": "int8"}, {"network": 7}])
def test_a_way_that_is_none_is_not_built(bench, way):
    bench.tune()
    path = os.path.join(bench.home, "plans", "chosen.json")
    with open(path) as f:
        choice = json.load(f)
    choice["ways"]["detect"].update(way)
    write_whole(path, json.dumps(choice).encode())
    assert run_build(bench.home, BuildOptions(only=("detect",), force=True), io.StringIO()) == 0
    assert bench.calls[-1] == "yunet_s fp16-cublas+cudnn"


def test_what_another_role_has_measured_is_left_for_the_tuning_that_goes_on(bench):
    other = os.path.join(bench.home, "plans", "tune", "align-face_landmark-fp16-cublas.plan")
    write_whole(other, b"plan")
    bench.tune()
    assert os.listdir(os.path.dirname(other)) == [os.path.basename(other)]


def test_a_kept_trial_that_was_altered_is_made_again(bench):
    bench.stop_at = 3
    with pytest.raises(KeyboardInterrupt):
        bench.tune()
    with open(os.path.join(bench.home, "plans", "tune", "detect-yunet_s-fp16-cublas.plan"), "ab") as f:
        f.write(b"x")
    bench.stop_at = None
    bench.tune()
    assert bench.calls == ["yunet_s " + way for way in WAYS[1:]]


def test_a_network_that_must_stay_in_fp32_is_tried_in_fp32_alone(bench):
    entry = {"onnx_sha256": sha256_of(os.path.join(bench.home, "onnx", "yunet_s.onnx")), "fp32_layers": [], "whole": True}
    with open(os.path.join(bench.home, "fp16.json"), "w") as f:
        json.dump({"schema": 1, "networks": {"yunet_s": entry}}, f)
    bench.tune()
    assert bench.calls == ["yunet_s " + way for way in WAYS[2:]]


def test_those_that_were_compared_go_before_those_that_could_not_be(bench):
    bench.times_ms, bench.unverified = {"yunet_s fp16-cublas": 1.0, "yunet_s fp32-cublas": 3.0}, ["yunet_s fp16-cublas"]
    bench.tune()
    assert bench.installed() == "yunet_s fp32-cublas" and "not verified" in bench.out.getvalue()
    bench.unverified = ["yunet_s " + way for way in WAYS]
    bench.tune()
    assert bench.installed() == "yunet_s fp16-cublas" and bench.code == 0


def test_a_role_without_a_network_fails_and_the_options_of_one_way_are_refused(bench):
    bench.fetch()
    assert "not tuned: none of the networks yunet_s, " in bench.tune() and bench.code == 4
    for options in ({"fp32": True}, {"tactics": ("cublas",)}):
        with pytest.raises(ConfigError, match="leave out --fp32 and --tactics"):
            bench.tune(**options)
    assert issubclass(EngineError, ModelError)


class Ways(Bench):
    """The networks of points and irises, in both ways; `fails` as the linter would say it."""

    def fetch(self, *names):
        super().fetch(*names)
        path = os.path.join(self.home, "onnx", "index.json")
        with open(path) as f:
            index = json.load(f)
        for name, entry in index["networks"].items():
            roles = {"face_landmark": ["align"], "face_attention": ["align", "iris"], "iris_landmark": ["iris"]}[name]
            entry.update(role=roles[0], roles=roles)
            if name == "face_attention":
                entry["lint"] = {"sha256": entry["sha256"], "faults": [], "nodes": [], "grouped": ["heads"]}
        write_whole(path, json.dumps(index).encode())

    def tune(self, **options):
        self.out, self.calls = io.StringIO(), []
        every = {"detect": ("yunet_s",), "align": ("face_attention", "face_landmark"), "iris": ("iris_landmark",)}
        del every["detect"]
        self.code = run_tune(self.home, BuildOptions(**dict({"candidates": every}, **options)), self.out)
        return self.out.getvalue()

    def plans(self):
        return sorted(name for name in os.listdir(os.path.join(self.home, "plans")) if name.endswith(".plan"))

    def ways(self):
        with open(os.path.join(self.home, "plans", "tuning.json")) as f:
            return json.load(f)["ways"]["align"]


@pytest.fixture
def both(tmp_path, monkeypatch):
    made = Ways(tmp_path, monkeypatch)
    made.fetch("face_landmark", "face_attention", "iris_landmark")
    return made


def costs(**ms):
    """Milliseconds by network; what stands in `ms` with a variant goes before what stands there without."""
    return {"{} {}".format(name, way): value for name, value in ms.items() for way in WAYS + tuple(w + "-dense" for w in WAYS)}


MESH_PLANS, ATTENTION_PLANS = ["align-face_landmark.plan", "iris-iris_landmark.plan"], ["align-face_attention.plan"]


@pytest.mark.parametrize("mesh, iris, attention, expected", [
    (4.0, 5.0, 8.0, ATTENTION_PLANS),
    (4.0, 5.0, 10.5, ATTENTION_PLANS),  # 9 + 2 x 2 against 10.5 + 2: one launch less outweighs the GPU's own time
    (4.0, 5.0, 11.5, MESH_PLANS),
])
def test_the_cheaper_way_is_installed_with_the_hosts_part_of_each_engine(both, mesh, iris, attention, expected):
    both.times_ms = costs(face_landmark=mesh, iris_landmark=iris, face_attention=attention)
    output = both.tune()
    assert both.code == 0 and both.plans() == expected, output
    rows = {tuple(row["networks"]): row for row in both.ways()}
    assert rows[("face_landmark", "iris_landmark")]["together_ms"] == mesh + iris + 4.0
    assert rows[("face_attention",)]["host_ms"] == 2.0 and rows[("face_attention",)]["device_ms"] == attention
    assert [row["chosen"] for row in both.ways()] == [True, False]
    with open(os.path.join(both.home, "plans", "tuning.txt")) as f:
        text = f.read()
    assert "= {:.2f}".format(mesh + iris + 4.0) in text and "not the stages' own Python" in text
    assert text.count(", chosen") == len(expected) + 1
    chosen = plans.chosen(both.home)
    assert chosen["align"] == expected[0].split("-")[1][:-5] and ("iris" in chosen) == (len(expected) > 1)
    out = io.StringIO()
    every = {"align": ("face_attention", "face_landmark"), "iris": ("iris_landmark",)}
    assert run_build(both.home, BuildOptions(candidates=every), out) == 0
    assert out.getvalue().count("up to date") == len(expected), out.getvalue()


def test_grouped_convolutions_are_tried_as_dense_ones_and_what_was_found_is_built_again(both):
    both.times_ms = dict(costs(face_landmark=9.0, iris_landmark=9.0, face_attention=5.0),
                         **{"face_attention fp16-cublas-dense": 3.0})
    both.tune()
    tried = [call.split()[1] for call in both.calls if call.startswith("face_attention")]
    assert tried == ["fp16-cublas+cudnn", "fp16-cublas", "fp16-cublas+cudnn-dense", "fp16-cublas-dense", "fp32-cublas+cudnn",
                     "fp32-cublas"]
    assert not any("dense" in call for call in both.calls if "attention" not in call)
    assert "ms faster than without cuDNN" not in both.out.getvalue().split("chosen: fp16-cublas-dense")[1].split("\n")[0]
    plan = plans.find(both.home, "align", "face_attention")
    assert plan.sidecar["flags"]["dense"] is True and "cublas, dense" in both.out.getvalue()
    out = io.StringIO()
    run_build(both.home, BuildOptions(only=("align",), force=True), out)
    assert both.calls[-1] == "face_attention fp16-cublas-dense"


@pytest.mark.parametrize("wrong, expected", [
    ("face_attention", MESH_PLANS), ("iris_landmark", ATTENTION_PLANS), ("face_landmark", ATTENTION_PLANS)])
def test_a_way_that_is_not_right_is_never_chosen_however_cheap(both, wrong, expected):
    both.times_ms = costs(**dict(dict.fromkeys(("face_landmark", "iris_landmark", "face_attention"), 5.0),
                                 **{wrong: "disagrees with ONNX Runtime"}))
    if expected == MESH_PLANS:
        both.times_ms.update(costs(face_landmark=50.0))
    output = both.tune()
    assert both.plans() == expected and both.code == 0, output


@pytest.mark.parametrize("options, tried", [
    ({"only": ("align",)}, {"face_landmark"}),
    ({"only": ("iris",)}, {"iris_landmark"}),
    ({"only": ("align", "iris")}, {"face_landmark", "iris_landmark"}),
    ({"networks": ("face_attention",)}, {"face_attention"}),
    ({"networks": ("face_attention", "face_landmark")}, {"face_attention", "face_landmark", "iris_landmark"}),
    ({"only": ("align",), "all_networks": True}, {"face_attention", "face_landmark", "iris_landmark"}),
    ({"candidates": {"align": ("face_attention",)}, "named": {"models.align"}}, {"face_attention"}),
    ({"candidates": {"align": ("face_attention", "face_landmark")}}, {"face_attention", "face_landmark"}),  # --iris none
    ({}, {"face_attention", "face_landmark", "iris_landmark"}),
])
def test_what_the_user_names_is_all_that_is_tried(both, options, tried):
    both.tune(**options)
    assert {call.split()[0] for call in both.calls} == tried and both.code == 0, both.out.getvalue()


def test_a_way_that_cannot_be_tried_leaves_the_other(both):
    both.fetch("face_landmark", "iris_landmark")
    assert both.tune() and both.plans() == MESH_PLANS
    both.fetch("face_attention")
    assert both.tune(force=True) and both.plans() == ATTENTION_PLANS + MESH_PLANS and both.code == 0


def test_an_interrupted_comparison_goes_on(both):
    both.stop_at = 9
    with pytest.raises(KeyboardInterrupt):
        both.tune()
    assert both.plans() == []
    before, both.stop_at = both.calls[:8], None
    both.tune()
    assert not set(before) & set(both.calls) and len(before) + len(both.calls) == 14 and both.plans()
