"""Faces that the detector finds anew in each frame (`tracking.follow: false`): what else in a run stands on following them."""
import pytest
from fakes.tracker import Tracker
from whole_runs import whole_program

from edge.app.chain import Stages, steps_of
from edge.pipeline.governor import Switch

UNFOLLOWED = ("--source", "portrait", "--set", "tracking.follow=false", "--output", "jsonl:a.jsonl")


@pytest.fixture(scope="module")
def program(models_home, tmp_path_factory):
    return whole_program(models_home, tmp_path_factory)


def test_nobody_is_taken_for_gone_in_a_run_that_could_rest(program):
    done = program.run(*UNFOLLOWED, "--realtime", "--loop", "--max-frames", "40", "--set", "governor.idle_after_s=0.2")
    assert [len(record["faces"]) for record in done.records("a.jsonl")] == [1] * 40


def test_a_mean_over_frames_and_the_events_of_a_face_are_told_to_be_in_vain(program):
    done = program.run(*UNFOLLOWED, "--max-frames", "6", "--smoothing", "mean", "--events", "--status", "s.jsonl")
    note = ("tracking.follow is false, so no face keeps its id: nothing is smoothed, and the only event is the presence of "
            "anybody")
    assert note in done.notes() and not any("later" in line for line in done.notes())
    assert "smooth" not in done.records("s.jsonl")[-1]["stages"]
    quiet = program.run(*UNFOLLOWED, "--max-frames", "6")
    assert quiet.notes() == [] and len(quiet.records("a.jsonl")) == len(done.records("a.jsonl")) == 6


def test_what_would_cost_faces_or_save_nothing_is_not_given_up_for_the_rate():
    tracker = Tracker(points68=True).open()
    stages = Stages(tracker.detect, tracker.align, tracker.pose, tracker.iris, tracker.express)
    usual, unfollowed = steps_of(stages, Switch()), steps_of(stages, Switch(), follow=False)
    assert [step.text for step in unfollowed] == [usual[0].text, usual[-1].text] and len(usual) == 5
