"""What docs/library.md shows runs, and says what stands behind it."""
import os
import re
import subprocess
import sys

import cv2
import pytest
from patience import PATIENCE_S
from whole_runs import DEFAULT_NETWORKS, ROOT, environment, need_networks, need_runtime

import nanoface
from edge.sources import portrait

FRAMES = 3  # of the film
# each example by itself; what they need of a camera is played by the demo
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
for i, path in enumerate(sys.argv[2:]):
    with open(path, encoding="utf-8") as f:
        exec(compile(f.read(), path, "exec"), {"__name__": "example"})
    print("== end of", i)
"""


def page():
    with open(os.path.join(ROOT, "docs", "library.md"), encoding="utf-8") as f:
        return f.read()


def examples():
    return re.findall(r"^```python\n(.*?)^```", page(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    """With a picture and a film of a face."""
    picture = portrait.load()
    frames = [portrait.render(picture, i) for i in range(FRAMES)]
    assert cv2.imwrite(str(tmp_path / "face.jpg"), frames[0])
    size = (portrait.WIDTH, portrait.HEIGHT)
    film = cv2.VideoWriter(str(tmp_path / "film.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 30.0, size)
    for frame in frames:
        film.write(frame)
    film.release()
    return tmp_path


def test_the_examples_run_and_say_what_they_say(folder, models_home):
    need_runtime("onnxruntime")
    need_networks(models_home, *DEFAULT_NETWORKS)
    paths = []
    for i, text in enumerate(examples()):
        paths.append(str(folder / "example{}.py".format(i)))
        with open(paths[-1], "w", encoding="utf-8") as f:
            f.write(text.replace('"0"', '"portrait", max_frames={}'.format(FRAMES)))
    done = subprocess.run([sys.executable, "-W", "error::ResourceWarning", "-c", RUN, ROOT] + paths, cwd=str(folder),
                          env=environment(folder, models_home), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    reported = re.split(r"== end of \d\n", done.stdout)
    assert len(reported) == len(paths) + 1
    assert reported[0].startswith("1 (") and "Pose(yaw=" in reported[0] and reported[0].endswith("{}\n")
    assert [line.split()[:2] for line in reported[1].splitlines()] == [[str(i), "1"] for i in range(FRAMES)]
    assert [line.split()[0] for line in reported[2].splitlines()] == ["0", "1", "2"] and "(480, 640, 3) [1]" in reported[2]
    for i, text in enumerate(examples()):  # the remarks behind print(e)
        for remark in re.findall(r"print\(e\) +# (.*?)(?:\.\.\.)?$", text, re.MULTILINE):
            assert reported[i].startswith(remark)
    assert reported[5] == "0 0.0 (640, 480) [(1, 0.9, None)]\n"
    lines = [line.split()[0] for line in reported[6].splitlines()]
    assert [word for word in lines if word.isdigit()] == ["0", "1", "2"] and set(lines) <= {"0", "1", "2", "event", "last"}


def test_every_value_and_error_is_reported():
    text = page()
    for kind in (nanoface.Event, nanoface.Face, nanoface.Pose, nanoface.Gaze, nanoface.Iris, nanoface.StreamFrame):
        for field in kind._fields:
            assert "`{}`".format(field) in text, field
    used = {"Angles", "EdgeError", "Face", "Gaze", "Iris", "Pose", "Tracker", "Turn", "read_record", "read_event",
            "read_line", "FrameError", "StateError", "InputError", "InputTypeError", "SourceError", "ModelError",
            "EngineError", "ConfigError"}
    assert used <= set(nanoface.__all__) and all(re.search(r"\b{}\b".format(name), text) for name in used)
