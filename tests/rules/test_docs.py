"""README.md and docs/: short, with links, paths, commands and keys that are there, and the fields that are written."""
import os
import re
import shlex

import numpy as np
import pytest
from codebase import ROOT, Fault, files, read, report

from edge.cli import main as cli
from edge.cli.table import read_words
from edge.config.rules import RULES
from edge.core.contracts import Output, Runner, Stage
from edge.core.errors import ConfigError
from edge.core.packet import END, Event, Eyes, Face, Frame, Gaze, Iris, Packet, Pose, Roi, Span
from edge.core.parts import Parts
from edge.outputs.files.csv import EVENT_COLUMNS, FACE_COLUMNS, FRAME_COLUMNS, VALUES_COLUMN
from edge.outputs.record import encode
from edge.outputs.sender import Sender
from edge.pipeline.governor import Governor, Steering
from edge.telemetry.board.files import Reading
from edge.telemetry.board.reader import record_of
from edge.telemetry.meter import Meter
from edge.telemetry.status.log import RunState, StatusLog, StatusWriter, status_record

PAGES = ["README.md"] + files(["docs"], (".md",))
MOST_README, MOST_PICTURE = 10000, 300000  # bytes
MADE = ("engines/onnx", "engines/plans", "engines/cache")  # by commands; not there in a fresh clone
PLACEHOLDERS = {"ROLE": "align", "NAME": "yunet_s", "COMMAND": "run", "bash|zsh|fish": "bash"}
SECTIONS = {key.split(".")[0] for key in RULES if "." in key}
RECORDS, EVENT, STATUS = "docs/records.md", "\n## The event record\n", "\n## The status record\n"
# what the inputs of errors.md name
FILES = {
    "typo.yaml": b"tracking:\n  max_face: 2\n", "notes.txt": b"notes\n", "cam.json": b'{"fx": 600}',
    "mesh.stream": b'<stream><info ftype="BINARY" sr="30" dim="937" type="FLOAT"/><chunk num="0"/></stream>',
    "c.mp4": b"a film", "cut.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\1\0mdat" + bytes(500),
}
OUTPUT = 5  # exit code of inputs that need networks


def code(text):
    """What stands between backticks, and the lines of blocks without their remarks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return lines + [" ".join(span.split()) for _, span in re.findall(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", rest, re.DOTALL)]


def anchors(text):
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


def check_links(page, text):
    """Links between documents, and to sections of them."""
    faults = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, section = target.partition("#")
        place = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(os.path.join(ROOT, place)):
            faults.append(Fault(page, 0, "links to {}, which is not there".format(target)))
        elif section and section not in anchors(text if place == page else read(place)):
            faults.append(Fault(page, 0, "links to a section that is not there: " + target))
    return faults


def check_paths(page, text):
    """Files and folders of ours that are named."""
    ours = re.compile(r"(edge|engines|calibration|tests|systemd|docs)/[\w./-]*$")
    named = {span.rstrip("/") for span in code(text) if ours.match(span)}
    return [Fault(page, 0, "names {}, which is not there".format(path)) for path in sorted(named)
            if not path.startswith(MADE) and not os.path.exists(os.path.join(ROOT, path))]


def check_commands(page, text):
    """Every call of nanoface, up to a pipe, is understood by the command line; a command alone only has to be one."""
    faults = []
    for line in code(text):
        call = re.sub(r"^(sudo )?(\S*/)?(?=nanoface )", "", line).split(" | ")[0].split(" > ")[0]
        words = [PLACEHOLDERS.get(word, word) for word in shlex.split(call)[1:]] if call.startswith("nanoface ") else []
        faults += [Fault(page, 0, "{}: {}".format(call, wrong)) for wrong in [misunderstood(words)] if words and wrong]
    return faults


def misunderstood(words):
    """Why the command line does not take them, or ""."""
    try:
        read_words(words)
    except SystemExit as e:  # help was shown
        return "" if not e.code else "exit code {}".format(e.code)
    except ConfigError as e:
        return misunderstood(["help"] + words) if len(words) == 1 else str(e)
    return ""


def check_keys(page, text):
    """Keys of the configuration, alone, with a value or behind --set."""
    named = [re.match(r"(?:.*--set )?([a-z]+)\.([a-z_0-9]+)(?=$|[ :=])", span) for span in code(text)]
    keys = {found.group(1) + "." + found.group(2) for found in named if found and found.group(1) in SECTIONS}
    return [Fault(page, 0, "there is no key " + key) for key in sorted(keys - set(RULES) - fields(read(RECORDS)))]


CHECKS = [check_links, check_paths, check_commands, check_keys]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("page", PAGES)
def test_what_a_document_names_is_there(check, page):
    faults = check(page, read(page))
    assert not faults, "\n" + report(faults)


@pytest.mark.parametrize("check, text, faults", [
    (check_links, "[a](docs/nosuch.md)", 1), (check_links, "[a](docs/records.md#no-such)", 1),
    (check_links, "[a](docs/records.md#the-status-record) [b](#here)\n# Here\n[c](https://example.org)", 0),
    (check_paths, "`edge/nosuch/` `engines/nosuch.py` `engines/onnx/x` `edge/core/`", 2),
    (check_commands, "`nanoface rnu`\n```\nsudo x/bin/nanoface run --sorce 0   # remark\n```", 2),
    (check_commands, "``nanoface status`` `nanoface service install` `nanoface portrait | nanoface x`", 0),
    (check_keys, "`tracking.max_face` `source.nosuch: 1` `nanoface run --set camera.fov=3`", 3),
    (check_keys, "`tracking.max_faces` `output.window: true` `latency_ms.p50` `tests/x.py`", 0),
])
def test_the_checks_see_what_is_wrong(check, text, faults):
    assert len(check("README.md", text)) == faults


def test_the_readme_is_short_and_shows_a_picture_of_ours():
    text = read("README.md")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(text.encode("utf-8")) <= MOST_README and pictures
    for path in pictures:
        with open(os.path.join(ROOT, path), "rb") as f:
            picture = f.read()
        assert picture[:3] == b"\xff\xd8\xff" and len(picture) < MOST_PICTURE, path
        assert "image:" + path in text  # the command that makes it


def test_every_document_is_in_the_readme():
    assert set(re.findall(r"\]\((docs/\w[\w-]*\.md)\)", read("README.md"))) >= set(PAGES[1:])


def fields(text):
    """What the tables of fields name in their first column."""
    tables = re.findall(r"^\| field \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    cells = [row.split("|")[1] for table in tables for row in table.splitlines()[2:]]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def paths(value, path="", named=()):
    """Every key of nested objects, dotted; the objects of a list are [], those of `named` have names of their own."""
    if isinstance(value, list):
        return {p for item in value if isinstance(item, dict) for p in paths(item, path + "[]", named)}
    found = set()
    for key, inner in value.items() if isinstance(value, dict) else ():
        place = "{}.{}".format(path, "NAME" if path in named else key) if path else key
        found |= {place} | (set() if key in ("missing", "temp_c", "rails_mw") else paths(inner, place, named))
    return found


def whole_frame():
    """The record of a frame in which everything is known."""
    contours = Eyes(np.zeros((71, 2)), np.ones((71, 2)))
    iris, pose = Iris(np.ones(2), 1.0, 1.0), Pose(np.eye(3), np.ones(3), 1.0, np.eye(3))
    face = Face(1, Roi(1.0, 1.0, 1.0, 0.0), 1.0, (0.0, 0.0, 1.0, 1.0), np.zeros((468, 3)), pose, Eyes(iris, iris),
                contours, Gaze((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), np.ones(3)),
                {path[1]: 1.0 for _, path in FACE_COLUMNS if path[0] == "expression"})
    return encode(Packet(Frame(0, 0.0, 0.0, np.zeros((4, 4, 3), np.uint8), "a.jpg"), (face,)), 0.0, Parts(True, True))


def test_records_md_has_the_fields_of_the_frame_record_and_no_other():
    written, documented = paths(whole_frame()), fields(read(RECORDS).split(EVENT)[0])
    assert written == documented
    columns = {path for _, path in FRAME_COLUMNS} | {("faces[]",) + path for _, path in FACE_COLUMNS}
    assert {".".join(step for step in path if isinstance(step, str)) for path in columns} <= documented


def test_records_md_has_the_fields_of_the_event_record_and_no_other():
    event = Event("blink", 1, END, 1, 0.0, 1.0, 1.0)
    frame = Frame(0, 0.0, 0.0, np.zeros((4, 4, 3), np.uint8))
    written = encode(Packet(frame, events=(event,)), 0.0, Parts(events=True))["events"]
    assert set(written[0]) == fields(read(RECORDS).split(STATUS)[0].split(EVENT)[1])
    columns = {name for name, _ in EVENT_COLUMNS} | {VALUES_COLUMN}
    assert all("`{}`".format(name) in read(RECORDS) for name in columns)


class Told(Runner, Stage, Output):
    """A stage whose runner, and an output whose sender, say all that they can."""

    name, backend, model, note = "align", "a", "b", "c"
    open = close = process = submit = infer = emit = None

    def __init__(self):
        self.runners = (self,)

    def counters(self):
        return {"skipped": 0, "lost": 0}

    def take_device_ms(self):
        return [1.0]


def whole_status():
    """The status record of a run on a board of which everything is known."""
    told = Told()
    meter = Meter([told], 0.0)
    meter.finished(Packet(Frame(0, 0.0, 0.0, np.zeros((4, 4, 3), np.uint8)), (), (Span("align", 0.0, 1.0, 2.0),)), 2.0)
    memory = {"MemTotal": 2.0, "MemAvailable": 1.0, "SwapTotal": 2.0, "SwapFree": 1.0}
    reading = Reading(1.0, (None, None), 1.0, "", (1.0,), None, "", {"GPU": 1.0}, {}, {"POM_5V_IN": 1.0}, {}, memory)
    board = record_of(reading)
    board.update(model="", nvpmodel="", throttled=True, throttled_by=[])
    run = RunState("RUNNING", "", 1.0, "x", {"jsonl:-": Sender(told).stats()}, board)
    return dict(status_record(run, meter.summary(3.0), 0.0), lost=1, governor=Steering(Governor(30.0, 0), []).record(),
                profile={"name": "", "note": ""}, log=StatusWriter(StatusLog(""), dict, 1.0).counts())


def test_records_md_has_the_fields_of_the_status_record_and_no_other():
    written, documented = paths(whole_status(), "", ("stages", "outputs")), fields(read(RECORDS).split(STATUS)[1])
    objects = {path.rpartition(".")[0] for path in documented}  # their rows are those of what is in them
    assert documented - written == set() and written - documented <= objects


def test_records_md_has_the_reasons_that_stages_give():
    table = re.search(r"^\| reason \|.*\n(?:\|.*\n)+", read(RECORDS), re.MULTILINE).group(0)
    documented = {reason for row in table.splitlines()[2:] for reason in re.findall(r"`([^`]+)`", row.split("|")[1])}
    texts = [read(path) for path in files(["edge"])]
    given = {reason for text in texts for reason in re.findall(r"\.without\([^,()]+, \"([^\"]+)\"", text)}
    assert given and given <= documented
    assert [reason for reason in sorted(documented) if not any('"{}"'.format(reason) in text for text in texts)] == []


def wrong_inputs():
    """(command line, line on standard error, exit code) of each input that is a command line and nothing else."""
    found = re.findall(r"^\| `([^`]+)` \| `+(.+?)`+ \| (\d) \|$", read("docs/errors.md"), re.MULTILINE)
    return [(words, line.strip(), int(code)) for words, line, code in found if int(code) != OUTPUT]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_errors_md_has_inputs_of_every_kind():
    assert {code for _, _, code in wrong_inputs()} == {2, 3, 4} and len(wrong_inputs()) >= 15


@pytest.mark.parametrize("words, line, code", wrong_inputs(), ids=[words for words, _, _ in wrong_inputs()])
def test_a_wrong_input_says_what_errors_md_says(folder, capfd, words, line, code):
    assert cli.main(shlex.split(words)) == code
    assert capfd.readouterr().err.strip() == "nanoface: " + line
