"""`nanoface score detections`: average precision against a slow count and by hand, and the quirks of WIDER's files."""
import io
import json
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bench import wider
from edge.bench.precision import LEAST_IOU, Judged, at_threshold, average_precision, judge
from edge.bench.score import Asked, run_score
from edge.bench.wider import Boxes, Faces
from edge.cli.commands.score import SCORE
from edge.config.load import load_config
from edge.core.errors import ConfigError, OutputError, SourceError

NAME = "0--Parade/0_Parade_1.jpg"
OTHER = "12--Group/12_Group_2.jpg"


def overlap(a, b):
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    whole = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / whole if whole > 0 else 0.0


def slow_counts(pictures, least_height, threshold):
    """Hits, boxes that count and faces, by looking at each box that reaches the threshold, in plain Python."""
    hits = boxes_that_count = faces = 0
    for found, truth in pictures:
        ignored = [bad or b[3] - b[1] < least_height for b, bad in zip(truth.boxes.tolist(), truth.ignored.tolist())]
        faces += ignored.count(False)
        taken = set()
        for box, score in zip(found.boxes.tolist(), found.scores.tolist()):
            if score < threshold:
                continue
            shares = [overlap(box, face) for face in truth.boxes.tolist()]
            best = shares.index(max(shares)) if shares else None
            if best is None or shares[best] < LEAST_IOU:
                boxes_that_count += 1
            elif not ignored[best]:
                boxes_that_count += 1
                hits += best not in taken
                taken.add(best)
    return hits, boxes_that_count, faces


def slow_precision(pictures, least_height):
    """The area below the envelope, rectangle by rectangle, from the counts at each score."""
    points = []
    for threshold in sorted({s for found, _ in pictures for s in found.scores.tolist()}, reverse=True):
        hits, boxes, faces = slow_counts(pictures, least_height, threshold)
        if boxes:
            points.append((hits / faces if faces else 0.0, hits / boxes))
    if not slow_counts(pictures, least_height, 2.0)[2]:
        return None
    area = before = 0.0
    for recall, _ in sorted(set(points)):
        area += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return area


@st.composite
def pictures(draw):
    made = []
    for _ in range(draw(st.integers(1, 3))):
        corners = st.tuples(*[st.integers(0, 12)] * 2 + [st.integers(4, 12)] * 2)
        faces = np.array(draw(st.lists(corners, max_size=4)), float).reshape(-1, 4)
        boxes = np.array(draw(st.lists(corners, max_size=6)), float).reshape(-1, 4)
        for rows in (faces, boxes):
            rows[:, 2:] += rows[:, :2]
        scores = np.array(sorted(draw(st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.9]), min_size=len(boxes),
                                               max_size=len(boxes))), reverse=True), float)
        ignored = np.array(draw(st.lists(st.booleans(), min_size=len(faces), max_size=len(faces))), bool)
        made.append((Boxes(boxes, scores), Faces(faces, ignored)))
    return made


@settings(max_examples=100, deadline=None)
@given(made=pictures(), least_height=st.sampled_from([0.0, 8.0]))
def test_average_precision_is_that_of_counting_at_each_score(made, least_height):
    judged, slow = judge(made, least_height), slow_precision(made, least_height)
    assert average_precision(judged) == (slow if slow is None else pytest.approx(slow))
    for threshold in (0.0, 0.4, 0.9):
        hits, boxes, faces = slow_counts(made, least_height, threshold)
        assert at_threshold(judged, threshold) == (pytest.approx(hits / faces) if faces else None, boxes - hits)


@pytest.mark.parametrize("hits, faces, precision", [
    ([], 2, 0.0), ([1], 1, 1.0), ([1, 0], 1, 1.0), ([0, 1], 1, 0.5), ([1, 0, 1], 2, (1 + 2 / 3) / 2), ([1, 1], 4, 0.5),
    ([0, 0], 3, 0.0), ([0, 1, 1], 2, 2 / 3), ([], 0, None), ([0], 0, None),
])
def test_average_precision_of_cases_by_hand(hits, faces, precision):
    scores = np.linspace(0.9, 0.1, len(hits))
    found = average_precision(Judged(scores, np.array(hits, bool), faces))
    assert found == (precision if precision is None else pytest.approx(precision))


def test_a_face_that_is_ignored_counts_neither_for_nor_against_a_box():
    face, small = [0.0, 0.0, 40.0, 40.0], [100.0, 0.0, 120.0, 20.0]
    boxes = Boxes(np.array([small, face, small]), np.array([0.9, 0.8, 0.7]))
    truth = Faces(np.array([face, small]), np.array([False, False]))
    assert average_precision(judge([(boxes, truth)], 30.0)) == 1.0  # the small one is ignored, twice
    assert average_precision(judge([(boxes, truth)], 0.0)) == 1.0  # both found; the second box is a wrong one behind them
    assert at_threshold(judge([(boxes, truth)], 0.0), 0.7) == (1.0, 1)
    assert judge([(boxes, truth._replace(ignored=np.array([True, True])))], 0.0).faces == 0


TRUTH = """{}
2
10 20 30 40 0 0 0 0 0 0
100 20 30 8 2 0 0 1 2 0
{}
0
0 0 0 0 0 0 0 0 0 0
""".format(NAME, OTHER)


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize("text", [
    TRUTH, TRUTH.replace("\n", "\r\n"), "\ufeff" + TRUTH, TRUTH.replace("\n", "\n\n"), TRUTH.rstrip(),
    TRUTH.replace("0\n0 0 0 0 0 0 0 0 0 0\n", "0\n"), TRUTH.replace("20 30 40 0 0 0 0 0 0", "20 30 40")])
def test_ground_truth_is_read_with_its_quirks(tmp_path, text):
    found = wider.read_truth(put(tmp_path / "a_bbx_gt.txt", text))
    assert list(found) == [NAME, OTHER]
    assert found[NAME].boxes.tolist() == [[10, 20, 40, 60], [100, 20, 130, 28]]
    assert found[NAME].ignored.tolist() == [False, True]
    assert found[OTHER].boxes.shape == (0, 4)


def test_a_face_without_an_area_is_ignored(tmp_path):
    text = NAME + "\n2\n10 20 0 40 0 0 0 0 0 0\n10 20 5 5 0 0 0 0 0 0\n"
    assert wider.read_truth(put(tmp_path / "t.txt", text))[NAME].ignored.tolist() == [True, False]


@pytest.mark.parametrize("text, part", [
    ("", "names no picture"), (NAME, "the number of boxes should follow"), (NAME + "\nmany\n", "'many' is no number of boxes"),
    (NAME + "\n2\n1 2 3 4 0 0 0 0 0 0\n", "line 3: the file ends"), (NAME + "\n1\n1 2 3\n", "line 3"),
    (NAME + "\n10001\n", "is no number of boxes"),
    (NAME + "\n-1\n", "is no number of boxes"), (NAME + "\n99999999999999999999\n", "is no number of boxes"),
    (NAME + "\n100001\n", "is no number of boxes"), (NAME + "\n1\n1 2 -3 4 0 0 0 0 0 0\n", "holds no box"),
    (NAME + "\n1\n1 2 1e300 4 0 0 0 0 0 0\n", "holds no box"), (NAME + "\n1\n1 2 nan 4 0 0 0 0 0 0\n", "is no line of"),
    (NAME + "\n1\n" + "9" * 5000 + " 2 3 4\n", "line 3"), ("../../etc/passwd\n0\n", "no name of a picture"),
    ("/etc/passwd\n0\n", "no name of a picture"), ("a\0b\n0\n", "no name of a picture"), (b"\xff\xfe\x00", "is no text"),
    (NAME + "\n0\n" + NAME + "\n0\n", "is there twice"), (NAME + "\n1\n1 2 3 4 0 0 0 0 0 0\n1 2 3 4 0 0 0 0 0 0\n", "line"),
])
def test_ground_truth_that_is_none_is_one_line_with_its_place(tmp_path, text, part):
    path = put(tmp_path / "t.txt", text)
    with pytest.raises(SourceError) as e:
        wider.read_truth(path)
    assert part in str(e.value) and "t.txt" in str(e.value) and "\n" not in str(e.value) and len(str(e.value)) < 400


@pytest.mark.parametrize("text, part", [
    ("a", "the number of boxes should follow"), ("a\n2\n1 2 3 4 0.5\n", "the file ends"), ("a\n1\n1 2 3 4\n", "x y w h score"),
    ("a\n0\n1 2 3 4 0.5\n", "more lines"), ("a\n1\n1 2 3 4 inf\n", "x y w h score"), ("", "the picture's name should follow"),
    ("a\n1\n1 2 3 4 1e999\n", "holds no box"),
])
def test_predictions_that_are_none_are_one_line(tmp_path, text, part):
    with pytest.raises(SourceError) as e:
        wider.read_found(put(tmp_path / "p.txt", text))
    assert part in str(e.value) and "p.txt" in str(e.value)


def test_what_is_written_is_read_again_the_surest_first(tmp_path):
    boxes = Boxes(np.array([[1.5, 2.0, 11.25, 22.0], [0.0, 0.0, 5.0, 5.0]]), np.array([0.25, 0.75]))
    wider.write_found(str(tmp_path), NAME, boxes)
    path = tmp_path / "0--Parade" / "0_Parade_1.txt"
    assert path.read_text().splitlines() == ["0_Parade_1", "2", "1.50 2.00 9.75 20.00 0.25000", "0.00 0.00 5.00 5.00 0.75000"]
    again = wider.read_found(str(path))
    assert again.boxes.tolist() == boxes.boxes[::-1].tolist() and again.scores.tolist() == [0.75, 0.25]


def test_boxes_that_cannot_be_written_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as e:
        wider.write_found(str(tmp_path / "file"), NAME, Boxes(np.zeros((0, 4)), np.zeros(0)))
    assert "0_Parade_1.txt cannot be written" in str(e.value) and "--save" in str(e.value)


def asked(folder, **more):
    return Asked(str(folder), None, None, None, None, False, True)._replace(**more)


def scored(config, *rest, **more):
    out, progress = io.StringIO(), []
    run_score(config, asked(*rest, **more), lambda event, text: progress.append((event, text)), out)
    return (json.loads(out.getvalue()) if more.get("as_json", True) else out.getvalue()), progress


def test_somebodys_boxes_are_scored_without_pictures(tmp_path):
    put(tmp_path / "wider_face_split" / "wider_face_val_bbx_gt.txt", TRUTH)
    put(tmp_path / "theirs" / "0--Parade" / "0_Parade_1.txt", "x\n3\n10 20 30 38 0.9\n100 20 30 8 0.8\n300 0 9 9 0.7\n")
    put(tmp_path / "theirs" / "12--Group" / "12_Group_2.txt", "x\n1\n0 0 9 9 0.95\n")
    config, theirs = load_config(None, {}, {}), str(tmp_path / "theirs")
    result, _ = scored(config, tmp_path, predictions=theirs)
    easy, medium, hard, every = result["levels"]
    assert (result["pictures"], result["faces"], result["ignored"]) == (2, 1, 1)
    assert [easy["faces"], medium["faces"]] == [0, 1] and easy["ap"] is None
    assert every["ap"] == medium["ap"] == pytest.approx(0.5) and every["recall"] == 1.0 and every["wrong_boxes"] == 2
    assert scored(config, tmp_path, predictions=theirs, threshold=0.92)[0]["levels"][-1]["recall"] == 0.0
    text, _ = scored(config, tmp_path, predictions=theirs, as_json=False)
    assert "2 pictures, 1 faces and 1 that are ignored" in text and "0.5000" in text and "not WIDER's own lists" in text
    os.remove(os.path.join(theirs, "12--Group", "12_Group_2.txt"))
    with pytest.raises(SourceError) as e:
        scored(config, tmp_path, predictions=theirs)
    assert "1 of the 2 files of predictions are missing" in str(e.value) and "12_Group_2.txt" in str(e.value)


def test_our_detector_is_scored_on_pictures_and_writes_its_boxes(tmp_path, models_home, monkeypatch):
    cv2 = pytest.importorskip("cv2")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("PIL")
    from edge.sources import portrait
    monkeypatch.setenv("NANOFACE_HOME", models_home)
    frame = portrait.render(portrait.load(), 0)
    for name in (NAME, OTHER):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True)
        image = frame if name == NAME else np.full((60, 80, 3), 90, np.uint8)
        assert cv2.imwrite(str(path), image)
    put(tmp_path / "wider_face_val_bbx_gt.txt", "{}\n1\n251 173 131 167 0 0 0 0 0 0\n{}\n0\n0 0 0 0 0 0 0 0 0 0\n".format(
        NAME, OTHER))
    config = load_config(None, {"models.runtime": "onnxruntime"}, {})
    result, progress = scored(config, tmp_path, save=str(tmp_path / "ours"))
    assert result["detector"] == "yunet_s" and result["ms_a_picture"] > 0 and progress[-1] == ("progress", "1 of 2 pictures")
    assert result["levels"][0]["ap"] == 1.0 and result["levels"][0]["recall"] == 1.0
    again, _ = scored(config, tmp_path, predictions=str(tmp_path / "ours"))
    assert [level["ap"] for level in again["levels"]] == [level["ap"] for level in result["levels"]]
    for scale, look in ((1.0, False), (None, True)):
        config = load_config(None, {"models.runtime": "onnxruntime", "models.detector_scale": scale}, {})
        assert scored(config, tmp_path, closer_look=look)[0]["levels"][-1]["recall"] == 1.0
    os.remove(str(tmp_path / "images" / OTHER))
    with pytest.raises(SourceError) as e:
        scored(config, tmp_path)
    assert "1 of the 2 pictures" in str(e.value)


@pytest.mark.parametrize("make, part", [
    (lambda folder: None, "cannot be read"), (lambda folder: folder.mkdir(), "wider_face_val_bbx_gt.txt"),
    (lambda folder: put(folder / "wider_face_val_bbx_gt.txt", TRUTH), "no folder images"),
])
def test_a_folder_that_holds_no_set_is_one_line(tmp_path, make, part):
    make(tmp_path / "set")
    with pytest.raises(SourceError) as e:
        scored(load_config(None, {}, {}), tmp_path / "set")
    assert part in str(e.value)


@pytest.mark.parametrize("words, part", [
    ((), "one folder"), (("a", "b"), "one folder"), (("a", "--predictions", "b", "--save", "c"), "--save"),
    (("a", "--predictions", "b", "--detector", "yunet_s"), "--detector"), (("a", "--save", ""), "--save"),
])
def test_words_that_make_no_sense_are_refused(words, part):
    args = SCORE.make_parser().read(words)
    with pytest.raises(ConfigError) as e:
        SCORE.check(args)
    assert part in str(e.value)


def test_a_crowd_and_a_file_of_ends_of_lines_take_no_memory_for_each_pair_or_line(tmp_path, monkeypatch):
    crowd = np.random.RandomState(1).uniform(0, 900, (2500, 2))
    crowd = np.concatenate([crowd, crowd + 40], axis=1)
    pictures = [(Boxes(crowd, np.linspace(1, 0, len(crowd))), Faces(crowd, np.zeros(len(crowd), bool)))]
    path = tmp_path / "truth.txt"
    monkeypatch.setattr(wider, "MOST_BYTES", 16 << 20)
    path.write_bytes(b"\n" * (8 << 20) + "{}\n0\n".format(NAME).encode())
    tracemalloc.start()
    try:
        assert judge(pictures, 0.0).hits.sum() == 2500
        assert list(wider.read_truth(str(path))) == [NAME]
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()
    path.write_text("{}\n0\n\n \n{}\nmany\n".format(NAME, OTHER))
    with pytest.raises(SourceError, match="line 6: 'many' is no number"):
        wider.read_truth(str(path))
    monkeypatch.setattr(wider, "MOST_PICTURES", 1)
    with pytest.raises(SourceError, match="line 5: there are more than 1 pictures"):
        wider.read_truth(str(path))
