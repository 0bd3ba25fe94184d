"""A network of one's own in the place of one of ours: looked at before anything else is opened, so that what it lacks is
told first.
"""
from typing import Tuple

from edge.config.networks import ModelsConfig
from edge.core.contracts import Runner
from edge.core.roles import FILLS_TOO, POSE
from edge.models.interfaces import interfaces
from edge.runtimes.choose import open_runner
from edge.store import models, own


def open_own(home: str, config: ModelsConfig, role: str) -> Tuple[Runner, models.StoredNetwork]:
    """The runner is closed again, for the thread that will use it. Raises ModelError or EngineError."""
    path, like = config.own(role), getattr(config, role + "_like")
    sha256 = own.check_file(path)
    decode = models.locate(home, like).decode if role == POSE else {}  # numbers that came with the weights
    network = models.StoredNetwork(own.name_of(path), path, path, decode, role, sha256, FILLS_TOO.get(like, ()),
                                   interface=interfaces()[like])
    runner = open_runner(network, config.runtime)
    runner.open()
    height, width = runner.inputs[0].shape[2:]
    runner.close()
    return runner, network._replace(size=(width, height) if interfaces()[like].free_size else None)
