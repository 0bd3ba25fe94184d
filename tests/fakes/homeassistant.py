"""What Home Assistant makes of MQTT messages: its documented rules of device discovery, in a small reader of our own.

As the pages of its MQTT, sensor, binary sensor and event integrations say it in 2026. No code of Home Assistant is here.
"""
import json
import re

SHORT = {  # the abbreviations of its documentation that a message may use
    "dev": "device", "o": "origin", "cmps": "components", "p": "platform", "uniq_id": "unique_id", "stat_t": "state_topic",
    "val_tpl": "value_template", "avty_t": "availability_topic", "def_ent_id": "default_entity_id", "dev_cla": "device_class",
    "unit_of_meas": "unit_of_measurement", "stat_cla": "state_class", "ops": "options", "evt_typ": "event_types",
    "pl_on": "payload_on", "pl_off": "payload_off", "en": "enabled_by_default"}
COMMON = {"platform", "unique_id", "default_entity_id", "name", "availability_topic", "enabled_by_default", "state_topic",
          "value_template", "device_class", "entity_category", "icon"}
OWN = {"sensor": {"unit_of_measurement", "state_class", "options", "suggested_display_precision"},
       "binary_sensor": {"payload_on", "payload_off"}, "event": {"event_types"}}
CLASSES = {"sensor": {"distance", "enum"}, "binary_sensor": {"occupancy", "presence"}, "event": set()}
UNITS = {"distance": {"mm", "cm", "m"}}
TOPIC = re.compile(r"(.+)/device/([a-zA-Z0-9_-]+)/config\Z")
ENTITY = re.compile(r"([a-z_]+)\.([a-z0-9_]+)\Z")
TEMPLATE = re.compile(r"\{\{ value_json\.(\w+) \}\}\Z")


def long(config):
    return {SHORT.get(key, key): value for key, value in config.items()}


def faults(topic, payload):
    """What Home Assistant would refuse or complain about of a discovery message of a device."""
    if TOPIC.match(topic) is None:
        return ["the topic"]
    config = long(json.loads(payload.decode("utf-8")))
    found = ["no " + key for key in ("device", "origin", "components") if not config.get(key)]
    if found:
        return found
    if not (config["device"].get("identifiers") or config["device"].get("connections")):
        found.append("a device without identifiers")
    if not config["origin"].get("name"):
        found.append("an origin without a name")
    seen = set()
    for key, raw in config["components"].items():
        component = long(raw)
        found += ["{}: {}".format(key, fault) for fault in component_faults(component)]
        for name in ("unique_id", "default_entity_id"):
            value = component.get(name)
            if value in seen:
                found.append("{}: {} is there twice".format(key, value))
            seen.add(value)
    return found


def component_faults(component):
    platform = component.get("platform")
    if platform not in OWN:
        return ["platform {}".format(platform)]
    found = ["{} is no option of a {}".format(key, platform) for key in set(component) - COMMON - OWN[platform]]
    found += ["no " + key for key in ("unique_id", "state_topic") if not component.get(key)]
    entity = ENTITY.match(component.get("default_entity_id") or "")
    if entity is None or entity.group(1) != platform:
        found.append("default_entity_id {}".format(component.get("default_entity_id")))
    kind = component.get("device_class")
    if kind is not None and kind not in CLASSES[platform]:
        found.append("device_class {}".format(kind))
    if "options" in component and (kind != "enum" or "state_class" in component or "unit_of_measurement" in component):
        found.append("options need the class enum, and no unit or state_class")
    if kind in UNITS and component.get("unit_of_measurement") not in UNITS[kind]:
        found.append("unit {}".format(component.get("unit_of_measurement")))
    if platform == "event" and not component.get("event_types"):
        found.append("no event_types")
    if re.search("[+#]", component.get("state_topic", "") + component.get("availability_topic", "")):
        found.append("a wildcard in a topic")
    return found


class HomeAssistant:
    """Entities by their default ids, and their states, from messages in order."""

    def __init__(self):
        self.components, self.states, self.triggered, self.complaints = {}, {}, [], []

    def take(self, topic, payload, retained=False):
        if TOPIC.match(topic):
            self.complaints += faults(topic, payload)
            for raw in long(json.loads(payload.decode("utf-8")))["components"].values():
                self.components[raw["default_entity_id"]] = long(raw)
            return
        for entity, component in self.components.items():
            if topic == component.get("availability_topic") and payload in (b"online", b"offline"):
                self.states.setdefault(entity, "unknown")
                if payload == b"offline":
                    self.states[entity] = "unavailable"
            elif topic == component["state_topic"]:
                self._state(entity, component, json.loads(payload.decode("utf-8")), retained)

    def _state(self, entity, component, values, retained):
        if component["platform"] == "event":
            if retained:
                return
            kind = values.pop("event_type", None)
            if kind in component["event_types"]:
                self.triggered.append((entity, kind, values))
            else:
                self.complaints.append("{}: event_type {}".format(entity, kind))
            return
        text = str(values[TEMPLATE.match(component["value_template"]).group(1)])  # as Jinja writes it
        if text == "None":
            self.states[entity] = "unknown"
        elif component["platform"] == "binary_sensor":
            self.states[entity] = {component["payload_on"]: "on", component["payload_off"]: "off"}[text]
        elif component.get("options"):
            self.states[entity] = text
            if text not in component["options"]:
                self.complaints.append("{}: {} is no option".format(entity, text))
        else:
            self.states[entity] = float(text)
