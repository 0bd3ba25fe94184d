"""On a real GPU a CUDA graph of the crop kernel is captured, launched and refused as on the simulator."""
import pytest


@pytest.mark.device
def test_a_graph_of_the_crop_kernel_keeps_its_promises(on_gpu):
    text = on_gpu("graph_on_gpu.py")
    assert "all is as promised" in text and "NOT SO" not in text
