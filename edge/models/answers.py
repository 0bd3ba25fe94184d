"""What a network answered, before anybody believes it."""
from typing import Mapping, Tuple

import numpy as np

from edge.core.errors import FrameError


def shaped(outputs: Mapping[str, np.ndarray], name: str, shape: Tuple[int, ...], network: str) -> np.ndarray:
    """The output in this shape. Raises FrameError where it is absent or has another number of values."""
    found = outputs.get(name)
    if found is None:
        raise FrameError("network {} gave no output {}".format(network, name))
    try:
        return found.reshape(shape)
    except ValueError:
        raise FrameError("network {} gave {} values in its output {}, not {}".format(
            network, found.size, name, int(np.prod(shape))))
