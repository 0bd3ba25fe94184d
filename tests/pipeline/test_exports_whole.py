"""The exports of real faces: on the canonical face's triangles, and from a recording of the same picture."""
import os

import cv2
import numpy as np
import pytest
from whole_runs import quick, whole_program

from edge.store.canonical import read_mesh

STILL = "media/stills/groups/human_group-3.jpg"
OF_POINTS = ("ply:a.ply", "obj:each?each=true&uv=true", "depth:depth.png?background=black", "pncc:codes", "mesh3d:heads")


def outputs(*targets):
    return [word for target in targets for word in ("--output", target)]


@pytest.mark.shared(STILL)
def test_every_export_of_a_picture_and_of_its_recording(shared, models_home, tmp_path_factory):
    program = whole_program(models_home, tmp_path_factory)
    words = outputs("record:run.nfr", "uv:uv.png", *OF_POINTS) + list(quick())
    run = program.run("--source", os.path.join(shared, STILL), *words)
    mesh, lines = read_mesh(models_home), run.lines("a.ply")
    faces = int(lines[2].split()[-1]) // 468
    assert faces >= 4 and len(lines) == 9 + faces * (468 + 898)
    assert lines[9 + faces * 468] == "3 {} {} {}".format(*mesh.triangles[0])
    assert len(run.lines("each/human_group-3_{}.obj".format(faces))) == 468 + 468 + 898
    height, width = cv2.imread(os.path.join(shared, STILL)).shape[:2]
    depth, texture = cv2.imread(run.path("depth.png")), cv2.imread(run.path("uv.png"))
    assert depth.shape == (height, width, 3) and 0.05 < (depth > 0).any(axis=2).mean() < 0.8 and depth.max() > 240
    assert texture.shape == (256, 256 * faces, 3)
    middle = texture[60:200, 80:176].reshape(-1, 3)
    assert (middle.max(axis=1) > 0).mean() > 0.99 and middle.std() > 10
    again = program.run("--source", "record:" + run.path("run.nfr"), *outputs(*OF_POINTS))
    replayed, before = (np.array([line.split() for line in done.lines("a.ply")[9:9 + faces * 468]], float)
                        for done in (again, run))
    assert np.abs(replayed - before).max() < 0.06, "a recording keeps hundredths of a pixel"
    assert np.abs(cv2.imread(again.path("depth.png")).astype(int) - depth).mean() < 1
    failed = program.call("run", "--source", "record:" + run.path("run.nfr"), *outputs("uv:uv.png"))
    assert failed.code == 5 and "a recording has no pictures to take a texture from" in failed.err
    assert "Traceback" not in failed.err
