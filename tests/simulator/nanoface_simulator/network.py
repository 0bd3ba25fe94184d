"""What an engine computes: by ONNX Runtime, or stored answers where NANOFACE_SIM_ANSWERS names a folder of <network>.npz."""
import os

import numpy as np

from . import settings
from .streams import now


class Network:
    """Shared by the execution contexts of an engine."""

    def __init__(self, header, content):
        self._bindings = header["bindings"]
        self._inputs = [b[0] for b in self._bindings if b[3]]
        self._outputs = [b[0] for b in self._bindings if not b[3]]
        self._session, self._answers = None, None
        folder = settings.text("ANSWERS")
        if folder:
            self._answers = self._stored(folder, header["names"])
        else:
            self._session = _session(content)

    def _stored(self, folder, names):
        for name in names:
            path = os.path.join(folder, name + ".npz")
            if os.path.exists(path):
                with np.load(path) as stored:
                    return [np.ascontiguousarray(stored[output]) for output in self._outputs]
        raise FileNotFoundError("the simulator has no stored answers for {} in {}".format(" or ".join(names), folder))

    def run(self, line, inputs, outputs, modelled_s, times):
        """Fill the outputs. inputs, outputs: arrays over the device's memory, in the order of the bindings."""
        if self._answers is not None:
            for target, answer in zip(outputs, self._answers):
                np.copyto(target, answer)
            times[:] = [modelled_s]
            return
        began_at = now()
        results = self._session.run(self._outputs, dict(zip(self._inputs, inputs)))
        for target, result in zip(outputs, results):
            np.copyto(target, result.reshape(target.shape), casting="unsafe")
        took_s = now() - began_at
        if not modelled_s:
            line.extra_s += took_s
        times[:] = [modelled_s or took_s]

    def output_shapes(self, shapes):
        """number of the binding -> shape of outputs that is known once the inputs' are; found by a run on zeros."""
        feeds = {}
        for binding, shape in zip(self._bindings, shapes):
            if binding[3]:
                if any(side < 0 for side in shape):
                    return {}
                feeds[binding[0]] = np.zeros(shape, np.float32)
        if self._session is None:
            return {}
        found = dict(zip(self._outputs, self._session.run(self._outputs, feeds)))
        return {number: found[b[0]].shape for number, b in enumerate(self._bindings) if not b[3]}


def _session(content):
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # the real TensorRT tells nobody either
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
