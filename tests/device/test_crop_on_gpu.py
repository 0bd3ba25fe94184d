"""On a real GPU the crop kernel shows, to the bit, what its reference shows."""
import pytest


@pytest.mark.device
def test_every_crop_is_what_the_twin_the_exact_sample_and_the_cpu_path_show(on_gpu):
    text = on_gpu("run_on_gpu.py")
    assert "all agree" in text and "DIFFERS" not in text
