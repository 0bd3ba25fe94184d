"""The camera of a run: of its configuration, or of what a recording says of itself."""
from typing import Any, Mapping, Optional

from edge.config.load import Config
from edge.core.errors import ConfigError
from edge.geometry.camera import CameraGuess, load, of_facts


def camera_of(config: Config, facts: Optional[Mapping[str, Any]] = None) -> CameraGuess:
    """`facts` of a replay. Raises ConfigError for intrinsics that cannot be read."""
    if facts is not None:
        return _recorded(facts, config.camera.fov_deg)
    return CameraGuess(load(config.camera.intrinsics) if config.camera.intrinsics else None, config.camera.fov_deg)


def _recorded(facts: Mapping[str, Any], fov_deg: float) -> CameraGuess:
    """`fov_deg` where the recording does not know better."""
    known, camera = facts.get("fov_deg"), facts.get("camera")
    if isinstance(known, (int, float)) and 10.0 <= known <= 170.0:
        fov_deg = float(known)
    try:
        return CameraGuess(None if camera is None else of_facts(camera, "of the recording"), fov_deg)
    except ConfigError:  # a file of somebody else's
        return CameraGuess(None, fov_deg)
