"""Run with the Python of .venv-peers/ha: reads the retained discovery at a broker and makes ha-mqtt-discoverable's models of
it. Prints what they took, as JSON. Words: PORT TOPIC."""
import json
import queue
import sys

from ha_mqtt_discoverable import DeviceInfo, EntityInfo, Settings
from ha_mqtt_discoverable.sensors import BinarySensorInfo, SensorInfo
from paho.mqtt import client as mqtt

MODELS = {"sensor": SensorInfo, "binary_sensor": BinarySensorInfo}  # of events it has none: what all entities have


def retained(port, topic):
    settings = Settings.MQTT(host="127.0.0.1", client_name="reader")
    found = queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=settings.client_name)
    client.on_connect = lambda c, *_: c.subscribe(topic)
    client.on_message = lambda _client, _data, message: found.put(message)
    client.connect(settings.host, port)
    client.loop_start()
    message = found.get(timeout=60)
    client.loop_stop()
    assert message.retain
    return json.loads(message.payload)


def main(port, topic):
    config = retained(int(port), topic)
    device = DeviceInfo(**config["dev"])
    taken = {}
    for key, component in config["cmps"].items():
        model = MODELS.get(component["p"], EntityInfo)
        made = Settings(mqtt=Settings.MQTT(), entity=model(component=component["p"], device=device, **component)).entity
        taken[key] = made.model_dump(exclude_none=True, exclude={"device"})
    print(json.dumps({"device": device.model_dump(exclude_none=True), "entities": taken}))


if __name__ == "__main__":
    main(*sys.argv[1:])
