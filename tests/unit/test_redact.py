"""Passwords and keys: hidden in every place where they may stand, whatever they are made of."""
import json
import string
import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import redact
from edge.core.errors import SourceError
from edge.core.redact import Secrets, hide

PRINTABLE = "".join(c for c in string.printable if c not in "\t\n\r\x0b\x0c")
secrets = st.text(st.sampled_from(PRINTABLE), min_size=6, max_size=24).map(lambda text: "Zq" + text + "7x")
PLACES = {  # what is written there is found again by whoever opens it
    "address": "rtsp://admin:{}@10.0.0.5:554/live?channel=1", "user only by name": "https://admin:{}@cam/x.mjpg",
    "another scheme": "gst:rtspsrc location=\"rtsp://admin:{}@cam/live\" ! decodebin",
    "query": "http://cam/video?user=admin&pwd={}&fps=10", "token": "https://cam/live?access_token={}",
    "key": "http://cam/s?apiKey={}#t", "path": "rtsp://cam/user=admin_password={}_channel=1_stream=0.sdp",
    "property": "gst:rtspsrc location=rtsp://cam/s user-id=admin user-pw={} ! decodebin",
    "quoted property": 'gst:srtsrc uri=srt://cam:9000 passphrase="{}" ! tsdemux',
}


def in_place(place, secret):
    if place in ("query", "token", "key"):
        return PLACES[place].format(secret.replace("%", "%25").replace("&", "%26").replace("#", "%23"))
    if place == "property":
        return PLACES[place].format(secret.replace("\\", "\\\\").replace(" ", "\\ ").replace('"', '\\"').replace("'", "\\'"))
    if place == "quoted property":
        return PLACES[place].format(secret.replace("\\", "\\\\").replace('"', '\\"'))
    return PLACES[place].format(secret)


@pytest.fixture
def clean():
    redact.OWN.forget()
    yield
    redact.OWN.forget()


@pytest.mark.parametrize("place", sorted(PLACES))
@settings(deadline=None, max_examples=150)
@given(secret=secrets)
def test_the_secret_of_our_own_source_is_in_no_text(place, secret):
    spec, own = in_place(place, secret), Secrets()
    own.learn(spec)
    for text in (spec, repr(spec), json.dumps({"source": spec}), "cannot open {}: 401".format(spec),
                 "[http @ 0x1] {} failed".format(secret), "see http://cam/?x={}".format(quote(secret, safe=""))):
        told = own.hide(text)
        assert secret not in told and quote(secret, safe="") not in told


@pytest.mark.parametrize("text, shown", [
    ("rtsp://h/s", "rtsp://h/s"), ("rtsp://me:secret@h:554/s?x=1", "rtsp://me:***@h:554/s?x=1"),
    ("rtsp://me@h/s", "rtsp://me@h/s"), ("rtsp://me:a@b@h/s", "rtsp://me:***@h/s"),
    ("rtsp://me:a/b@h/s", "rtsp://me:***@h/s"),
    ("rtsp://me:a b!c@h/s", "rtsp://me:***@h/s"), ("mqtt://me:it's@h", "mqtt://me:***@h"),
    ("rtsp://me:a?b#c@h/s", "rtsp://me:***@h/s"),
    ("http://h/s?user=me&pwd=x&fps=5", "http://h/s?user=***&pwd=***&fps=5"),
    ("http://h/s?auth_token=x", "http://h/s?auth_token=***"),
    ("http://h/s?X-Amz-Signature=ab", "http://h/s?X-Amz-Signature=***"), ("http://h/s?t=1&sig=ab", "http://h/s?t=1&sig=***"),
    ("http://h/@someone/live", "http://h/@someone/live"), ("http://h/s?keyframe=1&design=2", "http://h/s?keyframe=1&design=2"),
    ("rtspsrc location=rtsp://h/s user-id=me user-pw=\"a b\" latency=100 ! fakesink",
     "rtspsrc location=rtsp://h/s user-id=*** user-pw=*** latency=100 ! fakesink"),
    ("srtsrc passphrase='a b' ! x", "srtsrc passphrase=*** ! x"), ("Authorization: Basic bWU6eA==", "Authorization: ***"),
    ('{"password": "a", "n": 1}', '{"password": ***, "n": 1}'),
    ("x-api-key: ab", "x-api-key: ***"), ("{'pw': 'a b'}", "{'pw': ***}"), ("no secret: ", "no secret: "),
    ("x" * 60 + "password=a", "x" * 60 + "password=***"), ("monkey=5 bypass=1 author=me", "monkey=5 bypass=1 author=me"),
    ("--status /etc/passwd: holds something else", "--status /etc/passwd: holds something else"),
    ("write KEY=VALUE, such as a.b=2", "write KEY=VALUE, such as a.b=2"),
    ("source.width is 5; allowed: a whole number", "source.width is 5; allowed: a whole number"),
    ("csi://0 and http://127.0.0.1:8080/x", "csi://0 and http://127.0.0.1:8080/x"),
    ("rtsp://a:b@h/1 and rtsp://c:d@h/2", "rtsp://a:***@h/1 and rtsp://c:***@h/2"),
])
def test_a_strangers_text(clean, text, shown):
    assert hide(text) == shown and hide(shown) == shown


def test_an_error_never_holds_it(clean):
    redact.learn("rtsp://me:hunter22@h/s")
    for error in (SourceError("rtsp://me:hunter22@h/s cannot be opened"), SourceError("401 for hunter22")):
        assert "hunter22" not in str(error) + repr(error)


@pytest.mark.parametrize("spec, secret", [
    ("0", False), ("rtsp://h/s?x=1", False), ("rtsp://me@h/s", False), ("clip@home.mp4", False),
    ("rtsp://me:a@h/s", True), ("http://h/?pwd=1", True), ("gst:x user-pw=1 ! y", True),
])
def test_whether_a_source_has_one(clean, spec, secret):
    assert redact.has_secret(spec) is secret


def test_a_short_secret_leaves_other_texts_readable(clean):
    redact.learn("rtsp://me:a@h/s")
    assert hide("a camera at rtsp://me:a@h/s") == "a camera at rtsp://me:***@h/s"


def test_long_texts_take_no_long_time(clean):
    text = "://" * 3000 + "_" * 20000 + "key" * 5000 + "=" * 3000
    assert len(hide(text)) > 1000


@pytest.mark.parametrize("piece", [
    "a=", "://", "a://", "a://@", "a://b:", "a://b:c ", "http://u:x ", "%", "-", ".-", "key_", "key9", "user.", "pw=", "pw=\"",
    "pw='", "pw='\\x", "pw= ", "pw=\"\\", "password: ", "secret:'", "token=***", "\"", "'", "\\", " ", "\n", "@", "x",
])
def test_a_long_text_is_no_way_to_hold_us_up(piece):
    """As servers and libraries can make one: minutes, where it is looked through again from each of its characters."""
    text = piece * (100000 // len(piece))
    began_at = time.process_time()
    Secrets().hide(text)
    redact.has_secret(text)
    assert time.process_time() - began_at < 5.0


def test_control_sequences_of_others_do_not_steer_a_terminal():
    told = redact.plain("a\x1b]0;b\x07\x9bc\r\u202e\udcff d\u00a0\u3000\u00e9\n")
    assert told == "a\\u001b]0;b\\u0007\\u009bc\\u000d\\u202e\\udcff d\u00a0\u3000\u00e9\n"
    assert redact.one_line("a\nb") == "a\\nb"
