"""The neutral face of a run: the profile in use, whether it is of the person who is seen, and a capture that was asked for."""
import os
from typing import Any, Dict, Mapping, Optional, Tuple

from edge.app.networks import Report
from edge.config.load import Config
from edge.core import clock
from edge.core.errors import ConfigError, EdgeError
from edge.core.interface import is_file
from edge.core.packet import Packet
from edge.core.roles import OFF
from edge.face.capture import NeutralCapture, Progress, told
from edge.face.neutral import Neutral, Taken, facts_of, of_facts
from edge.face.owner import Owner
from edge.face.still import still_points
from edge.geometry.camera import Camera
from edge.host import commands
from edge.stages.resting import Fixed, NeutralSource, signals_of
from edge.store import requests
from edge.store.profiles import Profiles, default_folder

LOOK_S = 1.0  # how soon a profile that is chosen meanwhile is in use
REPLY_S = 0.4  # between two lines of a capture's progress
OTHERS = "the profile {0} does not fit this face, which seems to be somebody else's: " \
    "`nanoface profile use NAME` or `none`, or `nanoface calibrate neutral --name NAME` for this one"


def profiles(environ: Optional[Mapping[str, str]] = None) -> Profiles:
    return Profiles(default_folder(os.environ if environ is None else environ), of_facts)


def keep(stored: Profiles, taken: Taken) -> None:
    """As a profile that every run uses from now on. Raises OutputError."""
    stored.save(taken.neutral.name, facts_of(taken))
    stored.use(taken.neutral.name)


def named(config: Config, network: str, report: Report) -> Optional[NeutralSource]:
    """The profile that the configuration names; None where it names none. Raises ConfigError."""
    name = config.neutral.profile
    return None if name is None or name == OFF else Fixed(load(profiles(), name, network, report))


def load(stored: Profiles, name: str, network: str, report: Report) -> Neutral:
    """Raises ConfigError for one that is not there, or of another network: the two see brows 1 to 2 mm and lips 1 to 4 mm
    apart, which is as much as an expression."""
    found = stored.load(name)
    if found.note:
        report("warning", found.note)
    neutral = of_facts(found.facts)
    if neutral.network != network:
        raise ConfigError("the profile {} was made with {}, and this run has {}, which sees another face: {}, or take "
                          "--aligner {}".format(
                              name, neutral.network, network, commands.run("calibrate neutral --name " + name),
                              "with that file" if is_file(neutral.network) else neutral.network))
    return neutral


class InUse(NeutralSource):
    """Looked at in the thread of the stage, its record in any."""

    def __init__(self, config: Config, network: str, report: Report, live: bool) -> None:
        """`live`: it may be asked for a capture. Raises ConfigError where a profile is named that is not there."""
        self._stored, self._network, self._report = profiles(), network, report
        self._name, self._live = config.neutral.profile or "", live
        self._neutral: Optional[Neutral] = None
        self._owner: Optional[Owner] = None
        self._capture: Optional[Tuple[requests.Request, NeutralCapture]] = None
        self._state: Any = None
        self._problem, self._next, self._replied = "", 0.0, 0.0
        self._face: Optional[int] = None
        if self._name not in ("", OFF):
            self._take(load(self._stored, self._name, network, report))

    def record(self) -> Dict[str, str]:
        neutral, problem = self._neutral, self._problem
        found = {} if neutral is None else {"name": neutral.name}
        return dict(found, note=problem) if problem else found

    def current(self) -> Optional[Neutral]:
        now = clock.monotonic()
        if now >= self._next:
            self._next = now + LOOK_S
            self._refresh()
        return self._neutral

    def look(self, packet: Packet, camera: Camera) -> None:
        time_s = packet.frame.time_s
        if self._capture is not None:
            faces = [signals_of(face, camera, packet.frame.image) for face in packet.faces]
            self._follow(self._capture[1].feed(faces, time_s))
        elif self._owner is not None and len(packet.faces) == 1:
            self._compare(packet, time_s)

    def _refresh(self) -> None:
        if self._live and self._capture is None:
            request = requests.take(self._stored.folder)
            if request is not None:
                self._capture = request, NeutralCapture(request.name, self._network, request.seconds)
        if self._name == OFF:
            return
        state = self._stored.state(self._name)
        if state == self._state:
            return
        before, self._state = self._neutral, state
        try:
            self._take(load(self._stored, state[0], self._network, self._report) if state[0] else None)
        except EdgeError as e:
            self._take(None)
            self._problem = str(e)
            self._report("warning", "no profile is in use: {}".format(e))
        self._state = self._stored.state(self._name)  # a damaged one was put aside
        if self._neutral is not None:
            self._report("note", "profile {} is in use".format(self._neutral.name))
        elif before is not None and not self._problem:
            self._report("note", "no profile is in use any more")

    def _take(self, neutral: Optional[Neutral]) -> None:
        self._neutral, self._problem = neutral, ""
        self._owner = None if neutral is None else Owner(neutral)

    def _compare(self, packet: Packet, time_s: float) -> None:
        face, owner, neutral = packet.faces[0], self._owner, self._neutral
        if owner is None or neutral is None or face.pose is None or face.landmarks is None:
            return
        if face.track_id != self._face:
            self._face = face.track_id
            owner.forget()
        still = still_points(face.landmarks) if owner.due(time_s, face.pose.rotation) else None
        if still is None:
            return
        owner.look(time_s, still)
        if owner.other and not self._problem:
            self._problem = OTHERS.format(neutral.name)
            self._report("warning", self._problem)
        elif not owner.other and self._problem:
            self._problem = ""
            self._report("note", "the profile {} fits again".format(neutral.name))

    def _follow(self, progress: Progress) -> None:
        assert self._capture is not None, "a capture is under way"
        request, now = self._capture[0], clock.monotonic()
        facts: Dict[str, Any] = {"done": progress.done, "text": told(progress)}
        due = progress.taken is not None or progress.failed or now - self._replied >= REPLY_S
        if due and requests.is_cancelled(self._stored.folder, request):
            facts = {"done": progress.done, "text": "cancelled", "over": True, "failed": True}
        elif progress.taken is not None:
            facts = {"done": 1.0, "text": request.name, "over": True}
            try:
                keep(self._stored, progress.taken)
                self._next = 0.0
            except EdgeError as e:
                facts = {"done": 1.0, "text": str(e), "over": True, "failed": True}
        elif progress.failed:
            facts = {"done": progress.done, "text": progress.failed, "over": True, "failed": True}
        if "over" in facts:
            self._capture = None
            self._report("note", "neutral face: {}".format(
                "not taken, " + facts["text"] if "failed" in facts else "kept as the profile " + request.name))
        if due:
            self._replied = now
            requests.reply(self._stored.folder, request, facts)
