"""The rooms by their files, and the drawing of them in docs/architecture.md."""
import os
import re
from collections import Counter

import pytest
import test_engine_rooms
from codebase import files, read
from test_imports import FACE, MAY_IMPORT

FEWEST, MOST = 3, 14
GROWS = "edge/cli/commands"  # one file a command
PACKAGES = ("edge", "calibration")  # hold rooms, and no more than how they begin


def odd_rooms(paths):
    """Folder -> files, of those that have too few or too many."""
    counts = Counter(os.path.dirname(path) for path in paths)
    return {room: count for room, count in counts.items()
            if count < FEWEST and room not in PACKAGES or count > MOST and room != GROWS}


def floors(text):
    """The rooms in each line of the drawing, from the top."""
    drawing = re.search(r"^## The rooms\n.*?^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL).group(1)
    return [re.split(r" {3,}", line)[0].split() for line in drawing.splitlines()]


def not_below(drawn):
    """(room, what it may import) that the drawing has on the same floor or above."""
    floor = {room: height for height, rooms in enumerate(reversed(drawn)) for room in rooms}
    return [(room, target) for room, allowed in sorted(MAY_IMPORT.items()) if room in floor
            for target in sorted({name.split(".")[0] for name in allowed.split()}) if floor[target] >= floor[room]]


def test_every_room_has_three_to_fourteen_files():
    found = files(["edge", "engines", "calibration"])
    assert odd_rooms(found) == {}
    assert {path for path in found if os.path.dirname(path) == "edge"} == {"edge/__init__.py", "edge/__main__.py"}
    assert {path.split("/")[1] for path in found if path.startswith("engines/") and path.count("/") > 1} == set(
        test_engine_rooms.MAY_IMPORT)


@pytest.mark.parametrize("room, count, odd", [
    ("edge/face", 2, True), ("edge/face", 3, False), ("edge/face", 14, False), ("edge/face", 15, True), ("edge", 2, False),
    (GROWS, 15, False), (GROWS, 2, True),
])
def test_a_room_that_is_too_small_or_too_large_is_found(room, count, odd):
    assert bool(odd_rooms("{}/x{}.py".format(room, n) for n in range(count))) == odd


def test_the_drawing_has_every_room_above_what_it_imports():
    drawn = floors(read("docs/architecture.md"))
    assert sorted(sum(drawn, [])) == sorted(set(MAY_IMPORT) - {"__main__"}) and FACE in read("docs/architecture.md")
    assert not_below(drawn) == []


def test_a_room_that_is_drawn_beside_what_it_imports_is_found():
    drawn = floors(read("docs/architecture.md"))
    assert ("host", "core") in not_below(list(reversed(drawn)))
    assert ("face", "geometry") in not_below([sum(drawn, [])])
