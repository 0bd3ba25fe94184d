"""The configuration: an immutable tree. The meaning, unit and range of each value stand in defaults.yaml, key by key.

Three layers, each over the one before: defaults.yaml, the user's file, the command line.
"""
import logging
import os
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from edge.config.file import DEFAULTS_FILE, Found, UserFile, choose_file, describe, read_file, read_line
from edge.config.networks import ModelsConfig, like_fault, without_like
from edge.config.rules import RULES, no_such_key, worker_ends, worker_groups
from edge.core import redact
from edge.core.errors import ConfigError
from edge.core.redact import SOURCE_VARIABLE
from edge.core.roles import OFF, PICTURE_SUFFIXES
from edge.host.reading import readable_by_all
from edge.outputs.spec import parse_outputs

log = logging.getLogger(__name__)

SOURCE_KEYS = ("source.spec", "source.spec_file")
STILLS = PICTURE_SUFFIXES + (".txt",)  # the last: a list of pictures


class SourceConfig(NamedTuple):
    """`spec` is also what `spec_file` holds."""

    spec: Optional[str]
    spec_file: Optional[str]
    tls: str
    ca_file: Optional[str]
    width: Optional[int]
    height: Optional[int]
    fps: Optional[float]
    flip: str
    rotate: int
    loop: bool
    start_s: float
    end_s: Optional[float]
    pace: str
    sequence: bool
    max_pixels: Optional[int]
    strict: bool
    max_frames: Optional[int]
    process: str
    wait: bool
    boxes: Optional[str]


class CameraConfig(NamedTuple):
    """Of the controls, None leaves one as it is and "auto" gives it to the camera."""

    fov_deg: float
    intrinsics: Optional[str]
    exposure: Union[None, str, float]
    gain: Union[None, str, float]
    white_balance: Union[None, str, float]
    power_line_hz: Union[None, str, float]


class EnginesConfig(NamedTuple):
    rebuild: str


class TrackingConfig(NamedTuple):
    max_faces: int
    max_faces_stills: int
    detect_score: Optional[float]
    detect_overlap: Optional[float]
    follow: bool
    presence: float
    refresh_s: float
    lost_after_s: float
    pose_every: int


class SmoothingConfig(NamedTuple):
    enabled: bool
    kind: str
    n_pre: int
    n_next: int
    min_cutoff_hz: float
    beta: float
    derivative_cutoff_hz: float


class NeutralConfig(NamedTuple):
    """`profile` None: the one that is in use; "none": no profile."""

    profile: Optional[str]
    auto_centre: bool


class PipelineConfig(NamedTuple):
    workers: str

    def groups(self) -> Tuple[Tuple[str, ...], ...]:
        """The stages of each worker, in order."""
        return worker_groups(self.workers)

    def ends(self) -> Tuple[bool, bool]:
        """Whether capture and output share a thread with stages, where the source is a recorded one."""
        return worker_ends(self.workers)


class GovernorConfig(NamedTuple):
    enabled: bool
    target_fps: float
    idle_after_s: Optional[float]


class EventsConfig(NamedTuple):
    blink_closure: float
    closed_s: float
    perclos: float
    yawn_s: float
    away_yaw_deg: float
    away_pitch_deg: float
    away_s: float
    near_mm: float
    far_mm: float
    gone_s: float


class OutputConfig(NamedTuple):
    landmarks: Any  # False, True, IBUG or BOTH of edge.core.parts
    shapes: bool
    coarse_shapes: bool
    events: bool
    mirror: bool
    draw_times: bool
    style: str
    window: Union[str, bool]

    @property
    def any_shapes(self) -> bool:
        return self.shapes or self.coarse_shapes


class StatusConfig(NamedTuple):
    path: Optional[str]
    interval_s: float
    gather_s: float
    max_bytes: int
    max_age_s: Optional[float]
    keep: int

    def file(self, environ: Optional[Mapping[str, str]] = None) -> Optional[str]:
        """Where the status log is written; None where it is switched off."""
        if self.path == OFF:
            return None
        env = os.environ if environ is None else environ
        state = env.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
        return self.path or os.path.join(state, "nanoface", "status.jsonl")


class MetricsConfig(NamedTuple):
    """`address` is host and port; None: no endpoint."""

    address: Optional[Tuple[str, int]]


class Config(NamedTuple):
    """`chosen`: the dotted keys that the user set, whatever to."""

    source: SourceConfig
    camera: CameraConfig
    models: ModelsConfig
    engines: EnginesConfig
    tracking: TrackingConfig
    smoothing: SmoothingConfig
    neutral: NeutralConfig
    pipeline: PipelineConfig
    governor: GovernorConfig
    events: EventsConfig
    outputs: Tuple[str, ...]
    output: OutputConfig
    status: StatusConfig
    metrics: MetricsConfig
    chosen: FrozenSet[str] = frozenset()


TREE = {
    "source": SourceConfig, "camera": CameraConfig, "models": ModelsConfig, "engines": EnginesConfig,
    "tracking": TrackingConfig, "smoothing": SmoothingConfig, "neutral": NeutralConfig, "pipeline": PipelineConfig,
    "governor": GovernorConfig, "events": EventsConfig, "output": OutputConfig, "status": StatusConfig,
    "metrics": MetricsConfig,
}  # type: Dict[str, Any]
NO_SPELLING = {}  # type: Dict[str, str]


def load_config(path: Optional[str], overrides: Mapping[str, Any], environ: Optional[Mapping[str, str]],
                spelled: Mapping[str, str] = NO_SPELLING) -> Config:
    """Read, merge and check. `overrides` are the command line's values by dotted key, as YAML would have given them;
    `spelled` has the option that each came by, for the errors. Raises ConfigError.

    `environ` None is for the library, whose caller gives the overrides: nothing but `path` is read then.
    """
    layers: List[Dict[str, Found]] = []
    user_file = choose_file(path, environ) if environ is not None else None if path is None else UserFile(path, "config=")
    if user_file is not None:
        layers.append(read_file(user_file))
    if environ is not None and environ.get(SOURCE_VARIABLE):
        layers.append({"source.spec": Found(environ[SOURCE_VARIABLE], "$" + SOURCE_VARIABLE)})
    layers.append({key: Found(v, spelled.get(key, "the command line")) for key, v in overrides.items()})
    values = _checked(read_file(UserFile(DEFAULTS_FILE, "the defaults")))
    for layer in layers:
        values.update(without_like(_one_source(_checked(layer), layer)))
        if "output.window" in layer and values["output.window"] is False:  # also none that was named before
            values["outputs"] = tuple(text for text in values["outputs"] if text.partition("?")[0].strip().lower() != "window")
    values["source.spec"] = _source(values, layers, user_file, environ is not None)
    _check_outputs(values["outputs"], layers)
    config = _tree(values)._replace(chosen=frozenset(key for layer in layers for key in layer))
    contradiction = _contradiction(config.source, config.events) or like_fault(config.models, spelled)
    if contradiction:
        raise ConfigError(contradiction)
    return config


def _one_source(values: Dict[str, Any], layer: Mapping[str, Found]) -> Dict[str, Any]:
    """A layer's source, named or in a file, replaces that of the layers before. Raises ConfigError where it has both."""
    named = [key for key in SOURCE_KEYS if values.get(key) is not None]
    if len(named) == 2:
        raise ConfigError("{}: source.spec and source.spec_file are both set: leave one out".format(layer[named[1]].where))
    return dict(dict.fromkeys(SOURCE_KEYS), **values) if named else values


def _source(values: Mapping[str, Any], layers: Sequence[Mapping[str, Found]], user_file: Optional[UserFile],
            on_command_line: bool) -> Optional[str]:
    """From now on its passwords are hidden everywhere; warns where other users can read them."""
    path = values["source.spec_file"]
    spec = RULES["source.spec"].read(read_line(path)) if path is not None else values["source.spec"]
    redact.learn(spec or "")
    if spec is None or not redact.has_secret(spec):
        return spec
    if on_command_line and layers[-1].get("source.spec") is not None:
        log.warning("a password on the command line can be seen by everybody on this machine: set $%s, or source.spec_file",
                    SOURCE_VARIABLE)
    holder = path if path is not None else user_file.path if user_file and "source.spec" in layers[0] else None
    if holder is not None and readable_by_all(holder):
        log.warning("%s holds a password and can be read by everybody on this machine: chmod o= %s", holder, holder)
    return spec


def _check_outputs(texts: Sequence[str], layers: Sequence[Mapping[str, Found]]) -> None:
    """Here, so that doctor and the installer know what a run would refuse. Raises ConfigError."""
    try:
        parse_outputs(texts)
    except ConfigError as e:
        where = next(layer["outputs"].where for layer in reversed(layers) if "outputs" in layer)
        raise ConfigError(str(e) if where.startswith("--") else "{}: {}".format(where, e))


def _checked(written: Mapping[str, Found]) -> Dict[str, Any]:
    values = {}
    for key, found in written.items():
        if key not in RULES:
            raise ConfigError("{}: {}".format(found.where, no_such_key(key)))
        try:
            values[key] = RULES[key].read(found.value)
        except ValueError as e:
            reason = "; {}".format(e) if str(e) else ""
            raise ConfigError("{}: {} is {}{}; allowed: {}".format(
                found.where, key, describe(found.value), reason, RULES[key].allowed))
    return values


def _tree(values: Mapping[str, Any]) -> Config:
    sections = {
        name: section(**{field: values["{}.{}".format(name, field)] for field in section._fields})
        for name, section in TREE.items()
    }
    return Config(outputs=values["outputs"], **sections)


def _contradiction(source: SourceConfig, events: EventsConfig) -> Optional[str]:
    """What is wrong with values that are each allowed."""
    if events.near_mm >= events.far_mm:
        return "events.near_mm {:g} is not below events.far_mm {:g}".format(events.near_mm, events.far_mm)
    if source.end_s is not None and source.end_s <= source.start_s:
        return "source.end_s {:g} is not after source.start_s {:g}".format(source.end_s, source.start_s)
    if source.pace == "realtime" and source.sequence:
        return "source.pace realtime is for videos and source.sequence for pictures: set one of them"
    spec = source.spec or ""
    if source.pace == "realtime" and (spec.lower().endswith(STILLS) or os.path.isdir(spec)):
        return "source.pace realtime is for videos, and {} holds pictures: leave realtime out".format(spec)
    return None
