"""When a plan is up to date, what a power cut between its two files leaves, and what the options ask for."""
import json
import os

import pytest

from edge.core.errors import ConfigError, EngineError, ModelError
from edge.host.disk import StorageError, write_whole
from edge.store import plans
from edge.store.models import StoredNetwork, sha256_of
from edge.store.plans import Board
from engines.build import boardfacts
from engines.build import target as buildtarget
from engines.build.boardfacts import Facts
from engines.build.selection import BuildOptions, Wanted, choose, config_of, selection
from engines.build.target import BuildConfig, Pins, Target, install, last_build_s, stale
from engines.manifest.read import read_manifest

FACTS = Facts("8.2.1.8", "NVIDIA Tegra X1", "5.3", "32.7.1")
STORED = StoredNetwork("mb05", "mb05.onnx", "mb05.onnx", {}, "pose", "5" * 64)
TARGET = Target(STORED, BuildConfig(), Pins())


def sidecar_of(target, plan, **changes):
    return dict(dict(FACTS._asdict(), schema=1, role="pose", network="mb05", sha256=sha256_of(plan),
                     size=os.path.getsize(plan), onnx_sha256="5" * 64, precision=target.precision, flags=target.flags,
                     build_s=70.5, verified=None, measured=None), **changes)


def put(home, content=b"plan", target=TARGET, **changes):
    plan = os.path.join(str(home), "new.plan")
    write_whole(plan, content)
    os.makedirs(plans.plans_dir(str(home)), exist_ok=True)
    sidecar = sidecar_of(target, plan, **changes)
    install(str(home), plan, sidecar)
    return sidecar


@pytest.mark.parametrize("target, facts, changes, why", [
    (TARGET, FACTS, {}, None),
    (TARGET, None, {"tensorrt": "8.0.1.6"}, None),
    (TARGET, FACTS, {"tensorrt": "8.0.1.6"}, "was built for TensorRT 8.0.1.6, here is 8.2.1.8"),
    (TARGET, FACTS, {"gpu": "GeForce"}, "was built for GPU GeForce"),
    (TARGET, None, {"onnx_sha256": "0"}, "was built of another version of mb05"),
    (TARGET, FACTS, {"onnx_sha256": "0"}, "was built of another version of mb05"),
    (TARGET, FACTS, {"size": 3}, "was cut short or altered"),
    (TARGET, FACTS, {"sha256": "0" * 64}, "is corrupt"),
    (TARGET, FACTS, {"schema": 2}, "is damaged: run `nanoface build --only pose`"),
] + [
    (TARGET, FACTS, changes, "is damaged: run `nanoface build --only pose`") for changes in (
        {"graphs": "no"}, {"graphs": 0}, {"graphs": []}, {"measured": 5}, {"measured": []}, {"measured": {"host_ms": 5}},
        {"measured": {"host_ms": {"p50": 1.0}}}, {"verified": []}, {"verified": {"box": {"worst": "much", "unit": "px"}}},
        {"verified": {"box": {"worst": 0.5}}}, {"verified": {"box": None}})
] + [
    (TARGET, FACTS, {"graphs": True, "measured": {"device_ms": None, "host_ms": {"p50": 1, "p95": 2.5}}}, None),
    (TARGET, FACTS, {"flags": None}, "does not say how"),
    (TARGET, FACTS, {"flags": dict(TARGET.flags, constraints="prefer")}, None),
    (TARGET._replace(config=BuildConfig("fp32")), FACTS, {"precision": "fp16"}, "built in fp16, wanted in fp32"),
    (TARGET._replace(pins=Pins((), True)), FACTS, {"precision": "fp16"}, "built in fp16, wanted in fp32"),
    (TARGET._replace(pins=Pins(("a",))), FACTS, {"flags": TARGET.flags}, "built with fp32_layers none, wanted a"),
    (TARGET._replace(config=BuildConfig(tactics=())), FACTS, {"flags": TARGET.flags},
     "tactic_sources cublas+cudnn, wanted none"),
    (TARGET._replace(config=BuildConfig(workspace_mb=128)), FACTS, {"flags": TARGET.flags}, "workspace_mb 256, wanted 128"),
])
def test_a_plan_is_up_to_date_where_board_network_and_flags_are_the_same(tmp_path, target, facts, changes, why):
    put(tmp_path, target=target, **changes)
    found = stale(str(tmp_path), target, facts)
    assert found == why if why is None else why in found


def test_a_plan_that_was_never_built_is_missing(tmp_path):
    assert stale(str(tmp_path), TARGET, FACTS) == "missing" and last_build_s(str(tmp_path), "pose", "mb05") is None


@pytest.mark.parametrize("before", [None, b"former plan"])
def test_a_power_cut_between_plan_and_sidecar_leaves_what_is_refused_and_repaired(tmp_path, monkeypatch, before):
    home = str(tmp_path)
    if before is not None:
        put(home, before)

    def power_cut(path, sidecar):
        raise KeyboardInterrupt()

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(buildtarget, "write_sidecar", power_cut)
        put(home, b"a newer plan")
    with pytest.raises(EngineError, match="nanoface build --only pose"):
        plans.check(plans.find(home, "pose", "mb05"), "5" * 64, Board(*FACTS[:3]))
    assert stale(home, TARGET, FACTS) not in (None, "missing")
    put(home, b"a newer plan")
    assert stale(home, TARGET, FACTS) is None and last_build_s(home, "pose", "mb05") == 70.5


def test_a_plan_that_cannot_be_put_in_its_place_is_a_storage_error(tmp_path):
    os.makedirs(plans.plan_path(str(tmp_path), "pose", "mb05"))
    with pytest.raises(StorageError, match="pose-mb05.plan cannot be written"):
        put(tmp_path)


@pytest.mark.parametrize("options, expected", [
    (BuildOptions(), [("detect", ""), ("align", ""), ("pose", ""), ("iris", "")]),
    (BuildOptions(only=("iris", "detect")), [("detect", ""), ("iris", "")]),
    (BuildOptions(only=("yunet_n", "pose", "yunet_n")), [("detect", "yunet_n"), ("pose", "")]),
    (BuildOptions(networks=("facemesh_pth",)), [("detect", ""), ("align", "facemesh_pth"), ("pose", ""), ("iris", "")]),
    (BuildOptions(candidates={"detect": ("yunet_n",), "align": ("face_landmark",)}), [("detect", ""), ("align", "")]),
    (BuildOptions(candidates={"detect": ("yunet_n",)}, only=("pose",)), [("pose", "")]),
    (BuildOptions(networks=("yunet_s", "yunet_n"), only=("detect",)), [("detect", "yunet_s"), ("detect", "yunet_n")]),
])
def test_the_options_mean_these_networks(options, expected):
    assert [(one.role, one.name) for one in selection(read_manifest(), options)] == expected


@pytest.mark.parametrize("candidates, chosen, expected", [
    ((), None, "yunet_s"),
    ((), '{"schema": 1, "roles": {"detect": "blazeface_full"}}', "blazeface_full"),
    (("yunet_n", "yunet_s"), None, "yunet_n"),
    (("yunet_n", "yunet_s"), '{"schema": 1, "roles": {"detect": "yunet_s"}}', "yunet_s"),
    (("yunet_n", "yunet_s"), '{"schema": 1, "roles": {"detect": "blazeface_full"}}', "yunet_n"),
    ((), "{", "yunet_s"),
])
def test_the_network_that_a_run_would_use_is_built(tmp_path, candidates, chosen, expected):
    networks = {}
    for name in ("yunet_s", "yunet_n", "blazeface_full"):
        sha256 = write_whole(str(tmp_path / "onnx" / name), name.encode())
        networks[name] = {"role": "detect", "file": name, "sha256": sha256}
    write_whole(str(tmp_path / "onnx" / "index.json"), json.dumps({"schema": 1, "networks": networks}).encode())
    if chosen is not None:
        write_whole(str(tmp_path / "plans" / "chosen.json"), chosen.encode())
    assert buildtarget.default_network(str(tmp_path), read_manifest(), "detect", candidates) == expected


def test_what_was_named_is_distinguished_from_what_is_only_usual():
    found = selection(read_manifest(), BuildOptions(only=("pose", "iris_landmark")))
    assert found == [Wanted("pose", "", True), Wanted("iris", "iris_landmark", True)]
    assert not any(one.named for one in selection(read_manifest(), BuildOptions()))


@pytest.mark.parametrize("options, words", [
    (BuildOptions(only=("allign",)), "no role and no network called allign: did you mean align?"),
    (BuildOptions(only=("canonical_face",)), "no role and no network called canonical_face"),
    (BuildOptions(networks=("detect",)), "no network called detect"),
    (BuildOptions(networks=("yunet",)), "did you mean yunet_"),
    (BuildOptions(tactics=("cutlass",)), "no tactics of cutlass: there are cublas, cublas_lt, cudnn, or none"),
])
def test_unknown_words_are_usage_errors(options, words):
    with pytest.raises(ConfigError, match=words) as e:
        selection(read_manifest(), options)
    assert e.value.exit_code == 2


def test_what_was_tuned_is_how_it_is_built_until_the_options_say_otherwise(tmp_path):
    home = str(tmp_path)
    assert config_of(home, BuildOptions(), "pose", "mb05") == BuildConfig("fp16", ("cublas", "cudnn"), 256)
    text = choose(home, "pose", "mb05", BuildConfig("fp32", ("cublas",)))
    write_whole(os.path.join(home, "plans", "chosen.json"), text.encode())
    assert plans.chosen(home) == {"pose": "mb05"} and json.loads(text)["schema"] == 1
    assert config_of(home, BuildOptions(), "pose", "mb05") == BuildConfig("fp32", ("cublas",), 256)
    assert config_of(home, BuildOptions(tactics=()), "pose", "mb05") == BuildConfig("fp32", (), 256)
    assert config_of(home, BuildOptions(untuned=True), "pose", "mb05") == BuildConfig()
    assert config_of(home, BuildOptions(), "pose", "other") == BuildConfig()
    (tmp_path / "plans" / "chosen.json").write_text("{")
    assert config_of(home, BuildOptions(), "pose", "mb05") == BuildConfig()


def test_the_board_is_asked_below_a_root(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "nv_tegra_release").write_text("# R32 (release), REVISION: 7.1, GCID: 1, BOARD: t210ref\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 4059292 kB\nMemAvailable: 1048576 kB\nSwapFree: 2097152 kB\n")
    assert boardfacts.l4t(str(tmp_path)) == "32.7.1" and boardfacts.free_mb(str(tmp_path)) == 3072
    assert boardfacts.l4t(str(tmp_path / "no")) == "" and boardfacts.free_mb(str(tmp_path / "no")) is None


@pytest.mark.parametrize("answer, active", [("active", True), ("inactive", False), ("", False)])
def test_the_service_is_asked_for_and_no_systemd_is_no_service(tmp_path, monkeypatch, answer, active):
    monkeypatch.setenv("PATH", str(tmp_path))
    if answer:
        tool = tmp_path / "systemctl"
        tool.write_text("#!/bin/sh\necho {}\n[ {} = active ]\n".format(answer, answer))
        tool.chmod(0o755)
    assert boardfacts.service_is_active() is active


def test_a_network_that_was_not_fetched_names_the_cure(tmp_path):
    with pytest.raises(ModelError, match="nanoface models fetch"):
        buildtarget.target_of(str(tmp_path), "pose", "mb05", BuildConfig())
