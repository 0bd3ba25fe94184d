"""PLY and OBJ files: line by line what 3DDFA_V2's serialisers write of the same points, read by another program."""
import os

import numpy as np
import pytest
from fakes import gridmesh
from fakes.gridmesh import MESH, face, landmarks, packet, written

from edge.core.errors import ConfigError, OutputError
from edge.core.parts import Parts
from edge.core.records import Recorded
from edge.outputs.exports import meshes
from edge.outputs.record import encode
from edge.outputs.spec import parse_output

HEIGHT, WIDTH = 120, 160
ONE, OTHER = landmarks(60.3, 60.7), landmarks(120.4, 50.2, 0.3, -35.0)
IMAGE = np.random.RandomState(4).randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
PLY_HEAD = ["ply", "format ascii 1.0", "element vertex {}", "property float x", "property float y", "property float z",
            "element face {}", "property list uchar int vertex_indices", "end_header"]


@pytest.fixture(autouse=True)
def mesh(monkeypatch):
    gridmesh.install(monkeypatch)


def lines_of(path):
    text = path.read_text()
    assert text.endswith("\n") and "\n\n" not in text
    return text[:-1].split("\n")


def theirs(points):
    """As their serialiser is given a face: nearness instead of depth, the farthest point 0; and triangles as they run in a
    picture, whose y points down: it writes their corners in reverse."""
    x, y, z = points.T
    return list(zip(x.tolist(), y.tolist(), (z.max() - z).tolist())), MESH.triangles[:, ::-1].tolist()


def their_ply(*faces):
    vertices, triangles = [], []
    for number, points in enumerate(faces):
        rows, corners = theirs(points)
        vertices += ["%.2f %.2f %.2f" % (x, HEIGHT - y, z) for x, y, z in rows]
        triangles += ["3 %d %d %d" % (c + 468 * number, b + 468 * number, a + 468 * number) for a, b, c in corners]
    head = "\n".join(PLY_HEAD).format(len(vertices), len(triangles)).split("\n")
    return head + vertices + triangles


def their_obj(*faces):
    vertices, triangles = [], []
    for number, points in enumerate(faces):
        rows, corners = theirs(points)
        for x, y, z in rows:
            column, row = (int(round(min(max(value, 0), last))) for value, last in ((x, WIDTH - 1), (y, HEIGHT - 1)))
            blue, green, red = IMAGE[row, column] / 255.0
            vertices.append("v %.2f %.2f %.2f %.2f %.2f %.2f" % (x, HEIGHT - y, z, red, green, blue))
        triangles += ["f %d %d %d" % tuple(n + 1 + 468 * number for n in (c, b, a)) for a, b, c in corners]
    return vertices, triangles


def of(lines, *words):
    return [line for line in lines if line.split()[0] in words]


@pytest.mark.parametrize("points", [(ONE,), (ONE, OTHER), (landmarks(5, 118),)], ids=["one", "two", "half outside"])
def test_a_ply_file_is_theirs_but_for_the_blank_line(tmp_path, points):
    written("ply:{}".format(tmp_path / "a.ply"), packet([face(each) for each in points], IMAGE))
    assert lines_of(tmp_path / "a.ply") == their_ply(*points)


def test_a_mesh_is_made_of_the_points_that_the_record_tells(tmp_path):
    points = landmarks(60.3, 60.7) + np.random.RandomState(5).uniform(-0.004, 0.004, (468, 3))
    seen = packet([face(points)], IMAGE)
    written("ply:{}".format(tmp_path / "a.ply"), seen)
    told = np.array(encode(seen, 0.0, Parts(landmarks=True))["faces"][0]["landmarks"])
    assert lines_of(tmp_path / "a.ply") == their_ply(told)


@pytest.mark.parametrize("points", [(ONE,), (ONE, OTHER), (landmarks(5, 118),)], ids=["one", "two", "half outside"])
def test_an_obj_file_has_their_vertices_and_faces_in_their_order_and_the_texture_between_them(tmp_path, points):
    written("obj:{}".format(tmp_path / "a.obj"), packet([face(each) for each in points], IMAGE))
    lines, (vertices, triangles) = lines_of(tmp_path / "a.obj"), their_obj(*points)
    assert (of(lines, "v"), of(lines, "f")) == (vertices, triangles)
    places = np.array([line.split()[1:] for line in of(lines, "vt")], float)
    np.testing.assert_allclose(places, np.vstack([MESH.uv] * len(points)), atol=1e-6)
    assert len(lines) == len(vertices) + len(places) + len(triangles)


def test_faces_of_an_obj_file_name_their_places_in_the_texture_where_that_is_wanted(tmp_path):
    written("obj:{}?uv=true".format(tmp_path / "a.obj"), packet([face(ONE), face(OTHER)], IMAGE))
    triangles = their_obj(ONE, OTHER)[1]
    wanted = ["f " + " ".join("{0}/{0}".format(number) for number in line.split()[1:]) for line in triangles]
    assert of(lines_of(tmp_path / "a.obj"), "f") == wanted


@pytest.mark.parametrize("target", ["ply:{}/a.ply", "obj:{}/a.obj", "obj:{}/a.obj?uv=true"])
def test_another_program_reads_it_and_its_normals_point_at_the_viewer(tmp_path, target):
    trimesh = pytest.importorskip("trimesh", reason="reads the meshes")
    written(target.format(tmp_path), packet([face(ONE), face(OTHER)], IMAGE))
    read = trimesh.load(target.format(tmp_path).partition(":")[2].partition("?")[0], process=False)
    assert read.vertices.shape == (936, 3) and read.faces.shape == (2 * len(MESH.triangles), 3)
    near = ONE[:, 2].max() - ONE[:, 2]
    np.testing.assert_allclose(read.vertices[:468], np.column_stack([ONE[:, 0], HEIGHT - ONE[:, 1], near]), atol=0.0051)
    assert np.median(read.face_normals[:, 2]) > 0.5
    if "uv" in target:
        np.testing.assert_allclose(read.visual.uv[:468], MESH.uv, atol=1e-5)
    elif "obj" in target:
        x, y = np.round(ONE[468 // 2, :2]).astype(int)
        np.testing.assert_allclose(read.visual.vertex_colors[468 // 2][:3], IMAGE[y, x, ::-1], atol=2)


def names(folder):
    return sorted(os.listdir(str(folder)))


def test_a_folder_has_a_file_for_each_frame_and_picture_with_a_face_named_as_its_source(tmp_path):
    items = [packet([face(ONE)], IMAGE, 0, "there/IMG_1.jpg"), packet([], IMAGE, 1, "there/none.jpg"),
             packet([face(OTHER)], IMAGE, 2, "other/IMG_1.png"), packet([face(ONE)], IMAGE, 12)]
    written("ply:{}".format(tmp_path / "out"), *items)
    assert names(tmp_path / "out") == ["000012.ply", "IMG_1-2.ply", "IMG_1.ply"]
    assert lines_of(tmp_path / "out" / "IMG_1-2.ply") == their_ply(OTHER)


def test_each_face_may_have_a_file_of_its_own(tmp_path):
    item = packet([face(ONE), face(None), face(OTHER)], IMAGE, 3, "IMG_1.jpg")
    written("ply:{}?each=true".format(tmp_path / "out"), item)
    written("obj:{}?each=true".format(tmp_path / "one" / "a.obj"), item)
    assert names(tmp_path / "out") == ["IMG_1_1.ply", "IMG_1_2.ply"] and names(tmp_path / "one") == ["a_1.obj", "a_2.obj"]
    assert lines_of(tmp_path / "out" / "IMG_1_2.ply") == their_ply(OTHER)
    assert of(lines_of(tmp_path / "one" / "a_1.obj"), "f") == their_obj(ONE)[1]


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e300])
def test_faces_without_points_are_left_out_and_the_first_may_be_the_only_one(tmp_path, value):
    broken = ONE.copy()
    broken[7, 1] = value
    item = packet([face(None), face(broken), face(ONE), face(OTHER)], IMAGE)
    written("ply:{}".format(tmp_path / "all.ply"), item)
    written("ply:{}?faces=first".format(tmp_path / "first.ply"), item)
    assert lines_of(tmp_path / "all.ply") == their_ply(ONE, OTHER)
    assert lines_of(tmp_path / "first.ply") == their_ply(ONE)


def test_a_file_holds_the_newest_frame_with_a_face_and_is_written_once_a_second(tmp_path, monkeypatch):
    now, writes = [100.0], []
    monkeypatch.setattr(meshes.clock, "monotonic", lambda: now[0])
    whole = meshes.write_whole
    monkeypatch.setattr(meshes, "write_whole", lambda spec, path, data: (writes.append(data), whole(spec, path, data)))
    output = meshes.make_ply(parse_output("ply:{}".format(tmp_path / "a.ply")), gridmesh.OPTIONS)
    output.open()
    for faces in ([], [face(ONE)], [face(OTHER)], []):
        output.emit(packet(faces, IMAGE))
    assert len(writes) == 2 and lines_of(tmp_path / "a.ply") == their_ply(ONE)
    now[0] += 1.0
    output.emit(packet([face(landmarks(80, 80))], IMAGE))
    output.emit(packet([face(OTHER)], IMAGE))
    assert lines_of(tmp_path / "a.ply") == their_ply(landmarks(80, 80))
    output.close()
    output.close()
    assert len(writes) == 4 and lines_of(tmp_path / "a.ply") == their_ply(OTHER)


def test_what_was_there_stays_where_no_face_came(tmp_path):
    (tmp_path / "a.ply").write_text("older")
    written("ply:{}".format(tmp_path / "a.ply"), packet([], IMAGE))
    assert (tmp_path / "a.ply").read_text() == "older" and names(tmp_path) == ["a.ply"]


def test_a_recording_has_no_colours_to_give(tmp_path):
    item = packet([face(ONE)], np.zeros_like(IMAGE), recorded=Recorded(0.0, {}, (), ()))
    written("obj:{}".format(tmp_path / "a.obj"), item)
    assert of(lines_of(tmp_path / "a.obj"), "v") == [" ".join(line.split()[:4]) for line in their_obj(ONE)[0]]


def test_without_the_canonical_face_one_line_names_the_cure(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("NANOFACE_HOME", str(tmp_path))
    for kind in ("ply:{}/a.ply", "obj:{}/out", "depth:{}/a.png", "mesh3d:{}/film.mp4", "pncc:{}/out", "uv:{}/a.png"):
        with pytest.raises(OutputError, match="the canonical face's triangles are not in .*fetch canonical_face") as caught:
            written(kind.format(tmp_path))
        assert str(caught.value).startswith("output " + kind.partition("{")[0])


@pytest.mark.parametrize("text, line", [
    ("ply:", "where to"), ("ply:-", "file or folder"), ("ply:a.ply?uv=true", "no option 'uv'"),
    ("obj:a.obj?faces=two", "one of all, first"),
    ("uv:a.png?size=8", "size"), ("mesh3d:a.mp4?opacity=2", "opacity"), ("depth:a.png?background=red", "one of image, black")])
def test_what_is_not_meant_so_is_said(text, line):
    with pytest.raises(ConfigError) as caught:
        parse_output(text)
    assert line in str(caught.value)
