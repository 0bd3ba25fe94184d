"""On a real GPU the runner's contexts, streams, memory and frames behave as they do on the simulator."""
import pytest


@pytest.mark.device
def test_every_kind_of_memory_and_crops_keeps_its_promises(on_gpu):
    text = on_gpu("runner_on_gpu.py", "NANOFACE_")
    assert "all is as promised" in text and "NOT SO" not in text
