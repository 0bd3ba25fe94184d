"""The stages of a run, composed of the networks that are there, and what is given up to keep the rate."""
import re
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Type

from edge.app.networks import Networks, Report
from edge.config.load import Config
from edge.core.contracts import Stage
from edge.core.parts import POINTS_ONLY, SHAPES, Parts
from edge.core.roles import ALIGN, DETECT, IRIS, OFF, POSE
from edge.face.blendshapes import Blendshapes
from edge.face.events.signals import Limits
from edge.geometry.camera import CameraGuess, load
from edge.geometry.filters import OneEuroSettings
from edge.models.aligners import make_aligner
from edge.models.detectors.table import make_detector
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.pipeline.governor import Step, Switch
from edge.stages.align import Align, AlignSettings
from edge.stages.detect import Detect, DetectSettings
from edge.stages.express import Express, ExpressSettings
from edge.stages.iris import IrisStage
from edge.stages.pose import PoseNetwork, PoseStage
from edge.stages.replay import Replayed
from edge.stages.resting import NeutralSource
from edge.stages.tracks import Tracks

SWITCHED_OFF = "switched off"
GIVEN = "{} gives its values"
OF_NETWORKS = ("models.", "tracking.", "smoothing.", "neutral.", "events.", "camera.")


class Stages(NamedTuple):
    """Every stage that runs, in order. None: switched off, no network, or an earlier stage fills its fields."""

    detect: Detect
    align: Align
    pose: Optional[PoseStage]
    iris: Optional[IrisStage]
    express: Express

    def groups(self, names: Sequence[Sequence[str]]) -> List[Tuple[Stage, ...]]:
        """The stages of each worker; those that do not run are left out, and have no row in the status record."""
        by_name = self._asdict()
        groups = [tuple(by_name[n] for n in group if by_name[n] is not None) for group in names]
        return [g for g in groups if g]


class ReplayStages(NamedTuple):
    """In their place: what was recorded needs no network."""

    express: Replayed  # as the last one of those, it tells the last events

    def groups(self, names: Sequence[Sequence[str]]) -> List[Tuple[Stage, ...]]:
        return [(self.express,)]


def replay_stages(config: Config, facts: Mapping[str, Any], report: Report) -> ReplayStages:
    """`facts`: what the recording says of itself. Reports what the user asked of networks, in vain."""
    given = sorted(key for key in config.chosen if key.startswith(OF_NETWORKS))
    if given:
        report("note", "a recording is replayed as it is: {} {} no effect".format(
            ", ".join(given), "have" if len(given) > 1 else "has"))
    coarse = facts.get("coarse")
    return ReplayStages(Replayed(frozenset(SHAPES).intersection(
        name for name in coarse if isinstance(name, str)) if isinstance(coarse, list) else frozenset()))


def camera_of(config: Config) -> CameraGuess:
    """Raises ConfigError for intrinsics that cannot be read."""
    return CameraGuess(load(config.camera.intrinsics) if config.camera.intrinsics else None, config.camera.fov_deg)


def make_stages(config: Config, stills: bool, report: Report, live: bool = False, wanted: Parts = POINTS_ONLY,
                neutral: Callable[[str], Optional[NeutralSource]] = lambda network: None) -> Stages:
    """`live`: frames come whether or not they are taken. `wanted`: what somebody reads of what is not always made.
    `neutral`: whose face it is, as the network of this name sees it.

    Raises ModelError where a network that is needed was not built, EngineError where no runtime is there.
    """
    networks, tracking = Networks(config, report), config.tracking
    tracks = Tracks(tracking.lost_after_s, memory=not stills)
    camera = camera_of(config)

    detect_runner, found = networks.required(DETECT, config.models.detect)
    align_runner, mesh = networks.required(ALIGN, config.models.align)
    aligner = make_aligner(mesh.like)
    settings = DetectSettings(tracking.max_faces_stills if stills else tracking.max_faces, tracking.detect_score,
                              tracking.refresh_s, config.governor.idle_after_s if live else None, closer_look=stills)
    detect = Detect(detect_runner, make_detector(found.like, found.size), aligner, tracks, settings)
    align = Align(align_runner, aligner, tracks, AlignSettings(tracking.presence, config.models.iris == (OFF,)))
    filled = set(detect.fills + align.fills)

    pose = iris = None
    if config.models.pose != (OFF,) and _runs(PoseStage, config, filled, mesh.name, report):
        opened = networks.optional(POSE, config.models.pose, "the pose is that of the mesh alone")
        network = None if opened is None else PoseNetwork(opened[0], Mb05(opened[1].decode))
        pose = PoseStage(network, networks.head(), camera, tracking.pose_every)
        filled.update(pose.fills)
    if _runs(IrisStage, config, filled, mesh.name, report):
        instead = "there is no iris, blink or gaze" if "irises" not in filled else GIVEN.format(mesh.name)
        opened = networks.optional(IRIS, config.models.iris, instead)
        iris = None if opened is None else IrisStage(opened[0], IrisLandmark())
        filled.update(() if iris is None else iris.fills)

    absent = {} if "pose" in filled else {"pose": SWITCHED_OFF}
    if "irises" not in filled:
        absent["iris"] = SWITCHED_OFF if config.models.iris == (OFF,) else "no network was fetched for it"
    smoothing, coarse = config.smoothing, wanted.coarse or config.output.coarse_shapes
    filters = OneEuroSettings(smoothing.min_cutoff_hz, smoothing.beta, smoothing.derivative_cutoff_hz)
    return Stages(detect, align, pose, iris,
                  Express(ExpressSettings(camera, filters if smoothing.enabled and not stills else None, absent,
                                          wanted.landmarks, learn=not stills, neutral=neutral(mesh.name),
                                          shapes=_blendshapes(mesh.like, coarse, report) if wanted.shapes else None,
                                          auto_centre=config.neutral.auto_centre, events=wanted.events and not stills,
                                          limits=Limits(lost_after_s=tracking.lost_after_s, **config.events._asdict()))))


def _blendshapes(network: str, coarse: bool, report: Report) -> Blendshapes:
    """Reports what their user will look for in vain."""
    shapes = Blendshapes(network, coarse=coarse)
    never = sorted({re.sub("(?<!jaw)(?<!mouth)(Left|Right)$", "", name) for name in shapes.unsupported})
    report("note", "{} tells {} of ARKit's {} shapes; not {}".format(
        network, len(shapes.names), len(shapes.names) + len(shapes.unsupported), ", ".join(never)))
    return shapes


def _runs(stage: Type[Stage], config: Config, filled: Set[str], by: str, report: Report) -> bool:
    """Whether a stage has something to fill that none before it fills: `filled`, by the network `by`. One whose network the
    user named runs all the same, and overwrites what is there. Called before its network is looked for. Reported to who named
    that other network.
    """
    if not filled.issuperset(stage.fills) or "models." + stage.name in config.chosen:
        return True
    if "models." + ALIGN in config.chosen:
        report("note", "{0}: left out, {1}; --{0} NAME uses a network of its own".format(stage.name, GIVEN.format(by)))
    return False


def steps_of(stages: Stages, halve_output: Switch) -> List[Step]:
    """What is given up to keep the rate, in this order."""
    def halved(stage: Stage, usual: int) -> Callable[[bool], None]:
        def give_up(given_up: bool) -> None:
            stage.interval = 2 * usual if given_up else usual
        return give_up

    steps = []
    if stages.iris is not None:
        steps.append(Step("irises in every second frame only", halved(stages.iris, 1)))
    if stages.pose is not None:
        steps.append(Step("all estimators of the pose half as often", halved(stages.pose, stages.pose.interval)))
    return steps + [Step("the detector half as often", halved(stages.detect, 1)),
                    Step("records of every second frame only", halve_output.set)]
