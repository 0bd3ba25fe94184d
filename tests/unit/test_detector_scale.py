"""A detector that sees the frame resized by a factor: its input's size, where the frame lies in it, and what is refused."""
import numpy as np
import pytest

from edge.config.load import load_config
from edge.core.contracts import Runner, Tensor
from edge.core.errors import ConfigError, EngineError
from edge.models.detectors.sized import MOST_PIXELS
from edge.models.detectors.table import MULTIPLES, make_detector, scaled_detector
from edge.models.warp import Warper
from edge.runtimes import choose
from edge.runtimes.sized import KEPT, SizedRunner
from edge.store.models import StoredNetwork


@pytest.mark.parametrize("scale, frame, size", [
    (0.1, (640, 480), (64, 64)), (0.4, (640, 480), (256, 192)), (1.0, (640, 480), (640, 480)), (2.0, (640, 480), (1280, 960)),
    (1.0, (641, 479), (672, 480)), (0.01, (16, 9000), (32, 96)), (0.5, (33, 65), (32, 32)), (1.0, (1, 1), (32, 32)),
])
def test_the_input_is_the_resized_frame_rounded_up_to_the_strides(scale, frame, size):
    detector = scaled_detector("fmr_8and16", scale)
    crop = detector.crop(*frame)
    assert detector.size == crop.size == size
    # the frame's last edge lies at its length times the scale, to a whole pixel
    shown = (crop.matrix[:, 2] + 0.5 - 0.5 * np.diag(crop.matrix)) + np.diag(crop.matrix) * frame
    assert np.allclose(shown, [max(1, round(n * scale)) for n in frame]) and np.allclose(
        crop.matrix[:, 2] + 0.5, 0.5 * np.diag(crop.matrix))


def test_what_is_left_over_is_black_and_the_rest_is_the_frame_resized():
    detector = scaled_detector("fmr_8and16", 0.5)
    image = np.full((100, 150, 3), 200, np.uint8)
    crop = detector.crop(150, 100)
    planes = np.empty((3,) + crop.size[::-1], np.float32)
    Warper().fill(image, crop, planes)
    assert crop.size == (96, 64)
    assert (planes[:, :50, :75] == 200).all() and not planes[:, 50:].any() and not planes[:, :, 75:].any()


@pytest.mark.parametrize("network", sorted(MULTIPLES))
def test_at_its_own_size_a_detector_decodes_as_without_a_scale(network):
    own = make_detector(network)
    width, height = own.size
    sized = type(own)(network, width, height)
    assert sized.input == own.input and sized.threshold == own.threshold
    if height % MULTIPLES[network] == 0:
        scaled = scaled_detector(network, 1.0)
        assert scaled.crop(width, height).matrix.tolist() == own.crop(width, height).matrix.tolist()


def test_each_size_of_frames_is_decoded_with_anchors_of_its_own():
    detector = scaled_detector("fmr_16and32", 1.0)
    for width, height in ((64, 32), (128, 96), (64, 32), (320, 256), (640, 480), (32, 32), (64, 64)):
        crop = detector.crop(width, height)
        outputs = {"{}_{}".format(kind, s): np.zeros((1, rows, height // s, width // s), np.float32)
                   for s in (16, 32) for kind, rows in (("cls", 4), ("bbox", 8))}
        outputs["cls_32"][0, 2, -1, -1] = 0.9  # the larger anchor of the last cell: 512 pixels
        (box,), scores, _ = detector.decode(outputs, crop, 0.5, 5)
        assert scores == pytest.approx([0.9])
        assert box == pytest.approx([n - 32 + 8 + d * 256 - 0.5 for d in (-1, 1) for n in (width, height)])


def test_an_input_beyond_the_limit_is_refused_with_its_size():
    detector = scaled_detector("yunet_s", 4.0)
    with pytest.raises(ConfigError) as e:
        detector.crop(4000, 3000)
    assert "4000x3000" in str(e.value) and "16000x12000" in str(e.value) and "smaller scale" in str(e.value)
    assert detector.crop(960, 540).size == (3840, 2176) and 3840 * 2176 <= MOST_PIXELS


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e9, 4.1, 0.009, "big", True, [1]])
def test_scales_that_make_no_sense_are_refused(value):
    with pytest.raises(ConfigError) as e:
        load_config(None, {"models.detector_scale": value}, {})
    assert "models.detector_scale" in str(e.value) and "0.01 to 4" in str(e.value)


def test_the_scale_is_off_unless_it_is_asked_for():
    assert load_config(None, {}, {}).models.detector_scale is None
    assert load_config(None, {"models.detector_scale": 1}, {}).models.detector_scale == 1.0


class Sized(Runner):
    opened = []

    def __init__(self, size):
        self.size, self.run_s = size, 1.0

    def open(self):
        self.inputs = (Tensor("input", (1, 3) + self.size[::-1]),)
        Sized.opened.append(self.size)

    def submit(self, image, crops):
        self.run_s += 1.0
        return self.size

    def infer(self, feeds):
        return {}

    def close(self):
        Sized.opened.remove(self.size)


def test_a_network_is_loaded_once_for_each_size_and_few_are_kept():
    Sized.opened = []
    runner, detector = SizedRunner("yunet_s", (32, 32), Sized), scaled_detector("yunet_s", 1.0)
    with pytest.raises(EngineError):
        runner.submit(None, (detector.crop(64, 64),))
    runner.open()
    assert runner.inputs[0].shape == (1, 3, 32, 32)
    sizes = [(64, 64), (96, 64), (64, 64), (128, 64), (160, 64), (64, 64)]
    assert [runner.submit(None, (detector.crop(*size),)) for size in sizes] == sizes
    assert Sized.opened == [(64, 64), (128, 64), (160, 64)] and len(Sized.opened) == KEPT
    assert runner.run_s == 5 + len(sizes)  # also of those that were closed
    runner.close()
    runner.close()
    assert Sized.opened == []


def test_tensorrt_is_refused_with_the_cure():
    with pytest.raises(EngineError) as e:
        choose.open_sized(StoredNetwork("yunet_s", "", "", {}, "detect"), "tensorrt", (32, 32))
    assert "built for" in str(e.value) and "--runtime onnxruntime" in str(e.value)
