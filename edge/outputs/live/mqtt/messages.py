"""Topics and payloads, and what Home Assistant is told of the device. Pure: no connection, no clock."""
import json
from typing import Any, Dict, Mapping, NamedTuple, Tuple

from edge import __version__
from edge.outputs.live.mqtt.quantities import QUANTITIES

ONLINE, OFFLINE = b"online", b"offline"
HOMEASSISTANT = "homeassistant"  # its discovery prefix, where its user has not changed it
EVENTS: Mapping[str, Tuple[str, ...]] = {  # the types of each event; what is short has no start
    "blink": ("both", "right", "left"), "eyes_closed": ("start", "end"), "yawn": ("start", "end"), "nod": ("end",),
    "shake": ("end",), "away": ("start", "end"), "distance": ("start", "end"), "perclos": ("start", "end"),
}
FREQUENT = ("blink",)  # switched off in Home Assistant until somebody wants them
NOT_TOLD = ("schema", "event", "frame", "captured_at", "event_type")  # of an event record


class Message(NamedTuple):
    topic: str
    payload: bytes
    retain: bool


class Topics(NamedTuple):
    """`prefix`: of all that is said of this box; `box`: its id, unlike that of any other."""

    prefix: str
    box: str
    discovery: str = HOMEASSISTANT

    @property
    def status(self) -> str:
        return self.prefix + "/status"

    @property
    def owners(self) -> Tuple[str, ...]:
        """Where a run says that prefix and id are its own."""
        return tuple(sorted({self.prefix + "/owner", "nanoface/{}/owner".format(self.box)}))

    @property
    def birth(self) -> str:
        """Home Assistant says here that it has started."""
        return self.discovery + "/status"


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def status(topics: Topics, online: bool) -> Message:
    return Message(topics.status, ONLINE if online else OFFLINE, True)


def state(topics: Topics, values: Mapping[str, Any]) -> Message:
    return Message(topics.prefix + "/state", dump(values), True)


def shapes(topics: Topics, values: Mapping[str, Any]) -> Message:
    return Message(topics.prefix + "/shapes", dump(values), True)


def event(topics: Topics, record: Mapping[str, Any]) -> Message:
    """Never retained: who subscribes later would take it for one of now."""
    name = str(record["event"])
    kind = record.get("side") if name == "blink" else record.get("phase")
    told = dict({"event_type": kind}, **{key: value for key, value in record.items() if key not in NOT_TOLD})
    return Message("{}/event/{}".format(topics.prefix, name), dump(told), False)


def discovery(topics: Topics) -> Message:
    """One retained message that makes the device and all its entities (Home Assistant 2024.11 and later)."""
    components: Dict[str, Any] = {}
    for key in QUANTITIES:
        components[key] = _quantity(topics, key)
    for name, types in EVENTS.items():
        title = {"perclos": "Drowsiness"}.get(name, name.replace("_", " ").capitalize())
        components["event_" + name] = dict(
            _component(topics, "event", name + "_event", title, name not in FREQUENT),
            state_topic="{}/event/{}".format(topics.prefix, name), event_types=list(types))
    device = {"identifiers": ["nanoface_" + topics.box], "name": "nanoface " + topics.box, "manufacturer": "nanoface",
              "model": "face tracker", "sw_version": __version__}
    config = {"dev": device, "o": {"name": "nanoface", "sw_version": __version__}, "cmps": components}
    return Message("{}/device/{}/config".format(topics.discovery, topics.box), dump(config), True)


def _quantity(topics: Topics, key: str) -> Dict[str, Any]:
    quantity = QUANTITIES[key]
    platform = "binary_sensor" if quantity.binary else "sensor"
    found = _component(topics, platform, key, quantity.name, quantity.shown)
    found.update(state_topic=topics.prefix + "/state", value_template="{{ value_json." + key + " }}")
    if quantity.binary:
        found.update(payload_on="True", payload_off="False")  # as a template writes JSON's true and false
    elif not quantity.options:
        found["state_class"] = "measurement"
    for field, value in (("unit_of_measurement", quantity.unit), ("device_class", quantity.device_class),
                         ("options", list(quantity.options))):
        if value:
            found[field] = value
    return found


def _component(topics: Topics, platform: str, key: str, name: str, shown: bool) -> Dict[str, Any]:
    word = "nanoface_{}_{}".format(topics.box, key)
    entity = "{}.{}".format(platform, word.replace("-", "_"))
    found = {"p": platform, "unique_id": word, "default_entity_id": entity, "name": name, "availability_topic": topics.status}
    return found if shown else dict(found, enabled_by_default=False)
