"""What the engines answer in a rehearsal: one face that never moves, so that their arithmetic costs nothing.

The networks look at the demo's first picture in ONNX Runtime or OpenVINO. The mesh is then moved within its crop until the
next region it asks for is the very region that it was given: the track stands still for any number of frames.
"""
import os
from typing import Dict, List

import numpy as np

from edge.app.chain import make_stages
from edge.core.contracts import Runner, Stage
from edge.core.packet import Frame, Packet, Roi
from edge.core.roles import ALIGN, NETWORKS
from edge.geometry import roi as regions
from edge.models.aligners import make_aligner
from edge.models.face_landmark import SIZE
from edge.stages.pose import PoseNetwork
from edge.store.models import home_dir, read_index

CENTRED = Roi(SIZE / 2.0, SIZE / 2.0, float(SIZE), 0.0)
Outputs = Dict[str, np.ndarray]


class Listening(Runner):
    """Passes everything on, and keeps the last answer."""

    def __init__(self, inner: Runner) -> None:
        self._inner = inner
        self.last_outputs: Outputs = {}

    def open(self) -> None:
        self._inner.open()
        self.inputs, self.outputs = self._inner.inputs, self._inner.outputs
        self.backend, self.model = self._inner.backend, self._inner.model

    def submit(self, image, crops):  # type: ignore
        ticket = self._inner.submit(image, crops)
        self.last_outputs = {name: values.copy() for name, values in ticket.result().items()}
        return ticket

    def infer(self, feeds):  # type: ignore
        return self._inner.infer(feeds)

    def close(self) -> None:
        self._inner.close()


def listen(stage: Stage) -> List[Listening]:
    """Puts a Listening in the place of each runner of a stage."""
    wrapped = {id(runner): Listening(runner) for runner in stage.runners}
    stage.runners = tuple(wrapped[id(runner)] for runner in stage.runners)
    for name, value in list(vars(stage).items()):
        if id(value) in wrapped:
            setattr(stage, name, wrapped[id(value)])
        elif isinstance(value, PoseNetwork):
            setattr(stage, name, value._replace(runner=wrapped[id(value.runner)]))
    return list(wrapped.values())


def standing_still(network: str, outputs: Outputs) -> Outputs:
    """The points of a mesh (crop pixels), moved so that the region they ask for is the crop itself."""
    aligner, found = make_aligner(network), {name: values.astype(np.float64) for name, values in outputs.items()}
    for _ in range(6):
        points = aligner.decode(found, CENTRED).landmarks
        asked = aligner.roi_of_landmarks(points, regions.bounds(points))
        to_crop, scale = regions.matrix(asked, SIZE), SIZE / asked.size
        for name in {"landmarks", "mesh"} & set(found):
            flat = found[name].reshape(-1, 3)
            found[name] = np.column_stack([regions.apply(to_crop, flat[:, :2]), flat[:, 2] * scale]).reshape(found[name].shape)
        if "refined" in found:  # parts of x and y
            pairs = np.moveaxis(found["refined"], 1, -1)
            moved = regions.apply(to_crop, pairs.reshape(-1, 2)).reshape(pairs.shape)
            found["refined"] = np.moveaxis(moved, -1, 1)
    assert np.allclose(asked, CENTRED, atol=1e-4), asked
    return {name: np.ascontiguousarray(values, np.float32) for name, values in found.items()}


def make(config, image: np.ndarray, folder: str) -> None:
    """Write `<network>.npz` for every network that a run takes, in each way to points and irises that was fetched."""
    for name in NETWORKS[ALIGN]:
        if name in read_index(home_dir()):
            make_way(config._replace(models=config.models._replace(align=(name,))), image, folder)


def make_way(config, image: np.ndarray, folder: str) -> None:
    stages = make_stages(config, False, lambda event, text: None)
    chain = [stage for group in stages.groups(config.pipeline.groups()) for stage in group]
    runners = [runner for stage in chain for runner in listen(stage)]
    for stage in chain:
        stage.open()
    packet = None
    for seq in range(12):
        packet = Packet(Frame(seq, float(seq), seq / 30.0, image))
        for stage in chain:
            packet = stage.process(packet)
    assert packet is not None and packet.faces, "the demo's portrait was not found"
    for runner in runners:
        outputs = dict(runner.last_outputs)
        assert outputs, runner.model
        if runner.model in NETWORKS[ALIGN]:
            outputs = standing_still(runner.model, outputs)
        np.savez(os.path.join(folder, runner.model + ".npz"), **outputs)
    for stage in reversed(chain):
        stage.close()
