"""The stages of a run, composed of the networks that are there, and what is given up to keep the rate."""
import re
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Type, Union

from edge.app.boxes import given_boxes
from edge.app.camera import camera_of
from edge.app.networks import Networks, Report
from edge.config.load import Config, SmoothingConfig
from edge.core.contracts import Stage
from edge.core.parts import POINTS_ONLY, SHAPES, Parts
from edge.core.roles import ALIGN, IRIS, MEAN, OFF, ONE_EURO, POSE
from edge.face.blendshapes import Blendshapes
from edge.face.events.signals import Limits
from edge.geometry.filters import OneEuroSettings
from edge.models.aligners import make_aligner
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.pipeline.governor import Step, Switch
from edge.stages.align import Align, AlignSettings
from edge.stages.boxes import FromBoxes
from edge.stages.detect import Detect, DetectSettings
from edge.stages.express import Express, ExpressSettings
from edge.stages.iris import IrisStage
from edge.stages.mean import Mean
from edge.stages.pose import PoseNetwork, PoseStage
from edge.stages.replay import Replayed
from edge.stages.resting import NeutralSource
from edge.stages.tracks import Tracks

SWITCHED_OFF, NO_NETWORK = "switched off", "no network was fetched for it"
GIVEN = "{} gives its values"
OF_MEAN = ("smoothing.n_pre", "smoothing.n_next")
Finder = Union[Detect, FromBoxes]
OF_NETWORKS = ("source.boxes", "models.", "tracking.", "smoothing.", "neutral.", "events.", "camera.")


class Stages(NamedTuple):
    """Every stage that runs, in order. None: switched off, no network, or an earlier stage fills its fields."""

    detect: Finder
    align: Align
    pose: Optional[PoseStage]
    iris: Optional[IrisStage]
    express: Express
    mean: Optional[Mean] = None

    def groups(self, names: Sequence[Sequence[str]]) -> List[Tuple[Stage, ...]]:
        """The stages of each worker; those that do not run are left out, and have no row in the status record."""
        by_name = self._asdict()
        groups = [tuple(by_name[n] for n in group if by_name[n] is not None) for group in names]
        groups[-1] += () if self.mean is None else (self.mean,)
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


def make_stages(config: Config, stills: bool, report: Report, live: bool = False, wanted: Parts = POINTS_ONLY,
                neutral: Callable[[str], Optional[NeutralSource]] = lambda network: None) -> Stages:
    """`live`: frames come whether or not they are taken. `wanted`: what somebody reads of what is not always made.
    `neutral`: whose face it is, as the network of this name sees it.

    Raises ModelError where a network that is needed was not built, EngineError where no runtime is there.
    """
    networks, tracking = Networks(config, report), config.tracking
    tracks = Tracks(tracking.lost_after_s, memory=tracking.follow and not stills)
    camera = camera_of(config)
    given = given_boxes(config, report)
    detector = None if given is not None else networks.detector()
    align_runner, mesh = networks.required(ALIGN, config.models.align)
    aligner = make_aligner(mesh.like)
    detect: Finder
    if detector is not None:
        detect = Detect(detector[0], detector[1], aligner, tracks, _detect_settings(config, stills, live))
    else:
        assert given is not None
        detect = FromBoxes(given, aligner, tracks, partial(report, "note"))
    align = Align(align_runner, aligner, tracks,
                  AlignSettings(tracking.presence, config.models.iris == (OFF,), found_box=not tracking.follow))
    filled = set(detect.fills + align.fills)

    pose = iris = None
    if config.models.pose != (OFF,) and _runs(PoseStage, config, filled, mesh.name, report):
        opened = networks.optional(POSE, config.models.pose, "the pose is that of the mesh alone" + (
            ", and there are no 68 points" if wanted.landmarks68 else ""))
        network = None if opened is None else PoseNetwork(opened[0], Mb05(opened[1].decode))
        pose = PoseStage(network, networks.head(), camera, tracking.pose_every, wanted.landmarks68)
        filled.update(pose.fills)
    if _runs(IrisStage, config, filled, mesh.name, report):
        instead = "there is no iris, blink or gaze" if "irises" not in filled else GIVEN.format(mesh.name)
        opened = networks.optional(IRIS, config.models.iris, instead)
        iris = None if opened is None else IrisStage(opened[0], IrisLandmark())
        filled.update(() if iris is None else iris.fills)

    absent = _absent(config, filled, pose, wanted, report)
    smoothing, coarse = config.smoothing, wanted.coarse or config.output.coarse_shapes
    smooth = "" if stills else _smoothing(config, wanted, report)
    if smooth != MEAN and config.chosen.intersection(OF_MEAN):
        report("note", "{} of --smoothing mean have no effect".format(" and ".join(OF_MEAN)))
    filters = OneEuroSettings(smoothing.min_cutoff_hz, smoothing.beta, smoothing.derivative_cutoff_hz)
    return Stages(detect, align, pose, iris,
                  Express(ExpressSettings(camera, filters if smooth == ONE_EURO else None, absent,
                                          wanted.landmarks, learn=not stills, neutral=neutral(mesh.name),
                                          shapes=_blendshapes(mesh.like, coarse, report) if wanted.shapes else None,
                                          auto_centre=config.neutral.auto_centre, events=wanted.events and not stills,
                                          limits=Limits(lost_after_s=tracking.lost_after_s, **config.events._asdict()))),
                  _mean(smoothing, wanted.landmarks, report) if smooth == MEAN else None)


def _detect_settings(config: Config, stills: bool, live: bool) -> DetectSettings:
    tracking = config.tracking
    return DetectSettings(tracking.max_faces_stills if stills else tracking.max_faces, tracking.detect_score,
                          tracking.refresh_s, config.governor.idle_after_s if live and tracking.follow else None,
                          closer_look=stills)


def _absent(config: Config, filled: Set[str], pose: Optional[PoseStage], wanted: Parts, report: Report) -> Dict[str, str]:
    """What no stage fills in, and why."""
    absent = {} if "pose" in filled else {"pose": SWITCHED_OFF}
    if "irises" not in filled:
        absent["iris"] = SWITCHED_OFF if config.models.iris == (OFF,) else NO_NETWORK
    if wanted.landmarks68 and (pose is None or not pose.points):
        absent["landmarks68"] = _why_no_points68(pose, report)
    return absent


def _why_no_points68(pose: Optional[PoseStage], report: Report) -> str:
    """Reports it where the network was not looked for, and so nothing was said yet."""
    if pose is not None:
        return NO_NETWORK
    report("note", "there are no 68 points: the network of the pose, which gives them, is switched off")
    return SWITCHED_OFF


def _smoothing(config: Config, wanted: Parts, report: Report) -> str:
    """Its kind, "" for none. Reports what there is not where no face keeps its id."""
    smoothing = config.smoothing
    if config.tracking.follow:
        return smoothing.kind if smoothing.enabled else ""
    without = ["nothing is smoothed"] if smoothing.enabled and smoothing.kind == MEAN else []
    if wanted.events:
        without.append("the only event is the presence of anybody")
    if without:
        report("note", "tracking.follow is false, so no face keeps its id: " + ", and ".join(without))
    return ""


def _mean(smoothing: SmoothingConfig, points: bool, report: Report) -> Optional[Mean]:
    """Reports the delay."""
    before, behind = smoothing.n_pre, smoothing.n_next
    if behind:
        report("note", "smoothing: mean of {} frames; outputs come {} frame{} later ({:.0f} ms at 30 FPS)".format(
            before + 1 + behind, behind, "s" if behind > 1 else "", 1000.0 * behind / 30.0))
    return Mean(before, behind, points) if before or behind else None


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


def steps_of(stages: Stages, halve_output: Switch, follow: bool = True) -> List[Step]:
    """What is given up to keep the rate, in this order. `follow`: faces are held from frame to frame; without it each frame
    needs the detector and all estimators.
    """
    def halved(stage: Stage, usual: int) -> Callable[[bool], None]:
        def give_up(given_up: bool) -> None:
            stage.interval = 2 * usual if given_up else usual
        return give_up

    steps = []
    if stages.iris is not None:
        steps.append(Step("irises in every second frame only", halved(stages.iris, 1)))
    pose = stages.pose
    if pose is not None and follow:
        if pose.points:
            steps.append(Step("68 points in every second frame only", lambda given_up: pose.thin(2 if given_up else 1)))
        steps.append(Step("all estimators of the pose half as often", halved(pose, pose.interval)))
    if follow and isinstance(stages.detect, Detect):
        steps.append(Step("the detector half as often", halved(stages.detect, 1)))
    return steps + [Step("records of every second frame only", halve_output.set)]
