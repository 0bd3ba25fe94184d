"""The stages of a run, composed of the networks that are there, and what is given up to keep the rate."""
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from edge.app.networks import OFF, Networks, Report
from edge.config.load import Config
from edge.core.contracts import Stage
from edge.geometry.camera import CameraGuess, load
from edge.geometry.filters import OneEuroSettings
from edge.models.detectors.table import make_detector
from edge.models.face_landmark import FaceLandmark
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.pipeline.governor import Step, Switch
from edge.stages.align import Align, AlignSettings
from edge.stages.detect import Detect, DetectSettings
from edge.stages.express import Express, ExpressSettings
from edge.stages.iris import IrisStage
from edge.stages.pose import PoseNetwork, PoseStage
from edge.stages.tracks import Tracks


class Stages(NamedTuple):
    """Every stage that runs, in order."""

    detect: Detect
    align: Align
    pose: Optional[PoseStage]
    iris: Optional[IrisStage]
    express: Express

    def groups(self, names: Sequence[Sequence[str]]) -> List[Tuple[Stage, ...]]:
        """The stages of each worker; those that are switched off are left out."""
        by_name = self._asdict()
        groups = [tuple(by_name[n] for n in group if by_name[n] is not None) for group in names]
        return [g for g in groups if g]


def make_stages(config: Config, stills: bool, report: Report, live: bool = False) -> Stages:
    """`live`: frames come whether or not they are taken.

    Raises ModelError where a network that is needed was not built, EngineError where no runtime is there.
    """
    networks, tracking = Networks(config, report), config.tracking
    tracks, aligner = Tracks(tracking.lost_after_s, memory=not stills), FaceLandmark()
    camera = CameraGuess(load(config.camera.intrinsics) if config.camera.intrinsics else None, config.camera.fov_deg)

    runner, network = networks.required("detect", config.models.detect)
    settings = DetectSettings(tracking.max_faces_stills if stills else tracking.max_faces, tracking.detect_score,
                              tracking.refresh_s, config.governor.idle_after_s if live else None, closer_look=stills)
    detect = Detect(runner, make_detector(network.name), aligner, tracks, settings)
    align = Align(networks.required("align", config.models.align)[0], aligner, tracks, AlignSettings(tracking.presence))

    pose = None
    if tuple(config.models.pose) != (OFF,):
        found = networks.optional("pose", config.models.pose, "the pose is that of the mesh alone")
        looks = None if found is None else PoseNetwork(found[0], Mb05(found[1].decode))
        pose = PoseStage(looks, networks.head(), camera, tracking.pose_every)
    found = networks.optional("iris", config.models.iris, "there is no iris, blink or gaze")
    iris = None if found is None else IrisStage(found[0], IrisLandmark())

    absent = {}
    if pose is None:
        absent["pose"] = "switched off"
    if iris is None:
        absent["iris"] = "switched off" if tuple(config.models.iris) == (OFF,) else "no network was fetched for it"
    smoothing = config.smoothing
    filters = OneEuroSettings(smoothing.min_cutoff_hz, smoothing.beta, smoothing.derivative_cutoff_hz)
    return Stages(detect, align, pose, iris,
                  Express(ExpressSettings(camera, filters if smoothing.enabled and not stills else None, absent,
                                          learn=not stills)))


def steps_of(stages: Stages, halve_output: Switch) -> List[Step]:
    """What is given up to keep the rate, in this order."""
    def halved(stage: Any, usual: int) -> Callable[[bool], None]:
        return lambda given_up: setattr(stage, "interval", 2 * usual if given_up else usual)

    steps = []
    if stages.iris is not None:
        steps.append(Step("irises in every second frame only", halved(stages.iris, 1)))
    if stages.pose is not None:
        steps.append(Step("all witnesses of the pose half as often", halved(stages.pose, stages.pose.interval)))
    return steps + [Step("the detector half as often", halved(stages.detect, 1)),
                    Step("records of every second frame only", halve_output.set)]
