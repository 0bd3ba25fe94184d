"""The keys of `models.*` that name networks: ours by their names, or a file of one's own with what it is like."""
import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from edge.core.interface import OWN_SUFFIXES, is_file
from edge.core.roles import CAN_BE_OFF, LIKE_ONLY, NETWORKS, OFF
from edge.core.rules import Rule, choice
from edge.core.spelling import did_you_mean, nearest
from edge.host.reading import can_be_name

LIKE = "models.{}_like"


class ModelsConfig(NamedTuple):
    """Names of networks, the preferred one first; pose and iris are ("none",) where they are switched off. Or the path of one
    file, which is like the network that `*_like` names.
    """

    detect: Tuple[str, ...]
    detector_scale: Optional[float]
    align: Tuple[str, ...]
    pose: Tuple[str, ...]
    iris: Tuple[str, ...]
    detect_like: Optional[str]
    align_like: Optional[str]
    pose_like: Optional[str]
    iris_like: Optional[str]
    runtime: str
    memory: str
    crops: str
    graphs: str

    def own(self, role: str) -> str:
        """The path of the network of one's own; "" where there is none."""
        names = getattr(self, role)
        return names[0] if is_file(names[0]) else ""


def likes(role: str) -> Tuple[str, ...]:
    """What a network of one's own can be like."""
    return NETWORKS[role] + LIKE_ONLY.get(role, ())


def networks_rule(role: str) -> Rule:
    known = NETWORKS[role]

    def read(value: Any) -> Tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            raise ValueError
        if names == [OFF] and role in CAN_BE_OFF:
            return (OFF,)
        for name in names:
            if is_file(name):
                return (_own(name, alone=len(names) == 1),)
            if name not in known:
                raise ValueError(_why_not(name, role))
            if names.count(name) > 1:
                raise ValueError("{} is named twice".format(name))
        return tuple(names)

    def from_text(text: str) -> Any:
        parts = [part.strip() for part in text.split(",")]
        return text.strip() if is_file(text.strip()) and not set(parts) & set(known) else parts

    off = ", or none alone to switch it off" if role in CAN_BE_OFF else ""
    return Rule("names in order of preference, of {}, or the path of one .onnx or .xml{}".format(", ".join(known), off), read,
                from_text, known + ((OFF,) if role in CAN_BE_OFF else ()))


def like_rule(role: str) -> Rule:
    rule = choice(*likes(role))
    return Rule(rule.allowed + ", or null", lambda value: None if value is None else rule.read(value),
                lambda text: None if text == "null" else rule.from_text(text), rule.choices + ("null",))


def _own(path: str, alone: bool) -> str:
    if not path.lower().endswith(OWN_SUFFIXES):
        raise ValueError("a network of your own is a file that ends in {}".format(" or ".join(OWN_SUFFIXES)))
    if not alone:
        raise ValueError("a network of your own stands alone")
    if not can_be_name(path):
        raise ValueError
    return os.path.expanduser(path)


def _why_not(name: str, role: str) -> str:
    for other, names in NETWORKS.items():
        if name in names:
            return "{} is a network for {}, not for {}".format(name, other, role)
    if name in LIKE_ONLY.get(role, ()):
        return "{} is what a file of your own may be like: {} names it then".format(name, LIKE.format(role))
    if name == OFF:
        return "none stands alone" if role in CAN_BE_OFF else "{} cannot be switched off".format(role)
    return "there is no network {!r}{}".format(name, did_you_mean(nearest(name, NETWORKS[role])))


def without_like(values: Dict[str, Any]) -> Dict[str, Any]:
    """A layer that names a network of ours ends what a layer before it says of a file."""
    named = [role for role in NETWORKS if "models." + role in values and not is_file(values["models." + role][0])]
    return dict({LIKE.format(role): None for role in named}, **values)


def like_fault(models: ModelsConfig, spelled: Mapping[str, str]) -> Optional[str]:
    """What is wrong with a file and what it is like. `spelled`: the option that a key came by."""
    for role in NETWORKS:
        own, like, key = models.own(role), getattr(models, role + "_like"), LIKE.format(role)
        if own and like is None:
            option = spelled.get("models." + role, "")
            said = "{}-like NAME".format(option) if option.startswith("--") and option != "--set" else key
            return "{}: say with {} which network it is like, in what it takes and gives: {}".format(
                own, said, ", ".join(likes(role)))
        if like is not None and not own:
            return ("{} says what a network of your own is like, and models.{} names none: give the path of an .onnx or .xml, "
                    "or leave it out".format(key, role))
    return None
