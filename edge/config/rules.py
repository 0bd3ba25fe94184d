"""What each key of the configuration allows: one table, read by the file loader and by the command line."""
import os
import re
from typing import Any, Callable, Dict, List, Optional, Tuple

from edge.config.networks import like_rule, networks_rule
from edge.core import roles
from edge.core.roles import AUTO, CAPTURE, OFF, OUTPUT, STAGES
from edge.core.rules import Address, Rule, choice, flag, is_profile, number, numeral, parse_address, which_points, whole
from edge.core.spelling import did_you_mean, nearest
from edge.host.reading import can_be_name

LONGEST_S = 1e7  # no recording is longer


def worker_groups(text: str) -> Tuple[Tuple[str, ...], ...]:
    """"detect+align | pose+iris+express" as groups, less the two ends. Raises ValueError for a stage missing, twice or out of
    order, and for an end that has a group of its own."""
    groups, _ = _split_workers(text)
    named = [stage for group in groups for stage in group]
    for stage in named:
        if stage in (CAPTURE, OUTPUT):
            raise ValueError("{} stands before the first stage, {} behind the last, each once".format(CAPTURE, OUTPUT))
        if stage not in STAGES:
            raise ValueError("there is no stage {!r}{}".format(stage, did_you_mean(nearest(stage, STAGES))))
    for stage in STAGES:
        if named.count(stage) != 1:
            raise ValueError("{} is named {}".format(stage, "twice" if stage in named else "nowhere"))
    if tuple(named) != STAGES:
        raise ValueError("the stages are out of order")
    return groups


def worker_ends(text: str) -> Tuple[bool, bool]:
    """Whether capture and output share a thread with stages."""
    return _split_workers(text)[1]


def _split_workers(text: str) -> Tuple[Tuple[Tuple[str, ...], ...], Tuple[bool, bool]]:
    groups = [[stage.strip() for stage in group.split("+")] for group in text.split("|")]
    shared = groups[0][0] == CAPTURE, groups[-1][-1] == OUTPUT
    if shared[0]:
        del groups[0][0]
    if shared[1]:
        del groups[-1][-1:]
    if not all(groups):
        raise ValueError("{} and {} have threads of their own where they are not named".format(CAPTURE, OUTPUT))
    return tuple(map(tuple, groups)), shared


def _text(allowed: str, source: bool = False) -> Rule:
    """A text on one line; `~` is the home folder. `source`: also a camera's index without quotes, and a list of names, which
    becomes a text with commas between: a comma of a name gets a backslash."""

    def read(value: Any) -> str:
        if source and isinstance(value, list) and value and not any(isinstance(one, list) for one in value):
            names = [read(one) for one in value]
            return names[0] if len(names) == 1 else ",".join(re.sub(r"([\\,])", r"\\\1", name) for name in names)
        if source and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return str(value)
        if not isinstance(value, str) or not value.strip() or not can_be_name(value):
            raise ValueError
        return os.path.expanduser(value)

    return Rule(allowed, read, str)


def _texts(allowed: str) -> Rule:
    def read(value: Any) -> Tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(t, str) and t.strip() and can_be_name(t) for t in texts):
            raise ValueError
        return tuple(texts)

    return Rule(allowed, read, lambda text: [text])


def _or_off(rule: Rule) -> Rule:
    """In YAML `off` without quotes is false."""
    return rule._replace(read=lambda value: rule.read("off" if value is False else value))


def _workers() -> Rule:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError
        worker_groups(value)
        return " | ".join("+".join(name.strip() for name in group.split("+")) for group in value.split("|"))

    order = " ".join(STAGES)
    return Rule("the stages {} in this order, + within a thread, | between two; {}+ before them and +{} behind".format(
        order, CAPTURE, OUTPUT), read, str)


def _or_null(rule: Rule) -> Rule:
    return Rule(rule.allowed + ", or null", lambda value: None if value is None else rule.read(value),
                lambda text: None if text == "null" else rule.from_text(text), rule.choices + ("null",))


def _or_auto(rule: Rule, kind: Callable[[Any], Any] = float) -> Rule:
    return Rule(rule.allowed + ", or auto", lambda value: value if value == AUTO else kind(rule.read(value)),
                lambda text: text if text == AUTO else rule.from_text(text), rule.choices + (AUTO,))


def _address() -> Rule:
    def read(value: Any) -> Address:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str):
            raise ValueError
        return parse_address(text)

    return Rule("a port of this machine alone, or HOST:PORT (0.0.0.0:PORT for the whole network)", read, numeral)


def _profile() -> Rule:
    def read(value: Any) -> str:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not (is_profile(text) or text == OFF):
            raise ValueError
        return text

    return Rule("the name of a profile (1 to 40 letters, digits, - _ .), or none", read, str)


RULES: Dict[str, Rule] = {
    "source.spec": _or_null(_text("a camera, file, folder or address, or a list of pictures", source=True)),
    "source.spec_file": _or_null(_text("the path of a file with one line")),
    "source.tls": choice("verify", "insecure"),
    "source.ca_file": _or_null(_text("the path of a PEM file")),
    "source.width": _or_null(whole(16, 16384, "pixels")),
    "source.height": _or_null(whole(16, 16384, "pixels")),
    "source.fps": _or_null(number(0.1, 1000, "frames per second")),
    "source.flip": choice(*roles.FLIPS),
    "source.rotate": choice(*roles.ROTATIONS),
    "source.loop": flag(),
    "source.start_s": number(0, LONGEST_S, "s"),
    "source.end_s": _or_null(number(0, LONGEST_S, "s")),
    "source.pace": choice("auto", "every-frame", "realtime"),
    "source.sequence": flag(),
    "source.max_pixels": _or_null(whole(4096, 10 ** 9, "pixels")),
    "source.strict": flag(),
    "source.max_frames": _or_null(whole(1, 10 ** 12)),
    "source.process": choice("auto", "thread", "child"),
    "source.wait": flag(),
    "source.boxes": _or_null(_text("the path of an SSI stream of boxes")),
    "camera.fov_deg": number(10, 170, "degrees"),
    "camera.intrinsics": _or_null(_text("the path of a JSON file")),
    "camera.exposure": _or_null(_or_auto(number(0.01, 10000, "ms"))),
    "camera.gain": _or_null(_or_auto(number(0, 10000))),
    "camera.white_balance": _or_null(_or_auto(number(1000, 15000, "kelvin"))),
    "camera.power_line_hz": _or_null(_or_auto(choice(50, 60))),
    "models.detect": networks_rule(roles.DETECT),
    "models.detector_scale": _or_null(number(0.01, 4)),
    "models.align": networks_rule(roles.ALIGN),
    "models.pose": networks_rule(roles.POSE),
    "models.iris": networks_rule(roles.IRIS),
    "models.detect_like": like_rule(roles.DETECT),
    "models.align_like": like_rule(roles.ALIGN),
    "models.pose_like": like_rule(roles.POSE),
    "models.iris_like": like_rule(roles.IRIS),
    "models.runtime": choice(AUTO, *roles.RUNTIMES),
    "models.memory": choice("pinned", "mapped"),
    "models.crops": choice("auto", "cpu"),
    "models.graphs": _or_off(choice("auto", "off")),
    "engines.rebuild": choice("auto", "never"),
    "tracking.max_faces": whole(1, roles.MOST_TRACKED),
    "tracking.max_faces_stills": whole(1, 32),
    "tracking.detect_score": _or_null(number(0, 1)),
    "tracking.detect_overlap": _or_null(number(0, 1)),
    "tracking.follow": flag(),
    "tracking.presence": number(0, 1),
    "tracking.refresh_s": number(0, 3600, "s"),
    "tracking.lost_after_s": number(0, 3600, "s"),
    "tracking.pose_every": whole(1, 30),
    "smoothing.enabled": flag(),
    "smoothing.kind": choice(*roles.SMOOTHINGS),
    "smoothing.n_pre": whole(0, 15, "frames"),
    "smoothing.n_next": whole(0, 15, "frames"),
    "smoothing.min_cutoff_hz": number(0.01, 1000, "Hz"),
    "smoothing.beta": number(0, 1000),
    "smoothing.derivative_cutoff_hz": number(0.01, 1000, "Hz"),
    "neutral.profile": _or_null(_profile()),
    "neutral.auto_centre": flag(),
    "pipeline.workers": _workers(),
    "governor.enabled": flag(),
    "governor.target_fps": number(1, 1000, "frames per second"),
    "governor.idle_after_s": _or_null(number(0, 3600, "s")),
    "events.blink_closure": number(0.2, 0.95),
    "events.closed_s": number(0.2, 60, "s"),
    "events.perclos": number(0.01, 1),
    "events.yawn_s": number(0.5, 60, "s"),
    "events.away_yaw_deg": number(2, 90, "degrees"),
    "events.away_pitch_deg": number(2, 90, "degrees"),
    "events.away_s": number(0, 3600, "s"),
    "events.near_mm": number(50, 100000, "mm"),
    "events.far_mm": number(50, 100000, "mm"),
    "events.gone_s": number(0, 3600, "s"),
    "outputs": _texts("a list of KIND:TARGET texts, such as ['jsonl:face.jsonl']"),
    "output.landmarks": which_points(),
    "output.shapes": flag(),
    "output.coarse_shapes": flag(),
    "output.events": flag(),
    "output.mirror": flag(),
    "output.draw_times": flag(),
    "output.style": choice(*roles.STYLES),
    "output.window": _or_auto(flag(), bool),
    "status.path": _or_null(_text("the path of a file, or none to write no status log")),
    "status.interval_s": number(0.2, 3600, "s"),
    "status.gather_s": number(0, 3600, "s"),
    "status.max_bytes": whole(10000, 10 ** 9, "bytes"),
    "status.max_age_s": _or_null(number(60, LONGEST_S, "s")),
    "status.keep": whole(0, 100, "files"),
    "metrics.address": _or_null(_address()),
}

SECTIONS = tuple(sorted({key.split(".")[0] for key in RULES if "." in key}))


def nearest_key(key: str) -> Optional[str]:
    """The dotted key or section that was probably meant, also for a leaf's name alone or under a wrong section."""
    leaves = {known.split(".")[-1]: known for known in RULES}
    leaf = key.split(".")[-1]
    if leaf in leaves:
        return leaves[leaf]
    near = nearest(key, list(RULES) + ([] if "." in key else list(SECTIONS)))
    near_leaf = None if near else nearest(leaf, leaves)
    return leaves[near_leaf] if near_leaf else near


def no_such_key(key: str) -> str:
    """The message, with what was probably meant or what there is."""
    section = key.split(".")[0]
    if key in SECTIONS:
        return "{} is a section; name one of its keys: {}".format(key, ", ".join(_leaves_of(key)))
    near = nearest_key(key)
    if near:
        hint = "did you mean {}?".format(near)
    elif section in SECTIONS:
        hint = "{} has {}".format(section, ", ".join(_leaves_of(section)))
    else:
        hint = "there are {}".format(", ".join(SECTIONS + ("outputs",)))
    return "there is no key {}; {}".format(repr(key[:60])[1:-1], hint)


def _leaves_of(section: str) -> List[str]:
    return [key.split(".")[1] for key in RULES if key.startswith(section + ".")]
