"""The text of --output: what is understood, and what the user is told otherwise."""
import os
import re

import pytest
from in_process import InProcess

from edge.core.errors import ConfigError
from edge.core.rules import Rule, flag, whole
from edge.outputs.kinds import (
    ADDRESS,
    ALWAYS,
    BROKER,
    KINDS,
    WITHOUT_HOST,
    Key,
    Kind,
    OutputSpec,
    explained,
    form_of,
    forms,
    protocol,
)
from edge.outputs.spec import parse_output, parse_outputs

LAND = {"landmarks": True}


@pytest.mark.parametrize("text, target, keys", [
    ("jsonl:out/a.jsonl", "out/a.jsonl", {}), ("jsonl:-", "-", {}), ("JSONL:a", "a", {}), ("csv:a b:c.csv", "a b:c.csv", {}),
    ("video:x.MP4", "x.MP4", {}), ("images:frames", "frames", {}), ("image:x.png", "x.png", {}), ("window", "", {}),
    ("csv:~/a.csv", os.path.expanduser("~/a.csv"), {}),
    ("jsonl:a.jsonl?landmarks=yes", "a.jsonl", LAND),
    ("jsonl:-?landmarks=On", "-", LAND),
    ("csv:a?landmarks=false", "a", {"landmarks": False}),
    ("window?mirror=true&draw_times=no", "", {"mirror": True, "draw_times": False}),
    ("image:a?.jpg?quality=%35&mirror=no", None, None),  # %35 is no escape of ours
    ("image:a?.jpg?quality=7&mirror=no", "a?.jpg", {"quality": 7, "mirror": False}),
    ("jsonl:a%3Flandmarks=no?landmarks=yes", "a?landmarks=no", LAND),
    ("jsonl:50%25&%26?landmarks=yes", "50%&&", LAND),
    ("jsonl:why?", "why?", {}), ("jsonl:what?.jsonl", "what?.jsonl", {}), ("csv:a?b", "a?b", {}),
    ("csv:?a=b?c", "?a=b?c", {}), ("jsonl:50%25.jsonl", "50%25.jsonl", {}), ("jsonl:a?b=c.jsonl", None, None),
    ("video:who?a=b.mp4", "who?a=b.mp4", {}),
    ("csv:there?was=before", "there?was=before", {}), ("csv:there?landmarks=yes", "there", LAND),
])
def test_options_stand_behind_the_target_and_a_name_may_have_a_question_mark(tmp_path, monkeypatch, text, target, keys):
    monkeypatch.chdir(tmp_path)
    for name in ("there?was=before", "there?landmarks=yes"):
        (tmp_path / name).write_text("")
    if target is None:
        with pytest.raises(ConfigError, match="quality is '%35'|jsonl has no option 'b'"):
            parse_output(text)
    else:
        assert parse_output(text) == OutputSpec(re.split("[:?]", text)[0].lower(), target, text, keys)


@pytest.fixture
def toy(monkeypatch):
    keys = {"every": Key(whole(1, 30), "every n-th record"), "loud": Key(flag(), "louder")}
    monkeypatch.setitem(KINDS, "toy", Kind(ADDRESS, "toy:make", "a toy", "toy:1234", keys, port=4321))
    monkeypatch.setitem(KINDS, "portless", Kind(ADDRESS, "toy:make", "another", "portless:1234"))
    monkeypatch.setitem(KINDS, "server", Kind(ADDRESS, "toy:make", "asked", "server", port=21412, listens=ALWAYS))
    monkeypatch.setitem(KINDS, "either", Kind(ADDRESS, "toy:make", "both", "either", port=21412, listens=WITHOUT_HOST))
    broker = {"user": Key(Rule("a name", str, str), "the account")}
    monkeypatch.setitem(KINDS, "broker", Kind(BROKER, "toy:make", "a broker", "broker://h/t", broker, port=1883))


@pytest.mark.parametrize("text, address, shown", [
    ("toy://127.0.0.1:5?every=2", ("127.0.0.1", 5), "127.0.0.1:5"),
    ("toy:board.local:65535", ("board.local", 65535), "board.local:65535"),
    ("toy:[::1]:5", ("::1", 5), "[::1]:5"),
    ("TOY://[fe80:0::2]", ("fe80::2", 4321), "[fe80::2]:4321"),
    ("toy:5", ("127.0.0.1", 5), "127.0.0.1:5"), ("toy::5", ("127.0.0.1", 5), "127.0.0.1:5"),
    ("toy", ("127.0.0.1", 4321), "127.0.0.1:4321"), ("toy?loud=yes", ("127.0.0.1", 4321), "127.0.0.1:4321"),
    ("toy://board", ("board", 4321), "board:4321"), ("toy:192.0.2.7", ("192.0.2.7", 4321), "192.0.2.7:4321"),
    ("toy://board:5/", ("board", 5), "board:5"), ("toy://[::1]/", ("::1", 4321), "[::1]:4321"),
])
def test_an_address_is_a_host_and_a_port_of_which_the_kind_may_know_the_usual_one(toy, text, address, shown):
    spec = parse_output(text)
    assert (spec.kind, spec.address, spec.target, spec.path) == ("toy", address, shown, "")


@pytest.mark.parametrize("text, address, listens", [
    ("server", "127.0.0.1:21412", True), ("server://:5", "127.0.0.1:5", True), ("server://192.0.2.7", "192.0.2.7:21412", True),
    ("server://0.0.0.0", "0.0.0.0:21412", True), ("server://[::]:5", "[::]:5", True),
    ("either", "127.0.0.1:21412", True), ("either:", "127.0.0.1:21412", True), ("either://", "127.0.0.1:21412", True),
    ("either://:5", "127.0.0.1:5", True), ("either:5", "127.0.0.1:5", True), ("either://0.0.0.0", "0.0.0.0:21412", True),
    ("either://[::0]", "[::]:21412", True), ("either://192.0.2.7", "192.0.2.7:21412", False),
    ("either://127.0.0.1", "127.0.0.1:21412", False), ("either://127.0.0.1:5", "127.0.0.1:5", False),
    ("toy://:5", "127.0.0.1:5", False),
])
def test_an_output_listens_where_its_kind_does_and_no_host_is_named(toy, text, address, listens):
    spec = parse_output(text)
    assert (spec.target, spec.listens) == (address, listens)


@pytest.mark.parametrize("text, target, topic, user", [
    ("broker://h", "h:1883", "", None), ("broker://h/a/b", "h:1883/a/b", "a/b", None), ("broker:h:5/a/", "h:5/a", "a", None),
    ("broker://anna@h/a", "h:1883/a", "a", "anna"), ("broker://anna@[::1]:5", "[::1]:5", "", "anna"),
    ("broker://h/a@b", "h:1883/a@b", "a@b", None), ("broker://h?user=anna", "h:1883", "", "anna"),
    ("broker://anna@home@h", "h:1883", "", "anna@home"), ("broker:/a", "127.0.0.1:1883/a", "a", None),
])
def test_a_broker_has_a_topic_and_may_have_a_user(toy, text, target, topic, user):
    spec = parse_output(text)
    assert (spec.target, spec.topic, spec.keys.get("user"), spec.listens) == (target, topic, user, False)


@pytest.mark.parametrize("text, hint", [
    ("jsonk:a", "jsonl:PATH"),
    ("vidoe:a.mp4", "video:PATH.mp4"),
    ("windows", "did you mean window?"),
    ("demo.mp4", "video:demo.mp4"),
    ("faces.jsonl", "jsonl:faces.jsonl"),
    ("snmp:x", "unknown kind; there are jsonl:PATH"),
    ("", "unknown kind"),
    ("jsonl", "jsonl:PATH"),
    ("csv:", "csv:PATH"),
    ("video: ", "video:PATH.mp4"),
    ("video:a.avi", ".mp4"),
    ("image:a.gif", ".jpg or .jpeg or .png"),
    ("images:-", "images:FOLDER"),
    ("window:a", "window"),
    ("toy:host:0", "0 is no port: 1 to 65535"), ("toy:host:65536", "65536 is no port"), ("toy:host:x", "x is no port"),
    ("toy:::1:5", "in brackets, as [::1]:5"), ("toy:[::g]:5", "[::g] is no IPv6 address"), ("toy:a b:5", "a b is no host"),
    ("toy:h:5/x", "5/x is no port"), ("toy:h:5//", "5/ is no port"), ("toy:h:-1", "-1 is no port"),
    ("toy:h:99999999999999999999", "is no port"), ("toy://b\u00fccher.example", "b\u00fccher.example is no host"),
    ("toy://h:\u0663", "\u0663 is no port"), ("toy:\u0663", "\u0663 is no port"), ("toy:::5", "in brackets"),
    ("toy://user@h", "user@h is no host"), ("toy://" + "a" * 300, "is no host"),
    ("toy://0.0.0.0", "nothing can be sent to 0.0.0.0: name the machine where the program runs"),
    ("toy://[::]:5", "nothing can be sent to ::"), ("either://0.0.0.0:x", "x is no port"),
    ("broker://@h", "no user stands before the @"), ("broker://h:x/t", "1 to 65535; write it as broker://HOST:PORT/TOPIC"),
    ("broker://h/a/#", "is no topic"), ("portless", "the port is missing; write it as portless://HOST:PORT"),
    ("portless:host", "the port is missing"), ("toy?evry=2", "toy has no option 'evry', did you mean every?"),
    ("toy?x=2", "toy has no option 'x'; it has every, loud"), ("portless:5?x=2", "portless has no option 'x'; it has none"),
    ("toy?every=0", "every is '0'; allowed: a whole number from 1 to 30"), ("toy?every=", "every is ''"),
    ("toy?every", "write every=VALUE"), ("toy?", "no option ''"), ("toy?loud", "write loud=true|false"),
    ("toy?every=2&every=3", "every is given twice"),
    ("jsonl:a?landmark=yes", "jsonl has no option 'landmark', did you mean landmarks?"),
    ("jsonl:a?landmarks=maybe", "landmarks is 'maybe'; allowed: true or false"), ("jsonl:a?landmarks=67", "68"),
    ("jsonl:?landmarks=yes", "where to?"), ("video:clip?mirror=yes", "the name must end in .mp4"),
    ("clip.mp4?mirror=yes", "did you mean video:clip.mp4?mirror=yes?"),
])
def test_a_wrong_text_names_the_right_one_in_one_line(toy, text, hint):
    with pytest.raises(ConfigError) as caught:
        parse_output(text)
    message = str(caught.value)
    assert message.startswith("--output " + text) and hint in message and "\n" not in message


def test_the_table_explains_itself(toy):
    for name, kind in KINDS.items():
        assert parse_output(kind.example).kind == name
        assert form_of(name) in forms()
        assert [line.split() for line in explained().splitlines() if line.split()[:1] == [form_of(name)]] == [
            [form_of(name)] + kind.text.split()]


@pytest.mark.parametrize("texts, fine", [
    (["jsonl:a", "csv:b", "window"], True),
    (["jsonl:a", "jsonl:./a"], False),
    (["jsonl:-", "csv:-"], False),
    (["window", "window?mirror=yes"], False),
    (["toy:5", "toy://127.0.0.1:5"], False),
    (["toy:5", "portless:5", "toy:6"], True),
    (["server", "either"], False), (["server:5", "either://0.0.0.0:5"], False), (["server:5", "either:6"], True),
    (["server", "either://192.0.2.7"], True), (["vts-phone", "ifacialmocap:21412"], False),
    (["socketio-server:8765", "ws"], False), (["ws:21412", "vts-phone"], True), (["ws", "ws://0.0.0.0"], False),
])
def test_no_two_outputs_write_to_the_same_place(toy, texts, fine):
    if fine:
        assert [spec.text for spec in parse_outputs(texts)] == texts
    else:
        with pytest.raises(ConfigError, match="same place"):
            parse_outputs(texts)


@pytest.mark.parametrize("text, hint", [
    ("broker://anna:secret@h/t", "put it into a file, password_file=PATH"),
    ("broker://anna@h?user=bert", "the user is given twice"),
])
def test_an_account_is_named_once_and_its_password_nowhere(toy, text, hint):
    with pytest.raises(ConfigError) as caught:
        parse_output(text)
    assert hint in str(caught.value) and "secret" not in str(caught.value)


def test_a_live_kind_has_the_protocol_that_its_page_says():
    with open(os.path.join(os.path.dirname(__file__), "..", "..", "docs", "outputs.md"), encoding="utf-8") as f:
        told = dict(re.findall(r"^\| \[([a-z-]+)\].*?\| .*?(UDP|TCP)", f.read(), re.MULTILINE))
    assert told == {name: protocol(name) for name, kind in KINDS.items() if kind.live}


def test_a_password_in_an_address_is_not_shown_again(tmp_path, capfd):
    done = InProcess(tmp_path, capfd)("run", "portrait", "--output", "mqtt://anna:hunter22@192.0.2.7/face")
    assert done.code == 2 and "password_file=PATH" in done.err and "hunter22" not in done.err


@pytest.mark.parametrize("kind, port", [
    ("openseeface", 11573), ("vmc", 39540), ("vrchat", 8888), ("vts", 8001), ("vts-phone", 21412), ("ifacialmocap", 49983),
    ("socketio", 6789), ("socketio-server", 6789), ("opentrack", 4242)])
def test_the_port_that_each_protocol_is_known_by(kind, port):
    assert parse_output("{}://192.0.2.7".format(kind)).address == ("192.0.2.7", port)
    assert KINDS["vts"].tells_at == 47779
