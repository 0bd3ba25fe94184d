"""A real broker, started for a test: Debian's mosquitto on a port of its own; and an independent reader of it."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections import namedtuple

import pytest
from patience import wait_until

PROGRAM = shutil.which("mosquitto", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
PASSWORDS = shutil.which("mosquitto_passwd")
needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")
Got = namedtuple("Got", "topic payload retained")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """Keeps nothing when it ends, unless `persistence`."""

    def __init__(self, folder, login=None, lines=()):
        self.port, self._folder, self._process = free_port(), str(folder), None
        words = ["listener {} 127.0.0.1".format(self.port), "user root"] + list(lines)
        if login is None:
            words.append("allow_anonymous true")
        else:
            path = os.path.join(self._folder, "passwords")
            with open(path, "w") as f:
                f.write("{}:{}\n".format(*login))
            subprocess.check_call([PASSWORDS, "-U", path])
            words += ["allow_anonymous false", "password_file " + path]
        self._config = os.path.join(self._folder, "mosquitto-{}.conf".format(self.port))
        with open(self._config, "w") as f:
            f.write("\n".join(words) + "\n")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with open(os.path.join(self._folder, "mosquitto.log"), "ab") as log:
            self._process = subprocess.Popen([PROGRAM, "-c", self._config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._listens, "mosquitto")

    def _listens(self):
        assert self._process.poll() is None, "mosquitto ended: see {}".format(self._folder)
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, how=signal.SIGTERM):
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


def client(login=None):
    """paho's own, of either generation."""
    import paho.mqtt.client as mqtt

    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2) if hasattr(mqtt, "CallbackAPIVersion") else mqtt.Client()
    if login is not None:
        made.username_pw_set(*login)
    return made


class Reader:
    """All that anybody publishes, in order; in a thread of its own, since paho's may never end."""

    def __init__(self, port, topic="#", login=None):
        self.got, self._lock, self._topic, self._ready = [], threading.Lock(), topic, threading.Event()
        self._client = client(login)
        self._client.on_connect = lambda c, *_: c.subscribe(topic)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        wait_until(self._ready.is_set, "the reader's subscription")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join(30.0)
        self._client.disconnect()

    def _run(self):
        while not self._over.is_set():
            if self._client.loop(0.1) != 0:  # the broker has gone
                self._over.wait(0.2)
                with contextlib.suppress(OSError):
                    self._client.reconnect()

    def _take(self, _client, _data, message):
        with self._lock:
            self.got.append(Got(message.topic, message.payload, bool(message.retain)))

    def publish(self, topic, payload, retain=False):
        self._client.publish(topic, payload, retain=retain).wait_for_publish()

    def of(self, topic):
        with self._lock:
            return [one.payload for one in self.got if one.topic == topic]

    def wait(self, topic, payload=None):
        """The payloads of the topic, once there are any, or this one."""
        return wait_until(lambda: [p for p in self.of(topic) if payload is None or p == payload], "a message on " + topic)


def retained(port, login=None):
    """What a stranger who comes now is told: topic -> payload."""
    with Reader(port, login=login) as reader:
        reader.publish("tests/end", b"1")
        reader.wait("tests/end")
        return {one.topic: one.payload for one in reader.got if one.retained}
