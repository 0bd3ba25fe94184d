"""A wall clock that is stepped while the program runs: nothing pauses, and the run still ends at once.

The bound is generous, as other tests run at the same time: a wait that follows the wall clock pauses for the whole step.
"""
import sys

import kills
import pytest
from patience import PATIENCE_S, stretch, wait_until
from quick_program import BOARD, CAMERA
from stepped_clock import STEPS_S, Stepped, build

PAUSE_S = PATIENCE_S  # half of the smallest step
MOST_S = 2.0  # for the end; beside what a busy machine makes of it
TEMPERATURE = "sys/devices/virtual/thermal/thermal_zone1/temp"
BOARD_FILES = {
    "proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
    "sys/devices/virtual/thermal/thermal_zone1/type": "GPU-therm\n",
    TEMPERATURE: "39000\n",
}
pytest.importorskip("yaml")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="LD_PRELOAD is of Linux")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    built = build(str(tmp_path_factory.mktemp("stepped_clock")))
    if built is None:
        pytest.skip("needs a C compiler (gcc)")
    return built


@pytest.fixture
def board(tmp_path):
    """The folder of its files."""
    for name, text in BOARD_FILES.items():
        path = tmp_path / "board" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "board"


def until_board_tells(folder, celsius):
    wait_until(lambda: kills.status(folder)["board"]["temp_c"]["GPU"] == celsius, "another look at the board", PAUSE_S)


@pytest.mark.parametrize("camera", [False, True], ids=["at its own pace", "camera in a child process"])
def test_no_step_of_the_wall_clock_stops_anything(tmp_path, library, board, camera):
    (tmp_path / "camera").write_text("works")
    more = {CAMERA: str(tmp_path / "camera")} if camera else {}
    stepped = Stepped(str(tmp_path), library, **dict(more, **{BOARD: str(board)}))
    try:
        stepped.pauses(3, kills.PATIENCE_S)
        for celsius, step_s in enumerate(STEPS_S + (-STEPS_S[-1],), 40):
            stepped.step(step_s)
            (board / TEMPERATURE).write_text("{}\n".format(1000 * celsius))
            longest_s = stepped.pauses(3, 2 * PAUSE_S)
            assert stepped.process.poll() is None, stepped.process.stderr.read()
            assert max(longest_s.values()) < PAUSE_S, "stepped by {} s: {}".format(step_s, longest_s)
            until_board_tells(str(tmp_path), celsius)
        stepped.step(-3600)
        took_s = kills.terminated(stepped.process)
    finally:
        stepped.close()
    assert took_s < MOST_S * stretch() + kills.slowness_s()
    assert kills.status(str(tmp_path))["state"] == "STOPPED"
