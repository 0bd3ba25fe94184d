"""The options of a program: keys of the configuration, checked as those of a file are, and nothing taken from elsewhere."""
import logging
import pathlib

import numpy as np
import pytest

from edge.config.load import load_config
from edge.core import redact
from edge.core.errors import ConfigError
from edge.library.options import stream_config, tracker_config


def tracker(config=None, options=None, **keywords):
    return tracker_config(config, options, keywords)


def stream(source=None, config=None, options=None, **keywords):
    return stream_config(source, config, options, keywords)


def test_without_options_it_is_what_the_defaults_say():
    assert tracker() == load_config("/dev/null", {}, {}) == stream()


@pytest.mark.parametrize("given, path, value", [
    (dict(max_faces=2), "tracking.max_faces", 2), (dict(runtime="onnxruntime"), "models.runtime", "onnxruntime"),
    (dict(presence=0.4), "tracking.presence", 0.4), (dict(detect="yunet_n"), "models.detect", ("yunet_n",)),
    (dict(detect=("yunet_n", "yunet_s")), "models.detect", ("yunet_n", "yunet_s")),
    (dict(iris="none"), "models.iris", ("none",)),
    (dict(smoothing=False), "smoothing.enabled", False), (dict(smoothing={"beta": 5}), "smoothing.beta", 5.0),
    (dict(options={"tracking.max_faces": 3}), "tracking.max_faces", 3), ({"tracking.max_faces": 3}, "tracking.max_faces", 3),
    (dict(max_faces=np.int64(2)), "tracking.max_faces", 2), (dict(fov_deg=np.float32(70)), "camera.fov_deg", 70.0),
    (dict(intrinsics=pathlib.Path("c.json")), "camera.intrinsics", "c.json"),
    (dict(detect_score=None), "tracking.detect_score", None),
])
def test_each_way_to_name_a_key(given, path, value):
    section, key = path.split(".")
    assert getattr(getattr(tracker(**given), section), key) == value


@pytest.mark.parametrize("given, reported", [
    (dict(max_face=2), "there is no option 'max_face', did you mean max_faces?"), (dict(zzz=1), "there is no option 'zzz'"),
    ({"tracking.max_facs": 2}, "did you mean tracking.max_faces?"),
    (dict(enabled=False), "smoothing.enabled or governor.enabled"),
    (dict(max_faces=17), "tracking.max_faces is 17; allowed: a whole number from 1 to 16"),
    (dict(max_faces=10 ** 5000), "max_faces is a number of more than 300 digits; allowed"),
    (dict(max_faces="2"), "without quotes"), (dict(max_faces=True), "allowed: a whole number"),
    (dict(max_faces=2, options={"tracking.max_faces": 3}), "tracking.max_faces is given twice, once as max_faces"),
    (dict(tracking={"max_faces": 2}, max_faces=2), "given twice"), (dict(tracking=3), "tracking is a section"),
    (dict(status="log"), "status is for `nanoface run`"), (dict(source="0"), "source is for Tracker.stream()"),
    (dict(output={"mirror": True}), "output.mirror is for `nanoface run`"),
    (dict(governor=False), "governor is for Tracker.stream()"),
    (dict(tracking={"max_facs": 2}), "max_facs"), (dict(mirror=True), "output.mirror is for `nanoface run`"),
    (dict(outputs=["csv:-"]), "outputs is for `nanoface run`"), (dict(width=640), "source.width is for Tracker.stream()"),
    (dict(options=[1]), "a dict of whole keys"), (dict(config={"tracking": 1}), "the path of a YAML file"),
    (dict(config="none.yaml"), "none.yaml (config=) does not exist"), (dict(detect="yunet"), "did you mean yunet"),
])
def test_a_wrong_option_is_one_line_with_the_cure(given, reported):
    with pytest.raises(ConfigError) as error:
        tracker(**given)
    assert reported in str(error.value) and "\n" not in str(error.value)


def test_a_stream_takes_the_keys_of_a_source_too(tmp_path):
    config = stream(0, width=640, exposure=8, idle_after_s=None, max_faces=2)
    assert (config.source.spec, config.source.width, config.camera.exposure) == ("0", 640, 8.0)
    assert config.governor.idle_after_s is None and config.tracking.max_faces == 2
    assert stream(tmp_path).source.spec == str(tmp_path) and stream(["a.jpg", "b,c.jpg"]).source.spec == "a.jpg,b\\,c.jpg"
    for wrong, text in ((True, "source.spec is true"), (-1, "source.spec is -1"), ("", "source.spec"), (1.5, "source.spec")):
        with pytest.raises(ConfigError, match=text):
            stream(wrong)
    with pytest.raises(ConfigError, match="named twice"):
        stream("0", options={"source.spec": "1"})


def test_a_file_is_read_where_it_is_named_and_options_win(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("tracking: {max_faces: 3, presence: 0.3}\nsource: {spec: film.mp4}\noutputs: ['csv:x.csv']\n")
    config = stream(None, path, max_faces=2)
    assert (config.tracking.max_faces, config.tracking.presence, config.source.spec) == (2, 0.3, "film.mp4")
    assert stream("0", str(path)).source.spec == "0"


def test_nothing_of_the_user_the_machine_or_the_environment_is_taken(tmp_path, monkeypatch):
    (tmp_path / "nanoface.yaml").write_text("tracking: {max_faces: 3}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("NANOFACE_CONFIG", str(tmp_path / "nanoface.yaml"))
    monkeypatch.setenv("NANOFACE_SOURCE", "rtsp://127.0.0.1/")
    monkeypatch.setattr("edge.config.file.SYSTEM_FILE", str(tmp_path / "nanoface.yaml"))
    assert tracker() == stream() and stream().source.spec is None and tracker().tracking.max_faces == 1


def test_a_password_of_a_program_is_hidden_and_not_called_one_of_a_command_line(caplog):
    with caplog.at_level(logging.WARNING):
        stream("rtsp://me:correct-horse@127.0.0.1/")
    assert caplog.records == [] and "correct-horse" not in redact.hide("it is correct-horse")
