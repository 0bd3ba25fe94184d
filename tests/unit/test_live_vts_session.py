"""What is said to VTube Studio, in every state of a connection, without a socket or a clock."""
import json
import random

import pytest

from edge.outputs.live.vts import messages
from edge.outputs.live.vts.parameters import definitions
from edge.outputs.live.vts.session import OFF, WAITING, Permission, Session, SessionOver

REST = {"FaceAngleX": 1.0, "EyeOpenLeft": 0.5, "NanofaceYawn": 1.0}


class Studio:
    """The other end of a session, answered by hand."""

    def __init__(self, token="", own=()):
        self.kept = []
        self.permission = Permission(token, lambda new: self.kept.append(new) or "")
        self.now, self.asked = 100.0, []
        self.begin(own)

    def begin(self, own=()):
        self.session = Session(self.permission, own)
        self.take(self.session.begin(self.now))

    def take(self, texts):
        self.asked += [json.loads(text) for text in texts]

    def kinds(self):
        return [request["messageType"] for request in self.asked]

    def answer(self, kind, data, error=False):
        """The oldest request of a kind."""
        request = next(request for request in self.asked if request["messageType"] == kind)
        self.asked.remove(request)
        name = "APIError" if error else kind.replace("Request", "Response")
        self.take(self.session.received(json.dumps({
            "apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "timestamp": 1, "requestID": request["requestID"],
            "messageType": name, "data": data, "more": {}}), self.now))
        return request

    def fail(self, kind, number, text="no"):
        return self.answer(kind, {"errorID": number, "message": text}, error=True)

    def wait(self, seconds):
        self.now += seconds
        self.take(self.session.idle(self.now))

    def values(self, values, found=True):
        self.take(self.session.values(values, found, self.now))

    def log_in(self):
        self.answer("APIStateRequest", {"active": True, "vTubeStudioVersion": "1", "currentSessionAuthenticated": False})
        self.answer("AuthenticationRequest", {"authenticated": True, "reason": ""})
        return self


def test_the_envelope_is_the_documented_one():
    assert json.loads(messages.request("APIStateRequest", "x1")) == {
        "apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "requestID": "x1", "messageType": "APIStateRequest"}
    assert json.loads(messages.request(messages.INJECT, "x", messages.injection({"FaceAngleX": 12.3}, True)))["data"] == {
        "faceFound": True, "mode": "set", "parameterValues": [{"id": "FaceAngleX", "value": 12.3}]}
    assert messages.plugin("t") == {"pluginName": "nanoface", "pluginDeveloper": "nanoface maintainers",
                                    "authenticationToken": "t"}


def test_the_permission_is_asked_for_once_ever_and_kept():
    studio = Studio()
    studio.answer("APIStateRequest", {"active": True})
    assert studio.kinds() == ["AuthenticationTokenRequest"] and studio.session.condition == WAITING
    studio.wait(3600.0)  # a person may take as long
    studio.answer("AuthenticationTokenRequest", {"authenticationToken": "abc"})
    assert studio.kept == ["abc"]
    assert studio.answer("AuthenticationRequest", {"authenticated": True})["data"]["authenticationToken"] == "abc"
    assert studio.session.condition == "" and studio.session.ready_since is not None
    studio.begin()
    studio.log_in()
    assert studio.kinds() == [] and studio.kept == ["abc"]


def test_a_token_that_cannot_be_kept_is_told():
    studio = Studio()
    studio.permission.keep = lambda token: "the disk is full"
    studio.answer("APIStateRequest", {"active": True})
    studio.answer("AuthenticationTokenRequest", {"authenticationToken": "abc"})
    studio.answer("AuthenticationRequest", {"authenticated": True})
    assert studio.session.condition == "the permission could not be kept: the disk is full"


@pytest.mark.parametrize("error, pause_s, text", [
    (50, 600.0, "permission was denied"), (51, 15.0, WAITING), (52, 3600.0, "refuses the plugin's name: error 52 no"),
    (54, 3600.0, "error 54"), (0, 600.0, "no permission, error 0 no")])
def test_a_denied_permission_is_not_asked_for_again_before_a_pause(error, pause_s, text):
    studio = Studio()
    studio.answer("APIStateRequest", {"active": True})
    studio.fail("AuthenticationTokenRequest", error)
    assert text in studio.session.condition
    studio.wait(0.5 * pause_s)
    assert studio.kinds() == []
    studio.begin()  # nor in a new connection
    studio.answer("APIStateRequest", {"active": True})
    assert studio.kinds() == [] and text in studio.session.condition
    studio.wait(0.6 * pause_s)
    assert studio.kinds() == ["AuthenticationTokenRequest"]


def test_a_question_that_is_still_on_the_screen_is_not_asked_anew():
    studio = Studio()
    studio.answer("APIStateRequest", {"active": True})
    studio.asked.clear()
    studio.now += 1.0
    studio.begin()
    studio.answer("APIStateRequest", {"active": True})
    assert studio.kinds() == [] and studio.session.condition == WAITING
    studio.wait(61.0)
    assert studio.kinds() == ["AuthenticationTokenRequest"]


def test_a_permission_that_was_taken_back_is_asked_for_after_pauses_that_grow():
    studio = Studio("old")
    pauses = []
    for _ in range(4):
        if "APIStateRequest" in studio.kinds():
            studio.answer("APIStateRequest", {"active": True})
        studio.answer("AuthenticationRequest", {"authenticated": False, "reason": "revoked"})
        assert "taken back" in studio.session.condition
        began = studio.now
        while not studio.kinds():
            studio.wait(1.0)
        pauses.append(studio.now - began)
        studio.answer("AuthenticationTokenRequest", {"authenticationToken": "new"})
    assert pauses == [30.0, 60.0, 120.0, 240.0]


def test_what_is_no_longer_authenticated_logs_in_again_before_it_asks_anybody():
    studio = Studio("abc").log_in()
    studio.now += 100.0
    for _ in range(3):
        studio.values(REST)
    for _ in range(3):
        studio.fail("InjectParameterDataRequest", 8)
    assert studio.kinds() == ["AuthenticationRequest"]
    studio.answer("AuthenticationRequest", {"authenticated": True})
    assert studio.kinds() == ["InjectParameterDataRequest"]
    studio.fail("InjectParameterDataRequest", 8)
    assert studio.kinds() == [] and "taken back" in studio.session.condition


@pytest.mark.parametrize("how", ["state", "error"])
def test_an_interface_that_is_off_is_told_and_asked_again(how):
    studio = Studio("abc")
    if how == "state":
        studio.answer("APIStateRequest", {"active": False})
    else:
        studio.fail("APIStateRequest", 1)
    assert studio.session.condition == OFF and studio.kinds() == []
    studio.wait(6.0)
    studio.log_in()
    assert studio.session.condition == ""


def test_a_slow_studio_gets_the_newest_and_no_queue():
    studio = Studio("abc").log_in()
    for n in range(50):
        studio.values({"FaceAngleX": float(n)})
    assert studio.kinds() == ["InjectParameterDataRequest"] * 3
    studio.answer("InjectParameterDataRequest", {})
    assert len(studio.asked) == 3
    assert studio.asked[-1]["data"]["parameterValues"] == [{"id": "FaceAngleX", "value": 49.0}]
    studio.answer("InjectParameterDataRequest", {})
    assert len(studio.asked) == 2  # nothing new


def test_what_is_injected_is_repeated_within_a_second():
    studio = Studio("abc").log_in()
    studio.values(REST, False)
    assert studio.answer("InjectParameterDataRequest", {})["data"]["faceFound"] is False
    studio.wait(0.3)
    assert studio.kinds() == []
    studio.wait(0.3)
    assert studio.kinds() == ["InjectParameterDataRequest"]


def test_a_studio_that_does_not_answer_is_left():
    studio = Studio("abc").log_in()
    studio.values(REST)
    studio.wait(9.0)
    with pytest.raises(SessionOver, match="does not answer"):
        studio.wait(2.0)


@pytest.mark.parametrize("text", ["Parameter EyeOpenLeft not found.", "unknown: 'EyeOpenLeft', no", "not there"])
def test_an_unknown_input_is_left_out_and_the_others_go_on(text):
    studio = Studio("abc").log_in()
    studio.values(REST)
    studio.fail("InjectParameterDataRequest", 453, text)
    if text == "not there":
        studio.values(REST)
        assert studio.kinds() == ["InputParameterListRequest"]
        studio.answer("InputParameterListRequest", {
            "defaultParameters": [{"name": "FaceAngleX"}, 3, {"name": None}], "customParameters": [{"name": "NanofaceYawn"}]})
    studio.values(REST)
    assert [row["id"] for row in studio.asked[-1]["data"]["parameterValues"]] == ["FaceAngleX", "NanofaceYawn"]
    assert studio.session.counts["rejected"] == 1


def test_a_studio_that_knows_no_input_is_told_of():
    studio = Studio("abc").log_in()
    studio.values(REST)
    for name in REST:
        studio.fail("InjectParameterDataRequest", 453, name)
    studio.values(REST)
    assert studio.kinds() == [] and studio.session.condition == "VTube Studio takes none of the inputs"


def test_an_input_that_another_plugin_has_is_left_to_it_for_a_while():
    studio = Studio("abc").log_in()
    studio.values(REST)
    studio.fail("InjectParameterDataRequest", 454, "Parameter 'FaceAngleX' is controlled by another plugin")
    assert studio.session.condition == "another plugin drives FaceAngleX: stop it, or it keeps them"
    sent = studio.answer("InjectParameterDataRequest", {})
    assert [row["id"] for row in sent["data"]["parameterValues"]] == ["EyeOpenLeft", "NanofaceYawn"]
    assert "another plugin" in studio.session.condition
    studio.wait(31.0)
    assert "FaceAngleX" in json.dumps(studio.answer("InjectParameterDataRequest", {}))
    assert studio.session.condition == ""


def test_values_that_are_refused_for_another_reason_are_told():
    studio = Studio("abc").log_in()
    studio.values(REST)
    studio.fail("InjectParameterDataRequest", 451, "bad\nvalue")
    assert studio.session.condition == "VTube Studio takes no values: error 451 bad value"
    studio.values(REST)
    studio.answer("InjectParameterDataRequest", {})
    assert studio.session.condition == ""


ERRORS = [  # each error that the interface documents, at each request that it may answer: what becomes of the session
    ("AuthenticationTokenRequest", (50,), "permission was denied", []),
    ("AuthenticationTokenRequest", (51,), WAITING, []),
    ("AuthenticationTokenRequest", (52, 53, 54), "refuses the plugin's name: error {}", []),
    ("AuthenticationRequest", (8, 50, 100, 101, 102), "the permission was taken back", []),
    ("ParameterCreationRequest", tuple(range(350, 357)), "without the input NanofaceYawn: error {} no", ["FaceAngleX"]),
    ("InjectParameterDataRequest", (2, 450, 451, 452, 455), "takes no values: error {} no", ["FaceAngleX", "NanofaceYawn"]),
    ("InjectParameterDataRequest", (454,), "another plugin drives", []),
] + [(kind, (1,), OFF, []) for kind in (
    "APIStateRequest", "AuthenticationTokenRequest", "AuthenticationRequest", "ParameterCreationRequest",
    "InjectParameterDataRequest")]
FLOW = {"APIStateRequest": {"active": True}, "AuthenticationTokenRequest": {"authenticationToken": "abc"},
        "AuthenticationRequest": {"authenticated": True}, "ParameterCreationRequest": {"parameterName": "NanofaceYawn"}}


@pytest.mark.parametrize("kind, number, text, goes_on", [
    (kind, number, text.format(number), goes_on) for kind, numbers, text, goes_on in ERRORS for number in numbers])
def test_every_documented_error_is_told_and_what_may_go_on_does(kind, number, text, goes_on):
    yawn, = [definition for definition in definitions() if definition["parameterName"] == "NanofaceYawn"]
    studio = Studio("" if kind == "AuthenticationTokenRequest" else "abc", [yawn])
    for step in FLOW:
        if step != kind and step in studio.kinds():
            studio.answer(step, FLOW[step])
    if kind == "InjectParameterDataRequest":
        studio.values({"FaceAngleX": 1.0, "NanofaceYawn": 1.0})
    studio.fail(kind, number)
    assert text in studio.session.condition
    assert set(studio.kinds()) <= {"InjectParameterDataRequest", "InputParameterListRequest"}
    studio.values({"FaceAngleX": 2.0, "NanofaceYawn": 1.0})
    told = [row["id"] for request in studio.asked[-1:] for row in request["data"].get("parameterValues", ())]
    assert told == (goes_on if number != 454 else ["NanofaceYawn"])
    if kind == "ParameterCreationRequest" and goes_on:
        studio.answer("InjectParameterDataRequest", {})
        assert text in studio.session.condition  # it stays known


@pytest.mark.parametrize("kind", ["APIStateRequest", "AuthenticationRequest"])
@pytest.mark.parametrize("number", [0, 2, 3, 7])
def test_an_error_that_is_no_word_on_the_permission_keeps_it(kind, number):
    studio = Studio("abc")
    if kind != "APIStateRequest":
        studio.answer("APIStateRequest", {"active": True})
    with pytest.raises(SessionOver, match="error {} no".format(number)):
        studio.fail(kind, number)
    assert studio.permission.token == "abc"


def test_inputs_are_added_some_at_a_time_and_only_those_are_injected():
    added = list(definitions())
    studio = Studio("abc", added).log_in()
    most = 0
    while "ParameterCreationRequest" in studio.kinds():
        most = max(most, studio.kinds().count("ParameterCreationRequest"))
        name = studio.asked[0]["data"]["parameterName"]
        if name == "NanofaceYawn":
            studio.fail("ParameterCreationRequest", 352)
        else:
            studio.answer("ParameterCreationRequest", {"parameterName": name})
    assert most == 8
    studio.values(dict(REST, NanofaceJawOpen=0.5))
    assert {row["id"] for row in studio.asked[-1]["data"]["parameterValues"]} == {
        "FaceAngleX", "EyeOpenLeft", "NanofaceJawOpen"}


@pytest.mark.parametrize("text", [
    "", "{}", "[]", "7", "null", '{"messageType": 3}', "[" * 100000, '{"messageType": "APIError"}',
    '{"apiName": "other", "messageType": "APIStateResponse"}', '{"messageType":"x","data":1e999}'])
def test_nonsense_is_bounded(text):
    studio = Studio("abc").log_in()
    for _ in range(50):
        assert studio.session.received(text, studio.now) == []
    with pytest.raises(SessionOver, match="is not VTube Studio"):
        studio.session.received(text, studio.now)


def test_an_answer_that_was_not_asked_for_gives_no_token():
    studio = Studio()
    studio.answer("APIStateRequest", {"active": True})
    text = json.dumps({"messageType": "AuthenticationResponse", "requestID": studio.asked[0]["requestID"],
                       "data": {"authenticated": True}})
    with pytest.raises(SessionOver, match="answers AuthenticationTokenRequest with something else"):
        studio.session.received(text, studio.now)
    assert studio.session.ready_since is None


@pytest.mark.parametrize("token", [None, 7, "", "x" * 65, "a b", "\u00e4", ["x"]])
def test_a_token_that_is_none_is_not_kept(token):
    studio = Studio()
    studio.answer("APIStateRequest", {"active": True})
    with pytest.raises(SessionOver, match="its token is none"):
        studio.answer("AuthenticationTokenRequest", {"authenticationToken": token})
    assert studio.kept == []


def test_whatever_is_answered_the_session_goes_on_or_ends():
    rng = random.Random(3)
    kinds = ["APIError", "APIStateResponse", "AuthenticationTokenResponse", "AuthenticationResponse", "x", 3, None,
             "ParameterCreationResponse", "InputParameterListResponse", "InjectParameterDataResponse"]
    things = [None, True, False, 3, -1, 1e308, "x", "", [], {}, [[]], {"a": 1}, 453, 454, 8, 50, 51, 1, "abc"]
    ended = 0
    for _ in range(3000):
        studio = Studio(rng.choice(["", "abc"]), list(definitions())[:3])
        try:
            for _ in range(20):
                number = rng.choice([request["requestID"] for request in studio.asked] + [rng.choice(things)])
                data = {key: rng.choice(things) for key in rng.sample(
                    ["active", "authenticationToken", "authenticated", "errorID", "message", "defaultParameters"], 4)}
                text = json.dumps({"messageType": rng.choice(kinds), "requestID": number,
                                   "data": rng.choice([data, data, rng.choice(things)])})
                studio.take(studio.session.received(text, studio.now))
                studio.values(REST)
                studio.wait(rng.choice([0.1, 1.0, 40.0]))
                studio.asked = studio.asked[-20:]
                assert "\n" not in studio.session.condition
        except SessionOver:
            ended += 1
    assert 0 < ended < 3000
