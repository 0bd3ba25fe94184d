"""What each line of docs/coming-from.md must have made, read back from the disk and from what it printed."""
import json
import os
import re

import cv2
import numpy as np
from films_back import frames_of

SIDE, FRAMES, LIVE_FRAMES = 240, 8, 24
PICTURES = ("a.jpg", "b.png")  # of photos/


def drawn(path, side=SIDE):
    """A picture of that size, which something was drawn into."""
    picture = cv2.imread(path)
    assert picture is not None and picture.shape == (side, side, 3), path
    before = cv2.imread(os.path.join(os.path.dirname(path), "face.jpg"))
    assert side != SIDE or (np.abs(picture.astype(int) - before).max(axis=2) > 60).mean() > 0.001, path
    return picture


def picture(name):
    return lambda done: drawn(done.path(name))


def surface(name, width=SIDE, height=SIDE):
    """Of a face alone: neither empty nor flat."""
    def check(done):
        made = cv2.imread(done.path(name))
        assert made is not None and made.shape == (height, width, 3) and made.std() > 5.0
    return check


def film(name, frames=FRAMES):
    def check(done):
        pictures = frames_of(done.path(name))
        assert len(pictures) == frames and {one.shape for one in pictures} == {(SIDE, SIDE, 3)}
    return check


def part(name):
    def check(done):
        assert 2 <= len(frames_of(done.path(name))) < FRAMES
    return check


def seen(done):
    """In the place of a window, which no machine of the tests has: its newest picture."""
    drawn(done.path("seen.jpg"))
    assert 0 < shown(done) <= LIVE_FRAMES


def shown(done):
    """Frames that reached the outputs, by the table at the end; others were dropped, as a camera's are."""
    return int(re.search(r"^output +[0-9.]+ .* (\d+) +\d+ +-$", done.out, re.MULTILINE).group(1))


def records(name, frames=FRAMES, faces=1):
    def check(done):
        found = done.records(name)
        assert len(found) == frames and all(len(record["faces"]) == faces for record in found)
    return check


def angles(done):
    head, row = [line.split() for line in done.out.splitlines()]
    assert head == ["yaw", "pitch", "roll", "face", "file"] and row[3:] == ["1", "face.jpg"]
    assert all(abs(float(angle)) < 30.0 for angle in row[:3]) and float(row[1]) > 0.0  # it looks down: theirs > 0


def points68(done):
    (record,) = done.records("face.jsonl")
    assert np.array(record["faces"][0]["landmarks68"]).shape == (68, 2) and "landmarks" not in record["faces"][0]


def mesh(name, colours):
    """468 vertices and 898 triangles, as text."""
    def check(done):
        lines = done.lines(name)
        if name.endswith(".obj"):
            vertices = [line.split()[1:] for line in lines if line.startswith("v ")]
            triangles = [line for line in lines if line.startswith("f ")]
        else:
            end = lines.index("end_header")
            assert lines[0] == "ply" and "element vertex 468" in lines[:end] and "element face 898" in lines[:end]
            vertices, triangles = [line.split() for line in lines[end + 1:end + 469]], lines[end + 469:]
        assert len(vertices) == 468 and len(triangles) == 898 and {len(row) for row in vertices} == {6 if colours else 3}
        assert np.isfinite(np.array(vertices, float)).all()
    return check


def stream(name, values):
    """An SSI stream of as many float values a sample."""
    def check(done):
        header = "\n".join(done.lines(name))
        assert 'dim="{}"'.format(values) in header and 'num="{}"'.format(FRAMES) in header
        rows = np.fromfile(done.path(name + "~"), "<f4")
        assert rows.size == FRAMES * values and np.isfinite(rows).all() and 0.0 < rows[values - 1] <= 1.0
    return check


def annotation(done):
    assert "<annotation" in "\n".join(done.lines("blink.annotation"))
    assert all(len(line.split(";")) == 4 for line in done.lines("blink.annotation~"))


def bench(*words):
    def check(done):
        assert all(word in done.out for word in words), done.out
        assert any(float(number) > 0.0 for number in re.findall(r"[0-9]+[.][0-9]+", done.out))
    return check


def served(done):
    """The table names the output, which took frames."""
    row = re.search(r"socketio-server:[^(]*\((\d+) sent", done.out)
    assert row and int(row.group(1)) > 0, done.out


def spoken_to(done):
    """The server at that port, by the first that it is asked."""
    assert re.match(rb"GET /socket.io/[?].*EIO=[34]", done.request), done.request


def named(folder, *names):
    def check(done):
        assert sorted(os.listdir(done.path(folder))) == sorted(names)
        assert all(cv2.imread(done.path(os.path.join(folder, name))).shape == (SIDE, SIDE, 3) for name in names)
    return check


def sample(done):
    made = cv2.imread(done.path("output.png"))
    assert made is not None and made.shape[2] == 3


def timed(done):
    times = [float(ms) for ms in re.findall(r"^\tprocessing time ([0-9.]+) ms$", done.out, re.MULTILINE)]
    average = float(re.search(r"^\taverage time ([0-9.]+) ms$", done.out, re.MULTILINE).group(1))
    assert len(times) == 5 and abs(average - sum(times[1:]) / 4.0) < 0.1
    drawn(done.path("output.png"))


def environments(done):
    lines = done.out.splitlines()
    assert lines and all(line.startswith("env[{}]=".format(i)) for i, line in enumerate(lines))


def nothing_shown(done):
    """No display is there: it tracks, and says that nobody sees it."""
    assert 0 < shown(done) <= LIVE_FRAMES and "this run shows and writes nothing" in done.err


def module(done):
    names = os.listdir(done.path("cml/nanoface_facemesh"))
    assert any(name.endswith(".trainer") for name in names) and any(name.endswith(".py") for name in names)


def exported(done):
    found = [name for name in os.listdir(done.folder) if name.endswith(".onnx") and os.path.getsize(done.path(name)) > 1e6]
    assert len(found) == 1


def answers(done):
    """DISCOVER's server, asked while it ran."""
    assert isinstance(json.loads(done.answer), (dict, list)) and "127.0.0.1" in done.out


CHECKS = {
    "nanoface face.jpg --output sparse:face_2d_sparse.jpg": picture("face_2d_sparse.jpg"),
    "nanoface face.jpg --style dots --output image:face_2d_dense.jpg": picture("face_2d_dense.jpg"),
    "nanoface face.jpg --output mesh3d:face_3d.jpg": picture("face_3d.jpg"),
    "nanoface face.jpg --output depth:face_depth.png": surface("face_depth.png"),
    "nanoface face.jpg --output pncc:face_pncc.png": surface("face_pncc.png"),
    "nanoface face.jpg --output uv:face_uv_tex.png": surface("face_uv_tex.png", 256, 256),
    "nanoface face.jpg --output pose:face_pose.jpg": picture("face_pose.jpg"),
    "nanoface pose face.jpg --convention 3ddfa": angles,
    "nanoface face.jpg --output ply:face.ply": mesh("face.ply", False),
    "nanoface face.jpg --output obj:face.obj": mesh("face.obj", True),
    "nanoface face.jpg --output 'ply:face.ply?each=true'": mesh("face_1.ply", False),
    "nanoface face.jpg --landmarks 68 --output jsonl:face.jsonl": points68,
    "nanoface face.jpg --runtime onnxruntime --output image:face_onnx.jpg": picture("face_onnx.jpg"),
    "nanoface clip.mp4 --output sparse:clip_2d_sparse.mp4": film("clip_2d_sparse.mp4"),
    "nanoface clip.mp4 --output mesh3d:clip_3d.mp4": film("clip_3d.mp4"),
    "nanoface clip.mp4 --smoothing mean -n_pre 1 -n_next 1 --style dots --output video:clip_smooth.mp4": film(
        "clip_smooth.mp4"),
    "nanoface clip.mp4 --start 0.1 --end 0.25 --style dots --output video:part.mp4": part("part.mp4"),
    "nanoface 0 --smoothing mean --style dots --output window": seen,
    "nanoface bench face.jpg --rounds 1 --runtime onnxruntime": bench("onnxruntime", "mb05"),

    "nanoface discover serve --data-dir data": answers,
    "nanoface discover module cml/nanoface_facemesh": module,
    "nanoface clip.mp4 --output ssi-box:face_bounding_box.stream": stream("face_bounding_box.stream", 5),
    "nanoface clip.mp4 --boxes face_bounding_box.stream --output ssi:face_mesh.stream": stream("face_mesh.stream", 937),
    "nanoface clip.mp4 --output 'ssi:face_mesh.stream?confidence=logit'": stream("face_mesh.stream", 937),
    "nanoface clip.mp4 --output 'ssi-events:blink.annotation?event=blink'": annotation,

    "nanoface 0 --output socketio-server://:6789": served,
    "nanoface 0 --output socketio://127.0.0.1:6789": spoken_to,
    "nanoface bench stages clip.mp4": bench("detect", "FPS"),
    "nanoface bench detectors clip.mp4 --scales 0.1,0.4,1,2": bench("0.1", "0.4"),
    "nanoface clip.mp4 --detector fmr_8and16 --detector-scale 0.4 --output jsonl:clip.jsonl": records("clip.jsonl"),
    "nanoface score detections WIDER": bench("yunet"),

    "nanoface ailia": sample,
    "nanoface ailia --input face.jpg --savepath out.png": picture("out.png"),
    "nanoface ailia -i face.jpg -s results": named("results", "face_res.jpg"),
    "nanoface ailia -i photos -s results": named("results", "a_res.jpg", "b_res.png"),
    "nanoface ailia -v clip.mp4 -s out.mp4": film("out.mp4"),
    "nanoface ailia -v 0": nothing_shown,
    "nanoface ailia -i face.jpg -b": timed,
    "nanoface ailia -i face.jpg -m refine": picture("output.png"),
    "nanoface ailia --env_list": environments,

    "nanoface models export facemesh_pth --opset 9 --names image,preds,confs": exported,
    "nanoface 0 --aligner facemesh_pth --runtime openvino --style dots --output window": seen,
    "nanoface clip.mp4 --detector face-detection-0202.xml --detector-like ssd300x7 --output jsonl:clip.jsonl": records(
        "clip.jsonl"),
    "nanoface clip.mp4 --align facemesh.onnx --align-like face_landmark --output jsonl:clip.jsonl": records("clip.jsonl"),
    "nanoface clip.mp4 --max-faces 16 --output jsonl:clip.jsonl": records("clip.jsonl"),
}
