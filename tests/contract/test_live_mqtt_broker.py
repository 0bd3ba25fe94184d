"""mqtt against a real broker, Debian's mosquitto; the reader is paho on its own."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from fakes.homeassistant import HomeAssistant
from fakes.mosquitto import Broker, Reader, needs_mosquitto, retained
from fakes.records import blink, face, record
from patience import wait_until
from peer_programs import PEERS

from edge.core.errors import OutputError
from edge.outputs.kinds import OutputOptions
from edge.outputs.live.mqtt import claim
from edge.outputs.live.mqtt.output import MqttOutput
from edge.outputs.spec import parse_output

OPTIONS = OutputOptions(False, False, False, lambda: None, events=True)
HERE = os.path.dirname(os.path.abspath(__file__))
HA_READER = os.path.join(os.path.dirname(HERE), "peers", "ha_reader.py")
HA_PYTHON = os.path.join(PEERS, "ha", "bin", "python")


@pytest.fixture
def broker(tmp_path):
    with Broker(tmp_path) as started:
        yield started


def output(port, words="?id=desk", topic="/rooms/desk"):
    return MqttOutput(parse_output("mqtt://127.0.0.1:{}{}{}".format(port, topic, words)), OPTIONS)


class Running:
    """An output that is fed 30 records a second and opened again when it failed, as the Sender does it."""

    def __init__(self, made, make_record=lambda i: record(face(yaw=10.0), frame=i)):
        self.output, self._make, self.events, self.errors = made, make_record, [], []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self.output.close()

    def _run(self):
        opened, i = False, 0
        while not self._over.wait(1.0 / 30.0):
            i += 1
            try:
                if not opened:
                    self.output.open()
                    opened = True
                events, self.events = self.events, []
                made = self._make(i)
                self.output.tick() if made is None else self.output.emit(dict(made, events=events))
            except OutputError as e:
                self.errors.append(str(e))
                self.output.close()
                opened = False


@needs_mosquitto
def test_what_is_promised_to_be_retained_is_and_nothing_else(broker):
    with Reader(broker.port) as reader, Running(output(broker.port)) as running:
        reader.wait("rooms/desk/status", b"online")
        running.events = [blink()]
        reader.wait("rooms/desk/event/blink")
        kept = retained(broker.port)
        assert {topic for topic in kept if not topic.endswith("/owner")} == {
            "rooms/desk/status", "rooms/desk/state", "homeassistant/device/desk/config"}
        assert kept["rooms/desk/status"] == b"online" and json.loads(kept["rooms/desk/state"].decode())["yaw"] == 10.0
        assert {topic for topic in kept if topic.endswith("/owner")} == {"rooms/desk/owner", "nanoface/desk/owner"}
        assert running.output.condition == "" and running.errors == []
    assert retained(broker.port)["rooms/desk/status"] == b"offline"
    assert not [topic for topic in retained(broker.port) if topic.endswith("/owner")]


@needs_mosquitto
def test_home_assistant_reads_the_device_its_states_and_events(broker):
    home = HomeAssistant()
    with Reader(broker.port) as reader, Running(output(broker.port)) as running:
        reader.wait("rooms/desk/status", b"online")
        running.events = [blink()]
        reader.wait("rooms/desk/event/blink")
    for one in reader.got:
        if "/owner" not in one.topic:
            home.take(one.topic, one.payload, one.retained)
    assert home.complaints == [] and ("event.nanoface_desk_blink_event", "left") in [told[:2] for told in home.triggered]
    assert home.components["sensor.nanoface_desk_yaw"]["unit_of_measurement"] == "°"


@needs_mosquitto
@pytest.mark.skipif(not os.path.exists(os.path.join(PEERS, "ha", ".peer")), reason="the peer ha is not there: make peers")
def test_the_models_of_ha_mqtt_discoverable_take_every_entity(broker):
    """It has Python types for what Home Assistant's entities may say: names, types, and which options go together."""
    with Reader(broker.port) as reader, Running(output(broker.port)):
        reader.wait("rooms/desk/status", b"online")
        topic = "homeassistant/device/desk/config"
        said = subprocess.check_output([HA_PYTHON, HA_READER, str(broker.port), topic], env={"PATH": os.defpath})
        sent = json.loads(reader.of(topic)[0].decode())
    taken = json.loads(said.decode())
    assert taken["device"] == sent["dev"] and set(taken["entities"]) == set(sent["cmps"])
    for key, entity in taken["entities"].items():
        known = {name: value for name, value in sent["cmps"][key].items() if name in entity}
        assert {name: entity[name] for name in known} == known and entity["component"] == sent["cmps"][key]["p"]
    assert taken["entities"]["yaw"]["unit_of_measurement"] == "°" and taken["entities"]["presence"]["payload_on"] == "True"


@needs_mosquitto
@pytest.mark.parametrize("words, absent", [
    ("?id=desk&homeassistant=false", "homeassistant/device/desk/config"), ("?id=desk", "rooms/desk/shapes")])
def test_what_is_not_asked_for_is_not_published(broker, words, absent):
    with Reader(broker.port) as reader, Running(output(broker.port, words)):
        reader.wait("rooms/desk/status", b"online")
        assert absent not in retained(broker.port)


@needs_mosquitto
def test_shapes_and_another_discovery_prefix_where_they_are_asked_for(broker):
    made = output(broker.port, "?id=desk&shapes=true&discovery_prefix=ha/found")
    with Reader(broker.port) as reader, Running(made):
        reader.wait("rooms/desk/status", b"online")
        kept = retained(broker.port)
    assert made.shapes and len(json.loads(kept["rooms/desk/shapes"].decode())) == 52 and "ha/found/device/desk/config" in kept


@needs_mosquitto
def test_the_topic_is_the_boxs_own_where_none_is_named(broker):
    with Reader(broker.port) as reader, Running(output(broker.port, topic="")):
        reader.wait("nanoface/desk/status", b"online")
        assert set(retained(broker.port)) == {"nanoface/desk/status", "nanoface/desk/state", "nanoface/desk/owner",
                                              "homeassistant/device/desk/config"}


PROGRAM = """
import sys, time
sys.path.insert(0, {root!r})
from edge.outputs.kinds import OutputOptions
from edge.outputs.live.mqtt.output import MqttOutput
from edge.outputs.spec import parse_output
made = MqttOutput(parse_output({text!r}), OutputOptions(False, False, False, lambda: None))
made.open()
while True:
    made.tick()
    time.sleep(0.03)
"""


@needs_mosquitto
def test_after_a_kill_the_last_will_says_that_it_is_gone_and_the_next_run_takes_over(broker):
    text = "mqtt://127.0.0.1:{}/rooms/desk?id=desk".format(broker.port)
    root = os.path.dirname(os.path.dirname(HERE))
    with Reader(broker.port) as reader:
        program = subprocess.Popen([sys.executable, "-c", PROGRAM.format(root=root, text=text)])
        reader.wait("rooms/desk/status", b"online")
        program.send_signal(signal.SIGKILL)
        program.wait()
        reader.wait("rooms/desk/status", b"offline")
        assert retained(broker.port)["rooms/desk/status"] == b"offline"
        with Running(output(broker.port)) as running:
            wait_until(lambda: retained(broker.port)["rooms/desk/status"] == b"online", "the next run")
            assert running.errors == []


@needs_mosquitto
def test_a_will_that_comes_late_does_not_make_a_run_that_is_there_seem_gone(broker):
    with Reader(broker.port) as reader, Running(output(broker.port)):
        reader.wait("rooms/desk/status", b"online")
        reader.publish("rooms/desk/status", b"offline", True)
        told = wait_until(lambda: reader.of("rooms/desk/status")[2:], "the correction")
        assert told == [b"online"]


@needs_mosquitto
def test_a_broker_that_restarts_gets_the_state_back_and_no_event_twice(broker):
    with Running(output(broker.port)) as running:
        with Reader(broker.port) as reader:
            reader.wait("rooms/desk/status", b"online")
            running.events = [blink(1)]
            reader.wait("rooms/desk/event/blink")
        broker.stop()
        wait_until(lambda: running.errors, "the loss")
        broker.start()
        with Reader(broker.port) as reader:
            reader.wait("rooms/desk/status", b"online")
            assert json.loads(reader.wait("rooms/desk/state")[-1].decode())["presence"] is True
            assert reader.of("homeassistant/device/desk/config")
            running.events = [blink(2)]
            assert [json.loads(p.decode())["id"] for p in reader.wait("rooms/desk/event/blink")] == [2]
    assert all("127.0.0.1" in error and "\n" not in error for error in running.errors)


@needs_mosquitto
def test_home_assistants_start_brings_the_discovery_again(broker):
    with Reader(broker.port) as reader, Running(output(broker.port)):
        reader.wait("rooms/desk/status", b"online")
        assert len(reader.of("homeassistant/device/desk/config")) == 1
        for _ in range(50):
            reader.publish("homeassistant/status", b"online")
        wait_until(lambda: len(reader.of("homeassistant/device/desk/config")) == 2, "the discovery")
        reader.publish("homeassistant/status", b"offline")
        reader.publish("homeassistant/status", b"\xff" * 100000)
        time.sleep(0.3)
        assert len(reader.of("homeassistant/device/desk/config")) == 2  # not once for each


@needs_mosquitto
def test_of_two_with_one_name_the_second_is_silent_and_both_conditions_say_so(broker):
    with Reader(broker.port) as reader, Running(output(broker.port)) as first:
        reader.wait("rooms/desk/status", b"online")
        second = Running(output(broker.port), lambda i: record(face(yaw=-50.0), frame=i))
        with second:
            wait_until(lambda: "give this one a name of its own, id=NAME" in second.output.condition, "the clash")
            wait_until(lambda: "another nanoface wants to be rooms/desk" in first.output.condition, "the first's condition")
            second.events = [blink(7)]
            wait_until(lambda: not second.events, "the second's event")
            assert second.output.more_counts()["messages"] == 2  # it asked on both topics, and no more
        assert retained(broker.port)["rooms/desk/status"] == b"online" and not second.errors
        assert {json.loads(p.decode())["yaw"] for p in reader.of("rooms/desk/state")} == {10.0}
        assert not reader.of("rooms/desk/event/blink")


@needs_mosquitto
def test_the_same_id_below_other_topics_is_a_clash_too(broker):
    with Reader(broker.port) as reader, Running(output(broker.port)) as first:
        reader.wait("rooms/desk/status", b"online")
        with Running(output(broker.port, topic="/rooms/door")) as second:
            wait_until(lambda: "another nanoface is" in second.output.condition, "the clash")
            wait_until(lambda: "rooms/door/owner" not in retained(broker.port), "that it has neither name")
            assert "rooms/door/state" not in retained(broker.port) and "wants to be" in first.output.condition


@needs_mosquitto
def test_of_two_that_begin_at_once_one_is_told_whole(broker, monkeypatch):
    monkeypatch.setattr(claim, "AGAIN_S", 3.0)
    both = [Running(output(broker.port)) for _ in range(2)]
    with both[0], both[1]:
        wait_until(lambda: sorted((one.output._online, "nanoface is" in one.output.condition) for one in both) == [
            (False, True), (True, False)], "that one is told and the other silent")
        assert not both[0].errors and not both[1].errors


@needs_mosquitto
def test_two_boxes_with_names_of_their_own_share_a_broker(broker):
    other = output(broker.port, "?id=door", "/rooms/door")
    with Reader(broker.port) as reader, Running(output(broker.port)) as one, Running(other) as two:
        reader.wait("rooms/desk/status", b"online")
        reader.wait("rooms/door/status", b"online")
        assert (one.output.condition, two.output.condition) == ("", "")


@needs_mosquitto
def test_quiet_is_silent_and_moving_is_slow(broker):
    """At most a message in the time that was asked for, whatever the head does."""
    still = Running(output(broker.port, "?id=desk&every=1"))
    moving = Running(output(broker.port, "?id=door&every=1", "/rooms/door"),
                     lambda i: record(face(yaw=40.0 * ((i // 15) % 2), pitch=i % 50), frame=i))
    with Reader(broker.port) as reader, still, moving:
        for box in ("desk", "door"):
            reader.wait("rooms/{}/status".format(box), b"online")
        began, before = time.monotonic(), [len(reader.of("rooms/{}/state".format(box))) for box in ("desk", "door")]
        time.sleep(2.5)
        passed = time.monotonic() - began
        after = [len(reader.of("rooms/{}/state".format(box))) for box in ("desk", "door")]
    assert after[0] == before[0] and 1 <= after[1] - before[1] <= 1 + passed


@needs_mosquitto
@pytest.mark.parametrize("password, fine", [("right word", True), ("wrong", False), (None, False)])
def test_a_login_with_the_password_of_a_file(tmp_path, password, fine):
    words = "?id=desk"
    if password is not None:
        (tmp_path / "word").write_text(password + "\n")
        (tmp_path / "word").chmod(0o600)
        words += "&user=face&password_file={}".format(tmp_path / "word")
    with Broker(tmp_path, ("face", "right word")) as broker:
        made = output(broker.port, words)
        if fine:
            made.open()
            made.close()
            return
        with pytest.raises(OutputError) as caught:
            made.open()
    text = str(caught.value)
    assert "refuses the login" in text and "options user and password_file" in text and "wrong" not in text.split("login")[1]


def test_a_password_file_that_cannot_be_read_is_told_before_anything_is_sent(tmp_path):
    made = output(1, "?id=desk&user=face&password_file={}".format(tmp_path / "none"))
    with pytest.raises(OutputError, match="password_file .*none: No such file or directory; write the password into it"):
        made.open()


def test_a_password_that_everybody_can_read_is_warned_of(tmp_path, caplog):
    (tmp_path / "word").write_text("secret\n")
    (tmp_path / "word").chmod(0o644)
    made = output(1, "?id=desk&user=face&password_file={}".format(tmp_path / "word"))
    with pytest.raises(OutputError, match="no broker at 127.0.0.1:1"):
        made.open()
    assert "can be read by everybody on this machine: chmod o=" in caplog.text and "secret" not in caplog.text


@needs_mosquitto
def test_an_event_that_comes_too_late_is_counted_and_not_told(broker):
    with Reader(broker.port) as reader, Running(output(broker.port)) as running:
        reader.wait("rooms/desk/status", b"online")
        running.events = [dict(blink(1), captured_at=-1000.0), dict(blink(2), captured_at=1e9)]
        reader.wait("rooms/desk/event/blink")
        wait_until(lambda: running.output.more_counts()["late"] == 1, "the count")
        assert [json.loads(p.decode())["id"] for p in reader.of("rooms/desk/event/blink")] == [2]
