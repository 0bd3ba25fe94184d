"""What is said to VTube Studio in one connection: messages in, messages out. No I/O, no clock.

First whether its interface is on; once ever the permission, which its user gives or denies at a question on the screen; in
every connection a login; then values. A permission that is refused or taken back is not asked for again before a pause.
Values are the newest: while UNANSWERED injections wait for their answers none is added to them.
"""
import re
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from edge.outputs.live.vts import messages
from edge.outputs.live.vts.messages import CREATE, INJECT, INPUTS, LOGIN, STATE, TOKEN, Answer

UNANSWERED = 3
CREATIONS = 8  # at a time
ANSWER_S = 10.0  # but for the permission, for which a person is waited for
REPEAT_S = 0.5  # VTube Studio gives the inputs back after 1 s
OFF_S, ONGOING_S, BUSY_S = 5.0, 15.0, 60.0  # until it is asked whether it is on; for a permission that is asked for already
DENIED_S = 600.0
TAKEN_BACK_S, LONGEST_S = 30.0, 3600.0  # the first pause, twice as long with each time
FRESH_S = 10.0  # a login that was refused again so soon is no login
TAKEN_S = 30.0  # until an input that another plugin has is tried again
MOST_FAULTS = 50  # answers to nothing, or none at all, in a connection
OFF = "VTube Studio's interface is off: switch on Start API in its settings"
FOR_GOOD = float("inf")
AGAIN = ": it is asked for again after 10 min, or when nanoface is started anew; then click Allow in VTube Studio"
WAITING = "waits for permission: click Allow in VTube Studio"


class SessionOver(Exception):
    """The connection has to be closed; the text says why."""


class Permission:
    """What is known of a host from one connection to the next."""

    def __init__(self, token: str, keep: Callable[[str], str]) -> None:
        """`keep` takes a new token, and says why it could not be kept, or ""."""
        self.token, self.keep = token, keep
        self.asked_at = self.not_before = float("-inf")  # of the permission
        self.why = ""  # it is not asked for now
        self.unkept = ""
        self._taken_back = 0

    def wait(self, until: float, why: str) -> None:
        self.not_before, self.why = until, why

    def take_back(self, now: float) -> None:
        pause_s = min(LONGEST_S, TAKEN_BACK_S * 2 ** min(self._taken_back, 10))
        self.token, self._taken_back = "", self._taken_back + 1
        self.wait(now + pause_s, "the permission was taken back: it is asked for again in {:.0f} s".format(pause_s))


class _Asked(NamedTuple):
    """A request that is not answered yet."""

    kind: str
    at: float
    names: Tuple[str, ...]  # the inputs that it is about


class Session:
    """One connection. What it returns are texts to be sent; SessionOver ends it."""

    def __init__(self, permission: Permission, own: Iterable[Mapping[str, Any]] = ()) -> None:
        self.condition = "waits for VTube Studio"
        self.ready_since: Optional[float] = None
        self.counts = {"injected": 0, "rejected": 0}
        self._permission = permission
        self._own: List[Mapping[str, Any]] = list(own)  # inputs to be added
        self._added: Dict[str, bool] = {definition["parameterName"]: False for definition in self._own}
        self._not_added = ""  # why an input could not be added
        self._left_out: Dict[str, float] = {}  # input -> until when
        self._asked: Dict[str, _Asked] = {}
        self._number = self._faults = 0
        self._again: Optional[Tuple[float, Callable[[float], List[str]]]] = None  # when it goes on by itself, and how
        self._logged_in_at = self._injected_at = float("-inf")
        self._newest: Optional[Tuple[Mapping[str, float], bool]] = None
        self._fresh = False  # the newest has not been sent

    def begin(self, now: float) -> List[str]:
        return [self._ask(STATE, now)]

    def values(self, values: Mapping[str, float], face_found: bool, now: float) -> List[str]:
        self._newest, self._fresh = (values, face_found), True
        return self._inject(now)

    def idle(self, now: float) -> List[str]:
        """To be called some times a second."""
        if any(now - asked.at > ANSWER_S for asked in self._asked.values() if asked.kind != TOKEN):
            raise SessionOver("VTube Studio does not answer")
        if self._again is not None and now >= self._again[0]:
            go_on, self._again = self._again[1], None
            return go_on(now)
        for name in [name for name, until in self._left_out.items() if now >= until]:
            del self._left_out[name]
        self._fresh = self._fresh or now - self._injected_at >= REPEAT_S
        return self._inject(now)

    def received(self, text: str, now: float) -> List[str]:
        try:
            answer = messages.read_answer(text)
        except ValueError:
            self._fault()
            return []
        asked = self._asked.pop(answer.request, None)
        if asked is None:
            self._fault()
            return []
        if answer.kind == messages.ERROR:
            found = self._failed(asked, answer, now)
        elif answer.kind != asked.kind.replace("Request", "Response"):
            raise SessionOver("VTube Studio answers {} with something else".format(asked.kind))
        else:
            found = self._answered(asked, answer, now)
        return found + self._inject(now)

    def _fault(self) -> None:
        self._faults += 1
        if self._faults > MOST_FAULTS:
            raise SessionOver("what answers there is not VTube Studio")

    def _ask(self, kind: str, now: float, data: Optional[Mapping[str, Any]] = None, names: Tuple[str, ...] = ()) -> str:
        self._number += 1
        number = "nanoface{}".format(self._number)
        self._asked[number] = _Asked(kind, now, names)
        return messages.request(kind, number, data)

    def _off(self, now: float) -> List[str]:
        self._again, self.condition, self.ready_since = (now + OFF_S, self.begin), OFF, None
        return []

    def _permit(self, now: float) -> List[str]:
        """Log in, or ask for the permission where there is none and it may be asked for."""
        permission = self._permission
        if permission.token:
            return [self._ask(LOGIN, now, messages.plugin(permission.token))]
        if now < permission.not_before:
            self._again, self.condition = (permission.not_before, self._permit), permission.why
            return []
        permission.wait(now + BUSY_S, WAITING)  # where this connection is lost, the question may still be on the screen
        self.condition = WAITING
        return [self._ask(TOKEN, now, messages.plugin())]

    def _answered(self, asked: _Asked, answer: Answer, now: float) -> List[str]:
        if asked.kind == STATE:
            return self._permit(now) if answer.data.get("active") is True else self._off(now)
        if asked.kind == TOKEN:
            try:
                self._permission.token = messages.token_of(answer.data)
            except ValueError as e:
                raise SessionOver("VTube Studio gives no permission: {}".format(e))
            self._permission.unkept = self._permission.keep(self._permission.token)
            return self._permit(now)
        if asked.kind == LOGIN:
            if answer.data.get("authenticated") is not True:
                return self._taken_back(now)
            self.ready_since = self._logged_in_at = now
            self._fresh = True
            self._tell("")
            return self._create(now)
        if asked.kind == CREATE:
            self._added[asked.names[0]] = True
            return self._create(now)
        if asked.kind == INPUTS:
            self._keep_known(asked, set(messages.names_of(answer.data)))
        elif asked.kind == INJECT:
            self.counts["injected"] += 1
            if all(until == FOR_GOOD for until in self._left_out.values()):
                self._tell("")
        return []

    def _create(self, now: float) -> List[str]:
        """Ask for the inputs that are to be added, some at a time."""
        room = CREATIONS - sum(asked.kind == CREATE for asked in self._asked.values())
        found, self._own = self._own[:max(0, room)], self._own[max(0, room):]
        return [self._ask(CREATE, now, definition, (definition["parameterName"],)) for definition in found]

    def _taken_back(self, now: float) -> List[str]:
        self._permission.take_back(now)
        return self._permit(now)

    def _failed(self, asked: _Asked, answer: Answer, now: float) -> List[str]:
        error, words = messages.error_of(answer.data), messages.words_of(answer.data)
        if error == messages.DEACTIVATED:
            return self._off(now)
        if asked.kind == TOKEN:
            return self._denied(error, words, now)
        if asked.kind == LOGIN and error in messages.LOGIN_REFUSED:
            return self._taken_back(now)
        if error in (messages.UNAUTHENTICATED, messages.DENIED):
            if self.ready_since is None:
                return []  # an answer to what was asked before that was known
            self.ready_since = None
            if now - self._logged_in_at < FRESH_S:
                return self._taken_back(now)
            return self._permit(now)
        if asked.kind in (STATE, LOGIN):  # what is no word on the permission takes none away
            raise SessionOver("VTube Studio: error {} {}".format(error, words))
        if asked.kind == INJECT:
            return self._rejected(asked, error, words, now)
        if asked.kind == CREATE:
            self._not_added = "without the input {}: error {} {}".format(asked.names[0], error, words)
            self._tell("")
        return self._create(now)  # without the input that could not be added

    def _denied(self, error: int, words: str, now: float) -> List[str]:
        if error == messages.ONGOING:
            self._permission.wait(now + ONGOING_S, WAITING)
        elif error in messages.NAMES_INVALID:
            self._permission.wait(now + LONGEST_S, "VTube Studio refuses the plugin's name: error {} {}".format(error, words))
        else:
            why = "permission was denied" if error == messages.DENIED else "no permission, error {} {}".format(error, words)
            self._permission.wait(now + DENIED_S, why + AGAIN)
        return self._permit(now)

    def _rejected(self, asked: _Asked, error: int, words: str, now: float) -> List[str]:
        """None of an injection's values was taken, because of one of them."""
        self.counts["rejected"] += 1
        named = sorted(set(re.findall("[A-Za-z0-9]+", words)) & set(asked.names))
        if error == messages.UNKNOWN:
            self._leave_out(named, FOR_GOOD)
            if not named and not any(other.kind == INPUTS for other in self._asked.values()):
                return [self._ask(INPUTS, now, names=asked.names)]
        elif error == messages.TAKEN:
            self._leave_out(named or [name for name in asked.names if name not in self._added], now + TAKEN_S)
            self._tell("another plugin drives {}: stop it, or it keeps them".format(", ".join(named) or "the inputs"))
        else:
            self._tell("VTube Studio takes no values: error {} {}".format(error, words))
        return []

    def _leave_out(self, names: Iterable[str], until: float) -> None:
        self._left_out.update((name, until) for name in names)
        self._fresh = True  # the others are still to be taken
        if self._newest is not None and all(name in self._left_out for name in self._newest[0]):
            self._tell("VTube Studio takes none of the inputs")

    def _keep_known(self, asked: _Asked, known: Any) -> None:
        """`known` has the names of all inputs. Where that explains nothing, those that nanoface adds are left out first."""
        unknown = [name for name in asked.names if name not in known]
        self._leave_out(unknown or [name for name in asked.names if name in self._added] or asked.names, FOR_GOOD)

    def _tell(self, trouble: str) -> None:
        unkept = self._permission.unkept
        self.condition = trouble or (unkept and "the permission could not be kept: " + unkept) or self._not_added

    def _inject(self, now: float) -> List[str]:
        if self.ready_since is None or self._newest is None or not self._fresh:
            return []
        kinds = [asked.kind for asked in self._asked.values()]
        if kinds.count(INJECT) >= UNANSWERED or INPUTS in kinds:
            return []
        values = {name: value for name, value in self._newest[0].items()
                  if name not in self._left_out and self._added.get(name, True)}
        if not values:
            return []
        self._fresh, self._injected_at = False, now
        return [self._ask(INJECT, now, messages.injection(values, self._newest[1]), tuple(values))]
