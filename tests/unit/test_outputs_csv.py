"""A table whose rows all have the header's length, whatever the frames hold."""
import csv
import io
import os
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.packet import END, Event, Eyes, Face, Frame, Gaze, Iris, Packet, Pose, Roi
from edge.core.parts import SHAPES, Parts
from edge.geometry.rotation import from_angles
from edge.outputs.files.csv import CsvOutput
from edge.outputs.record import encode
from edge.outputs.spec import parse_output

FULL = Face(
    3, Roi(1.0, 2.0, 3.0, 0.0), 0.9, (1.0, 2.0, 3.0, 4.0), landmarks=np.arange(1404.0).reshape(468, 3),
    pose=Pose(from_angles(10.0, 20.0, 30.0), np.array([4.0, 11.2, 612.0]), 0.8),
    irises=Eyes(Iris(np.array([5.0, 6.0]), 7.0, 0.8), Iris(np.array([9.0, 10.0]), 11.0, 0.7)),
    gaze=Gaze((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), np.array([0.0, 0.6, -0.8])),
    expression={"eye_open_right": 0.5, "eye_open_left": 0.25, "mouth_open": 0.125, "jawOpen": 1.0},
)
OPTIONAL = ("landmarks", "pose", "irises", "gaze", "expression")


BLINK = Event("blink", 3, END, 1, 0.25, 0.5, 0.9, {"side": "left", "cut": True})
NOD = Event("nod", 4, END, None, 0.0, 0.5, 1.0)


def record(*faces, landmarks=False, events=None):
    packet = Packet(Frame(7, 1.0, 0.5, np.zeros((480, 640, 3), np.uint8)), faces, events=events or ())
    return encode(packet, 1.25, Parts(landmarks, True, events is not None))


def table(path, records, landmarks=False, shapes=False, events=False):
    output = CsvOutput(parse_output("csv:" + str(path)), False, Parts(landmarks, shapes, events))
    output.open()
    for r in records:
        output.emit(r)
    output.close()
    with io.open(str(path), encoding="utf-8", newline="") as f:
        return list(csv.reader(f))


def test_one_row_a_face_with_units_in_the_names(tmp_path):
    header, first, second = table(tmp_path / "a.csv", [record(FULL, FULL._replace(track_id=4))])
    row = dict(zip(header, first))
    assert dict(zip(header, second))["id"] == "4"
    wanted = {
        "frame": "7", "captured_at_s": "1.0", "time_s": "0.5", "age_ms": "250.0", "width_px": "640", "height_px": "480",
        "faces": "2", "id": "3", "score": "0.9", "box_x0_px": "1.0", "box_y1_px": "4.0", "yaw_deg": "10.0",
        "pitch_deg": "20.0", "roll_deg": "30.0", "tx_mm": "4.0", "ty_mm": "11.2", "tz_mm": "612.0",
        "residual_px": "0.8",
        "iris_right_x_px": "5.0", "iris_right_radius_px": "7.0", "iris_left_y_px": "10.0", "iris_left_score": "0.7",
        "gaze_yaw_deg": "1.0", "gaze_right_pitch_deg": "4.0", "gaze_left_yaw_deg": "5.0", "gaze_z": "-0.8",
        "eye_open_right": "0.5", "eye_open_left": "0.25", "mouth_open": "0.125", "missing": "",
    }
    assert {name: row.get(name) for name in wanted} == wanted
    assert len(set(header)) == len(header)


def test_the_angles_from_the_rest_of_a_profile_have_columns_that_are_empty_without_one(tmp_path):
    known = FULL._replace(pose=FULL.pose._replace(neutral=from_angles(1.0, -2.0, 3.0)))
    header, plain, row = table(tmp_path / "a.csv", [record(FULL, known)])
    at = [header.index("neutral_{}_deg".format(angle)) for angle in ("yaw", "pitch", "roll")]
    assert [row[i] for i in at] == ["1.0", "-2.0", "3.0"] and [plain[i] for i in at] == [""] * 3
    assert len(row) == len(plain) == len(header)


def test_a_frame_without_a_face_is_a_row_with_empty_cells(tmp_path):
    header, row = table(tmp_path / "a.csv", [record()])
    cells = dict(zip(header, row))
    assert cells["frame"] == "7" and cells["faces"] == "0"
    assert all(cells[name] == "" for name in header[header.index("faces") + 1:])


def test_the_reason_for_an_empty_cell_is_in_the_row(tmp_path):
    face = FULL._replace(gaze=None, missing={"gaze": 'both eyes closed, "shut"'})
    header, row = table(tmp_path / "a.csv", [record(face)])
    cells = dict(zip(header, row))
    assert cells["gaze_yaw_deg"] == "" and cells["missing"] == 'gaze: both eyes closed, "shut"'


@pytest.mark.parametrize("landmarks, wanted", [(True, "1403.0"), (False, None)])
def test_the_points_are_columns_when_asked_for(tmp_path, landmarks, wanted):
    header, row = table(tmp_path / "a.csv", [record(FULL, landmarks=landmarks)], landmarks)
    assert dict(zip(header, row)).get("landmark_467_z_px") == wanted
    assert sum(name.startswith("landmark_") for name in header) == (1404 if landmarks else 0)


def test_shapes_are_columns_when_asked_for_all_of_them_whatever_the_network(tmp_path):
    plain, _ = table(tmp_path / "a.csv", [record(FULL)])
    header, row = table(tmp_path / "b.csv", [record(FULL)], shapes=True)
    assert [name for name in header if name not in plain] == list(SHAPES) and len(row) == len(header)
    assert (dict(zip(header, row))["jawOpen"], dict(zip(header, row))["tongueOut"]) == ("1.0", "")


def test_an_event_is_a_row_of_its_own_with_the_columns_of_its_frame(tmp_path):
    told = record(FULL, events=(BLINK, NOD))
    earlier = dict(told["events"][1], frame=6, time_s=0.25, captured_at=0.5)
    told["events"].insert(0, earlier)
    last = {"schema": 1, "events": [dict(earlier, frame=9)]}
    header, *rows = table(tmp_path / "a.csv", [record(FULL, events=()), told, last], events=True)
    cells = [dict(zip(header, row)) for row in rows]
    assert {len(row) for row in rows} == {len(header)} == {len(set(header))}
    assert [c["event"] for c in cells] == ["", "", "nod", "blink", "nod", "nod"]
    assert [c["frame"] for c in cells] == ["7", "7", "6", "7", "7", "9"]
    assert [c["time_s"] for c in cells[2:4]] == ["0.25", "0.5"]
    assert [c["width_px"] for c in cells] == ["640", "640", "", "640", "640", ""] and not any(c["id"] for c in cells[2:])
    wanted = {"event_id": "3", "event_phase": "end", "event_face": "1", "event_start_s": "0.25", "event_end_s": "0.5",
              "event_duration_s": "0.25", "event_confidence": "0.9", "event_values": "side=left; cut=True"}
    assert {name: cells[3][name] for name in wanted} == wanted and cells[4]["event_face"] == cells[4]["event_values"] == ""


def test_an_older_table_stays_until_there_is_a_record(tmp_path):
    (tmp_path / "a.csv").write_text("old\n")
    assert table(tmp_path / "a.csv", []) == [["old"]]
    assert [row[0] for row in table(tmp_path / "a.csv", [record()])] == ["frame", "7"]
    assert [row[0] for row in table(tmp_path / "new.csv", [])] == ["frame"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sets(st.sampled_from(OPTIONAL)), max_size=4), max_size=4), st.booleans())
def test_every_row_is_as_long_as_the_header(frames, landmarks):
    seen = [[FULL._replace(**dict.fromkeys(absent)) for absent in faces] for faces in frames]
    records = [record(*faces, landmarks=True) for faces in seen]
    with tempfile.TemporaryDirectory() as folder:
        rows = table(os.path.join(folder, "a.csv"), records, landmarks)
    assert {len(row) for row in rows} == {len(rows[0])}
    assert len(rows) == 1 + sum(max(1, len(faces)) for faces in frames)
