"""The configuration: what is in the defaults, how layers merge, and the message for every mistake."""
import os
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config import file as configfile
from edge.config.load import TREE, Config, load_config
from edge.config.rules import RULES, nearest_key, worker_groups
from edge.core.errors import ConfigError
from edge.core.roles import NETWORKS, STAGES
from engines.manifest.read import read_manifest

NO_FILE = {"NANOFACE_CONFIG": os.devnull}  # an empty configuration, wherever the tests run


def load(tmp_path, text):
    path = tmp_path / "my.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return load_config(str(path), {}, {})


def leaf(config, key):
    value = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def test_defaults_hold_every_leaf_of_the_tree_and_nothing_else():
    with open(configfile.DEFAULTS_FILE, encoding="utf-8") as f:
        document = yaml.safe_load(f)
    written = {"outputs"} | {"{}.{}".format(s, k) for s, keys in document.items() if s != "outputs" for k in keys}
    tree = {"outputs"} | {"{}.{}".format(s, k) for s, section in TREE.items() for k in section._fields}
    assert written == tree == set(RULES)
    assert set(Config._fields) == set(TREE) | {"outputs", "chosen"}


def test_every_default_stands_below_a_comment_and_every_network_is_named_there():
    with open(configfile.DEFAULTS_FILE, encoding="utf-8") as f:
        lines = f.read().split("\n")
    values = [i for i, line in enumerate(lines) if re.match(r"^  \w+: ", line) or line.startswith("outputs:")]
    together = {"height", "end_s"}  # share the comment of the key before
    for i in values:
        name = lines[i].split(":")[0].strip()
        assert lines[i - 1].lstrip().startswith("#") or name in together, lines[i]
    comments = "\n".join(line for line in lines if line.lstrip().startswith("#"))
    assert all(network in comments for names in NETWORKS.values() for network in names)


def test_defaults_alone_are_a_configuration():
    config = load_config(None, {}, NO_FILE)
    assert config.source.spec is None and config.outputs == ()
    assert config.models.detect[0] == "yunet_s" and config.models.pose == ("mb05",)
    assert config.pipeline.groups() == (("detect", "align", "pose", "iris", "express"),)
    assert type(config.camera.fov_deg) is float and type(config.source.start_s) is float


@pytest.mark.parametrize("role", sorted(NETWORKS))
def test_networks_are_those_of_the_manifest_and_preferred_in_its_order(role):
    manifest = read_manifest()
    assert set(NETWORKS[role]) == {name for name, network in manifest.networks.items() if network.role == role}
    candidates, = [r.candidates for r in manifest.roles if r.name == role]
    assert leaf(load_config(None, {}, NO_FILE), "models." + role)[:len(candidates)] == tuple(candidates)


@pytest.mark.parametrize("text, key, value", [
    ("source: {spec: 0}", "source.spec", "0"),
    ("source: {spec: portrait}", "source.spec", "portrait"),
    ("source: {spec: '~/a.mp4'}", "source.spec", os.path.expanduser("~/a.mp4")),
    ("source: {fps: 30}", "source.fps", 30.0),
    ("source: {rotate: 90}", "source.rotate", 90),
    ("source: {flip: none}", "source.flip", "none"),
    ("models: {graphs: off}", "models.graphs", "off"),
    ("source: {loop: yes}", "source.loop", True),
    ("source:\n  # fps: 3\n", "source.fps", None),
    ("source: {width: null}", "source.width", None),
    ("models: {detect: rfb320}", "models.detect", ("rfb320",)),
    ("models: {detect: [rfb320, yunet_s]}", "models.detect", ("rfb320", "yunet_s")),
    ("models: {pose: none}", "models.pose", ("none",)),
    ("models: {iris: [none]}", "models.iris", ("none",)),
    ("outputs: jsonl:a.jsonl", "outputs", ("jsonl:a.jsonl",)),
    ("outputs: ['jsonl:a.jsonl', window]", "outputs", ("jsonl:a.jsonl", "window")),
    ("pipeline: {workers: 'detect|align|pose|iris+express'}", "pipeline.workers",
     "detect | align | pose | iris+express"),
    ("status: {max_bytes: 5_000_000}", "status.max_bytes", 5000000),
    ("tracking: {detect_score: 1}", "tracking.detect_score", 1.0),
    ("\ufeffsource: {fps: 25}", "source.fps", 25.0),
    ("", "source.fps", None),
    ("# nothing but a comment\n", "source.fps", None),
    ("a: &a {fps: 3}\n", None, None),
], ids=repr)
def test_what_a_file_says_is_what_the_configuration_holds(tmp_path, text, key, value):
    if key is None:
        with pytest.raises(ConfigError, match="no key a"):
            load(tmp_path, text)
    else:
        found = leaf(load(tmp_path, text), key)
        assert found == value and type(found) is type(value)


@pytest.mark.parametrize("text, parts", [
    # unknown keys
    ("trakcing:\n  max_faces: 2\n", ["my.yaml:1", "trakcing", "did you mean tracking"]),
    ("tracking:\n  max_face: 2\n", ["my.yaml:2", "tracking.max_face", "did you mean tracking.max_faces"]),
    ("camera:\n  max_faces: 2\n", ["my.yaml:2", "camera.max_faces", "did you mean tracking.max_faces"]),
    ("fps: 30\n", ["my.yaml:1", "no key fps", "did you mean source.fps"]),
    ("camera:\n  zzzzzz: 2\n", ["my.yaml:2", "camera.zzzzzz", "camera has fov_deg, intrinsics"]),
    ("qqqqqq: 2\n", ["my.yaml:1", "qqqqqq", "there are camera, "]),
    ("7: 2\n", ["my.yaml:1", "no key 7"]),
    ("on: 2\n", ["my.yaml", "no key True"]),
    # wrong types
    ("source: {fps: '30'}", ["source.fps", "the text '30'", "without quotes", "0.1 to 1000"]),
    ("source: {fps: 1e2}", ["source.fps", "the text '1e2'", "1.0e+3"]),
    ("source: {fps: true}", ["source.fps", "is true", "a number from 0.1 to 1000"]),
    ("source: {fps: [30]}", ["source.fps", "[30]"]),
    ("tracking: {max_faces: true}", ["tracking.max_faces is true", "a whole number from 1 to 16"]),
    ("tracking: {max_faces: 2.0}", ["tracking.max_faces is 2.0", "a whole number"]),
    ("tracking: {max_faces: null}", ["tracking.max_faces is null", "a whole number"]),
    ("tracking: {presence: {a: 1}}", ["tracking.presence", "a section", "a number from 0 to 1"]),
    ("source: {loop: 1}", ["source.loop is 1", "true or false"]),
    ("source: {loop: 'yes'}", ["source.loop", "the text 'yes'", "true or false"]),
    ("source: {flip: no}", ["source.flip is false", "none, horizontal"]),
    ("source: {flip: horizontl}", ["source.flip", "did you mean horizontal"]),
    ("source: {rotate: 45}", ["source.rotate is 45", "0, 90, 180, 270"]),
    ("source: {rotate: 90.0}", ["source.rotate is 90.0"]),
    ("source: {rotate: false}", ["source.rotate is false"]),
    ("source: {spec: ''}", ["source.spec", "the text ''"]),
    ("source: {spec: 1.5}", ["source.spec is 1.5"]),
    ("source: {spec: -1}", ["source.spec is -1"]),
    ("source: {spec: true}", ["source.spec is true"]),
    ("source: {spec: [[a.jpg]]}", ["source.spec"]),
    ("outputs: {jsonl: a}", ["outputs is a section", "jsonl:face.jsonl"]),
    ("outputs: [{jsonl: a}]", ["outputs"]),
    ("outputs: [jsonl: a]", ["outputs"]),
    ("outputs: 3", ["outputs is 3"]),
    ("outputs: null", ["outputs is null"]),
    ("outputs: ['jsnol:a.jsonl']", ["my.yaml:1: ", "no kind 'jsnol'", "jsonl:PATH"]),
    ("outputs: ['jsonl:a.jsonl?landmark=true']", ["my.yaml:1: ", "did you mean landmarks?"]),
    ("outputs: ['jsonl:a', 'csv:a']", ["my.yaml:1: ", "go to the same place"]),
    ("source: portrait", ["my.yaml:1", "source is the text 'portrait'", "source.spec"]),
    ("source: [1]", ["source is [1]"]),
    # out of range
    ("source: {fps: 0}", ["source.fps is 0", "0.1 to 1000"]),
    ("source: {fps: .nan}", ["source.fps is nan"]),
    ("source: {fps: .inf}", ["source.fps is inf"]),
    ("source: {width: 8}", ["source.width is 8", "16 to 16384 pixels"]),
    ("source: {start_s: -1}", ["source.start_s is -1"]),
    ("source: {max_frames: 0}", ["source.max_frames is 0"]),
    ("camera: {fov_deg: 171}", ["camera.fov_deg is 171", "10 to 170 degrees"]),
    ("tracking: {max_faces: 17}", ["tracking.max_faces is 17"]),
    ("tracking: {max_faces: 1" + "0" * 400 + "}", ["tracking.max_faces", "1 to 16"]),
    ("status: {interval_s: 0.1}", ["status.interval_s is 0.1", "0.2 to 3600 s"]),
    # networks
    ("models: {detect: yunet}", ["models.detect", "'yunet'", "did you mean yunet_"]),
    ("models: {detect: [yunet_s, mb05]}", ["models.detect", "mb05 is a network for pose"]),
    ("models: {detect: none}", ["models.detect", "detect cannot be switched off"]),
    ("models: {pose: [none, mb05]}", ["models.pose", "none stands alone"]),
    ("models: {pose: null}", ["models.pose is null", "none alone to switch it off"]),
    ("models: {iris: []}", ["models.iris is []"]),
    ("models: {detect: [rfb320, rfb320]}", ["rfb320 is named twice"]),
    ("models: {runtime: onxruntime}", ["models.runtime", "did you mean onnxruntime"]),
    # workers
    ("pipeline: {workers: detect+align}", ["pipeline.workers", "pose is named nowhere"]),
    ("pipeline: {workers: align+detect | pose+iris+express}", ["out of order"]),
    ("pipeline: {workers: detect+align | pose+iris+express | iris}", ["iris is named twice"]),
    ("pipeline: {workers: detect+aling | pose+iris+express}", ["no stage 'aling'", "did you mean align"]),
    ("pipeline: {workers: 'detect | | align'}", ["no stage ''"]),
    ("pipeline: {workers: detect+capture+align+pose+iris+express}", ["capture stands before the first stage"]),
    ("pipeline: {workers: output+detect+align+pose+iris+express}", ["output behind the last"]),
    ("pipeline: {workers: capture+capture+detect+align+pose+iris+express}", ["each once"]),
    # contradictions
    ("source: {start_s: 5, end_s: 5}", ["end_s 5 is not after", "start_s 5"]),
    ("events: {near_mm: 900, far_mm: 900}", ["events.near_mm 900 is not below events.far_mm 900"]),
    ("source: {spec: a.JPG, pace: realtime}", ["realtime", "a.JPG", "pictures"]),
    ("source: {spec: 'a.png,b.png', pace: realtime}", ["realtime", "pictures"]),
    ("source: {sequence: true, pace: realtime}", ["realtime", "sequence"]),
    # no YAML
    ("source:\n  fps: 30\n  fps: 25\n", ["my.yaml:3", "source.fps is already set in line 2"]),
    ("source:\n  fps: 30\nsource:\n  loop: true\n", ["my.yaml:3", "source is already set in line 1"]),
    ("source:\n  fps: [30\n", ["my.yaml:", "not YAML"]),
    ("source:\n\tfps: 30\n", ["my.yaml:2", "not YAML", "indent with spaces"]),
    ("source: {fps: 30}}\n", ["my.yaml:1", "not YAML"]),
    ("source: &a {fps: *b}\n", ["my.yaml:1", "not YAML"]),
    ("a: 1\n---\nb: 2\n", ["my.yaml:2", "not YAML"]),
    ("source: {spec: !!python/object/apply:os.system [id]}\n", ["my.yaml:1", "not YAML"]),
    ("source: {spec: 2020-13-45}\n", ["my.yaml:1", "cannot be read as timestamp", "quote it"]),
    ("source:\n  spec: !!timestamp soon\n", ["my.yaml:2", "cannot be read as timestamp", "quote it"]),
    ("source:\n  spec: !!int four\n", ["my.yaml:2", "cannot be read as int", "quote it"]),
    ("{[1]: 2}\n", ["my.yaml", "not YAML"]),
    ("[" * 5000, ["my.yaml"]),
    ("source: {spec: a\0b}\n", ["my.yaml", "not YAML"]),
    ("- source\n", ["my.yaml", "['source']"]),
    ("just words\n", ["my.yaml", "the text 'just words'"]),
    (b"# gr\xfc\xdfe\nsource: {fps: 30}\n", ["my.yaml:1", "not UTF-8", "0xfc"]),
    (b"source: {}\n# \xff\n", ["my.yaml:2", "not UTF-8"]),
    (b"#" * ((1 << 20) + 1), ["more than 1048576 bytes"]),
], ids=lambda value: repr(value)[:60])
def test_a_mistake_in_the_file_is_one_line_with_its_place_and_cure(tmp_path, text, parts):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    for part in parts:
        assert part in message


def test_a_long_value_is_not_printed_whole(tmp_path):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        "{}: &{} [*{},*{},*{},*{},*{},*{},*{},*{}]\n".format(b, b, *a * 8) for a, b in zip("abcdefghi", "bcdefghij"))
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "source:\n  fps: " + "[" * 20 + "]" * 20 + "\n")
    assert len(str(caught.value)) < 300
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, bomb)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("make, parts", [
    (lambda folder: folder / "absent.yaml", ["absent.yaml (--config) does not exist"]),
    (lambda folder: folder, ["cannot be read", "directory"]),
    (lambda folder: "a\0b", ["cannot be read"]),
    (lambda folder: "", ["does not exist"]),
])
def test_a_file_that_cannot_be_read_says_why(tmp_path, make, parts):
    with pytest.raises(ConfigError) as caught:
        load_config(str(make(tmp_path)), {}, {})
    for part in parts:
        assert part in str(caught.value)


def test_file_of_the_environment_is_read_and_named_in_its_error(tmp_path):
    path = tmp_path / "env.yaml"
    path.write_text("source: {fps: 12}\n")
    assert load_config(None, {}, {"NANOFACE_CONFIG": str(path)}).source.fps == 12.0
    with pytest.raises(ConfigError, match=r"\(\$NANOFACE_CONFIG\) does not exist"):
        load_config(None, {}, {"NANOFACE_CONFIG": str(path) + "x"})


def test_each_layer_wins_over_the_one_before(tmp_path, monkeypatch):
    system, mine, asked = tmp_path / "system.yaml", tmp_path / "mine.yaml", tmp_path / "asked.yaml"
    system.write_text("source: {fps: 10}\ntracking: {max_faces: 2}\n")
    mine.write_text("source: {fps: 20}\n")
    asked.write_text("source: {fps: 30}\n")
    monkeypatch.setattr(configfile, "SYSTEM_FILE", str(system))
    assert load_config(None, {}, {}).source.fps == 10.0
    assert load_config(None, {}, {}).tracking.max_faces == 2
    of_environment = load_config(None, {}, {"NANOFACE_CONFIG": str(mine)})
    assert (of_environment.source.fps, of_environment.tracking.max_faces) == (20.0, 1)
    assert load_config(str(asked), {}, {"NANOFACE_CONFIG": str(mine)}).source.fps == 30.0
    assert load_config(str(asked), {"source.fps": 40}, {}).source.fps == 40.0
    monkeypatch.setattr(configfile, "SYSTEM_FILE", str(tmp_path / "absent.yaml"))
    assert load_config(None, {}, {}).source.fps is None


def test_the_users_own_file_is_taken_before_the_machines_and_after_those_that_are_named(tmp_path, monkeypatch):
    (tmp_path / ".config").mkdir()
    own, other, asked = tmp_path / ".config" / "nanoface.yaml", tmp_path / "nanoface.yaml", tmp_path / "asked.yaml"
    for path, fps in ((own, 10), (other, 20), (asked, 30), (tmp_path / "system.yaml", 40)):
        path.write_text("source: {{fps: {}}}\n".format(fps))
    monkeypatch.setattr(configfile, "SYSTEM_FILE", str(tmp_path / "system.yaml"))
    home = {"HOME": str(tmp_path)}
    for environ, fps in (({}, 40.0), (home, 10.0), (dict(home, XDG_CONFIG_HOME=str(tmp_path)), 20.0),
                         (dict(home, XDG_CONFIG_HOME="relative"), 40.0), (dict(home, XDG_CONFIG_HOME=""), 10.0),
                         (dict(home, NANOFACE_CONFIG=str(asked)), 30.0)):
        assert load_config(None, {}, environ).source.fps == fps, environ
    assert load_config(str(asked), {}, home).source.fps == 30.0
    own.write_text("source: {fsp: 10}\n")
    with pytest.raises(ConfigError, match="nanoface.yaml:1: there is no key source.fsp"):
        load_config(None, {}, home)
    monkeypatch.setattr(configfile, "is_installed", lambda: True)  # the service has its own
    assert load_config(None, {}, home).source.fps == 40.0


def test_a_home_that_is_not_there_or_somebody_elses_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(configfile, "SYSTEM_FILE", str(tmp_path / "absent.yaml"))
    for home in ("", "/nonexistent", "relative", str(tmp_path), os.devnull):
        assert load_config(None, {}, {"HOME": home}).source.fps is None
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "nanoface.yaml").write_text("source: {fps: 10}\n")
    monkeypatch.setattr(configfile, "ours", lambda: {4242})  # as under `sudo`, which may leave HOME as it was
    assert load_config(None, {}, {"HOME": str(tmp_path)}).source.fps is None
    monkeypatch.undo()

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(configfile.os, "stat", refused)
    assert configfile.choose_file(None, {"HOME": str(tmp_path)}) is None or os.path.exists(configfile.SYSTEM_FILE)


def test_a_mistake_in_the_file_is_found_even_where_the_command_line_wins(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("source: {fps: fast}\n")
    with pytest.raises(ConfigError, match="source.fps is the text 'fast'"):
        load_config(str(path), {"source.fps": 30}, {})


@pytest.mark.parametrize("overrides, spelled, parts", [
    ({"source.fps": "fast"}, {"source.fps": "--fps"}, ["--fps: source.fps is the text 'fast'", "0.1 to 1000"]),
    ({"source.fps": 0}, {}, ["the command line: source.fps is 0"]),
    ({"source.fsp": 3}, {"source.fsp": "--set"}, ["--set: there is no key source.fsp; did you mean source.fps?"]),
    ({"source": {"fps": 3}}, {}, ["source is a section"]),
])
def test_a_mistake_on_the_command_line_names_the_option(overrides, spelled, parts):
    with pytest.raises(ConfigError) as caught:
        load_config(None, overrides, NO_FILE, spelled)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("key", sorted(RULES))
def test_every_rule_reads_its_default_back_from_the_arguments_of_the_command_line(key):
    default = leaf(load_config(None, {}, NO_FILE), key)
    if key == "outputs":
        default, text = ("jsonl:a b.jsonl",), "jsonl:a b.jsonl"
    elif isinstance(default, tuple):
        text = ",".join(default)
    elif default is None or isinstance(default, bool):
        text = {None: "null", True: "true", False: "false"}[default]
    else:
        text = str(default)
    assert RULES[key].read(RULES[key].from_text(text)) == default


@pytest.mark.parametrize("path, environ, expected", [
    ("none", {}, None),
    ("a/b.jsonl", {"XDG_STATE_HOME": "/x"}, "a/b.jsonl"),
    (None, {"XDG_STATE_HOME": "/x"}, os.path.join("/x", "nanoface", "status.jsonl")),
    (None, {}, os.path.join(os.path.expanduser("~"), ".local", "state", "nanoface", "status.jsonl")),
])
def test_place_of_the_status_log(path, environ, expected):
    config = load_config(None, {} if path is None else {"status.path": path}, NO_FILE)
    assert config.status.file(environ) == expected


@pytest.mark.parametrize("value, expected", [
    (9464, ("127.0.0.1", 9464)), ("9464", ("127.0.0.1", 9464)), (":9464", ("127.0.0.1", 9464)), (None, None),
    ("0.0.0.0:80", ("0.0.0.0", 80)), ("nano.local:9464", ("nano.local", 9464)), ("[::1]:9464", ("::1", 9464)),
])
def test_the_address_of_the_metrics_is_this_machine_alone_unless_a_host_is_named(value, expected):
    assert load_config(None, {"metrics.address": value}, NO_FILE).metrics.address == expected


@pytest.mark.parametrize("value", [0, 70000, -1, "host", "a b:9464", "http://x:1", True, 1.5, "::1:9464", ["x:1"]])
def test_what_is_no_address_is_refused(value):
    with pytest.raises(ConfigError, match="metrics.address"):
        load_config(None, {"metrics.address": value}, NO_FILE)


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_any_cut_between_stages_is_a_grouping(cuts):
    text = STAGES[0]
    for cut, stage in zip(cuts, STAGES[1:]):
        text += (" | " if cut else "+") + stage
    groups = worker_groups(text)
    assert tuple(stage for group in groups for stage in group) == STAGES and len(groups) == 1 + sum(cuts)


@pytest.mark.parametrize("before, behind, expected", [
    ("", "", (False, False)), ("capture+", "", (True, False)), ("", " + output", (False, True)),
    ("capture+", "+output", (True, True))])
def test_the_two_ends_may_share_a_thread_with_stages(before, behind, expected):
    for groups in ("detect+align+pose+iris+express", "detect+align | pose+iris+express"):
        made = load_config(None, {"pipeline.workers": before + groups + behind}, NO_FILE).pipeline
        assert made.workers == before + groups + behind.replace(" ", "") and made.ends() == expected
        assert made.groups() == worker_groups(groups)


@pytest.mark.parametrize("text", [
    "capture | " + "+".join(STAGES), "+".join(STAGES) + " | output", "capture", "output+" + "+".join(STAGES),
    "capture+capture+" + "+".join(STAGES), "detect+capture+align+pose+iris+express"])
def test_an_end_elsewhere_or_with_a_thread_of_its_own_is_refused(text):
    with pytest.raises(ConfigError, match="pipeline.workers"):
        load_config(None, {"pipeline.workers": text}, NO_FILE)


@given(st.permutations(STAGES).filter(lambda order: tuple(order) != STAGES))
def test_any_other_order_is_refused(order):
    with pytest.raises(ValueError):
        worker_groups("+".join(order))


@given(st.sampled_from(sorted(RULES)), st.data())
def test_a_key_with_one_letter_wrong_is_still_recognised(key, data):
    i = data.draw(st.integers(0, len(key) - 1))
    assert nearest_key(key[:i] + "q" + key[i + 1:]) is not None


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
DOCUMENTS = st.dictionaries(
    st.sampled_from(sorted(TREE) + ["outputs", "nothing"]) | st.text(max_size=5),
    SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(
        st.sampled_from(sorted(key.split(".")[-1] for key in RULES)) | st.text(max_size=5), SCALARS, max_size=3),
    max_size=4,
)


@settings(max_examples=60)
@given(DOCUMENTS)
def test_whatever_a_document_holds_it_is_a_configuration_or_a_config_error(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(yaml.safe_dump(document).encode("utf-8"))
    expect_config_or_error(str(path))


@settings(max_examples=60)
@given(st.binary(max_size=60) | st.text(alphabet="source: fp{}[]&*!|>-'\"\n\t#?,<0.5e", max_size=60).map(str.encode))
def test_whatever_bytes_a_file_holds_it_is_a_configuration_or_a_config_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(data)
    expect_config_or_error(str(path))


def expect_config_or_error(path):
    try:
        config = load_config(path, {}, {})
    except ConfigError as e:
        assert path in str(e) or "source." in str(e)
        assert "\n" not in str(e)
    else:
        assert isinstance(config, Config)
