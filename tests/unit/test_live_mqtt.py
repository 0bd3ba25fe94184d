"""mqtt: what is told of a record, when, and how Home Assistant reads it. No broker is needed."""
import json
import re

import pytest
from fakes.homeassistant import HomeAssistant, component_faults, faults, long
from fakes.records import blink, face, record
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import ConfigError
from edge.outputs.live.mqtt import messages
from edge.outputs.live.mqtt.claim import AGAIN_S, ANOTHERS, ANSWER_S, ASKING, OURS, Claim
from edge.outputs.live.mqtt.deadbands import EVERY_S, Told
from edge.outputs.live.mqtt.identity import box_id
from edge.outputs.live.mqtt.messages import Topics
from edge.outputs.live.mqtt.quantities import HOLD_S, QUANTITIES, Reading
from edge.outputs.spec import parse_output

TOPICS = Topics("home/desk", "desk")
FRAME_S = 1.0 / 30.0


def event(name, phase="start", number=1, **values):
    return dict({"schema": 1, "event": name, "id": number, "phase": phase, "face": 1, "frame": 3, "time_s": 0.1,
                 "captured_at": 100.1, "start_s": 0.0, "confidence": 0.9}, **values)


def run(frames, every_s=EVERY_S, factor=1.0):
    """[(time, what was told)] of (record or None, events) at 30 a second."""
    reading, told, found = Reading(every_s / EVERY_S), Told(QUANTITIES, every_s, factor, "presence"), []
    for i, (one, events) in enumerate(frames):
        now = 1000.0 + i * FRAME_S
        reading.take(one, events, now)
        message = told.next(reading.values(now), now)
        if message is not None:
            found.append((i * FRAME_S, message))
    return found


def faces(seconds, **values):
    return [(record(face(**values), frame=i), ()) for i in range(int(seconds / FRAME_S))]


# what a record tells

def test_the_values_of_a_face_are_told_rounded_with_all_keys_and_nulls():
    (_, told), = run(faces(1, yaw=12.345, pitch=-7.01, roll=0.2, place=(30.0, 40.0, 620.0), gaze=(3.3, -2.2),
                           expression={"eye_open_right": 0.987, "eye_open_left": 1.0, "mouth_open": 0.245}))
    assert told == {
        "presence": True, "faces": 1, "attention": "center", "eyes_closed": False, "drowsy": False, "yaw": 12.3, "pitch": -7.0,
        "roll": 0.2, "gaze_yaw": 3.3, "gaze_pitch": -2.2, "eye_open_right": 0.99, "eye_open_left": 1.0, "mouth_open": 0.24,
        "distance_mm": 620.0, "blinks_per_minute": None, "perclos": None}


def test_what_a_face_does_not_tell_is_null_and_never_zero():
    bare = {"id": 1, "score": 0.9, "box": [0, 0, 9, 9], "missing": {"pose": "switched off"}}
    (_, told), = run([(record(bare), ())])
    assert told["presence"] is True and told["yaw"] is None and told["distance_mm"] is None and told["eye_open_left"] is None


def test_a_face_that_comes_is_told_at_once_and_one_that_goes_after_the_hold():
    found = run([(record(), ())] * 30 + faces(1, yaw=10.0) + [(record(), ())] * 150)
    assert [told["presence"] for _, told in found] == [False, True, False]
    assert found[1][0] == pytest.approx(1.0, abs=0.04) and found[2][0] == pytest.approx(2.0 + HOLD_S, abs=0.1)
    assert found[1][1]["yaw"] == 10.0 and found[2][1]["yaw"] is None and found[2][1]["faces"] == 0


def test_a_face_lost_for_less_than_the_hold_is_no_news():
    frames = faces(6, yaw=10.0)
    frames[60:100] = [(record(), ())] * 40
    assert len(run(frames)) == 1


def test_while_no_frame_comes_nothing_is_known():
    found = run(faces(1) + [(None, ())] * 120)
    assert len(found) == 2 and set(found[1][1].values()) == {None} and set(found[1][1]) == set(QUANTITIES)


@pytest.mark.parametrize("name, values, key, told", [
    ("away", {"zone": "left"}, "attention", "left"), ("away", {"zone": "nowhere"}, "attention", "center"),
    ("eyes_closed", {}, "eyes_closed", True), ("perclos", {"perclos": 0.174}, "perclos", 17.4),
    ("perclos", {"perclos": 0.174}, "drowsy", True)])
def test_what_lasts_is_a_state_from_its_start_to_its_end(name, values, key, told):
    frames = faces(12)
    before = run(frames)[0][1][key]
    frames[30] = (frames[30][0], [event(name, **values)])
    frames[240] = (frames[240][0], [event(name, "end", **values)])
    found = [message[key] for _, message in run(frames)]
    assert found[0] == before and found[-1] == before
    assert told == before or found.count(told) >= 1


def test_blinks_of_both_eyes_are_counted_over_a_minute():
    frames = faces(100)
    for i in range(0, len(frames), 150):  # every 5 s
        frames[i] = (frames[i][0], [dict(blink(i + 1), side="both"), blink(10000 + i)])
    found = [(at, told["blinks_per_minute"]) for at, told in run(frames)]
    assert all(rate is None for at, rate in found if at < 60.0) and [rate for at, rate in found if at >= 60.0] == [12.0]


def test_the_followed_face_stays_the_one_that_is_told():
    frames = [(record(face(1, yaw=5.0), face(2, yaw=40.0), frame=i), ()) for i in range(30)]
    frames += [(record(face(2, yaw=40.0), face(1, yaw=5.0), frame=i), ()) for i in range(300)]
    assert {told["yaw"] for _, told in run(frames)} == {5.0} and run(frames)[-1][1]["faces"] == 2


# dead bands

@settings(max_examples=30)
@given(st.lists(st.floats(-1.0, 1.0), min_size=100, max_size=300))
def test_noise_below_the_band_sends_nothing(noise):
    """However it falls: the first message, and no other."""
    reading, told, count = Reading(0.0), Told(QUANTITIES, 0.0, 1.0, "presence"), 0
    for i, share in enumerate(noise):
        now = 1000.0 + i * FRAME_S
        reading.take(record(face(yaw=20.0 + 1.4 * share, place=(0.0, 0.0, 600.0 + 20.0 * share),
                                 expression={"mouth_open": 0.3 + 0.07 * share})), (), now)
        count += told.next(reading.values(now), now) is not None
    assert count == 1


@given(st.lists(st.floats(-90.0, 90.0), min_size=2, max_size=12), st.floats(0.2, 20.0))
def test_a_value_is_told_at_most_once_in_the_time_and_the_last_one_comes_through(angles, every_s):
    told, found = Told(QUANTITIES, every_s, 1.0, "presence"), []
    values = dict.fromkeys(QUANTITIES)
    for i in range(len(angles) * 40 + int(2.0 * every_s / 0.1) + 10):
        values.update(presence=True, yaw=angles[min(i // 40, len(angles) - 1)])
        message = told.next(values, i * 0.1)
        if message is not None:
            found.append((i * 0.1, message["yaw"]))
    assert abs(found[-1][1] - angles[-1]) <= 3.05
    assert all(later - earlier >= every_s - 1e-6 for (earlier, _), (later, _) in zip(found, found[1:]))


@given(st.lists(st.tuples(st.sampled_from(sorted(QUANTITIES)), st.sampled_from([None, True, False, 0, 1, 50.0, -50.0])),
                max_size=400))
def test_whatever_happens_there_are_at_most_five_messages_a_second(changes):
    told, times, values = Told(QUANTITIES, 0.0, 0.0, "presence"), [], dict.fromkeys(QUANTITIES)
    for i, (key, value) in enumerate(changes):
        values[key] = value
        if told.next(values, i * FRAME_S) is not None:
            times.append(i * FRAME_S)
    assert all(later - earlier >= 0.2 - 1e-6 for earlier, later in zip(times, times[1:]))


def test_a_moving_head_is_a_message_in_five_seconds_and_a_still_one_none():
    moving = run([(record(face(yaw=40.0 * ((i // 15) % 2), pitch=float(i % 50)), frame=i), ()) for i in range(30 * 60)])
    assert 10 <= len(moving) <= 13  # in a minute
    assert len(run(faces(90, yaw=10.0))) == 2  # the first, and the rate of blinks once a minute was seen


def test_a_step_of_the_head_comes_through_within_two_times_five_seconds():
    found = run(faces(10, yaw=0.0) + faces(11, yaw=25.0))
    assert found[0][1]["yaw"] == 0.0 and found[-1][1]["yaw"] == pytest.approx(25.0, abs=3.0)


def test_a_wider_band_tells_less_and_none_every_change():
    frames = [(record(face(yaw=i * 0.02), frame=i), ()) for i in range(900)]
    counts = [len(run(frames, 0.5, factor)) for factor in (5.0, 1.0, 0.0)]
    assert counts[0] < counts[1] < counts[2]


# topics and payloads

def test_events_are_never_retained_and_all_that_is_state_is():
    assert messages.event(TOPICS, blink()).retain is False
    kept = [messages.status(TOPICS, True), messages.state(TOPICS, {}), messages.shapes(TOPICS, {}), messages.discovery(TOPICS)]
    assert all(message.retain for message in kept)


def test_the_bytes_of_the_messages():
    assert messages.event(TOPICS, blink()) == ("home/desk/event/blink", (
        b'{"event_type":"left","id":1,"phase":"end","face":1,"time_s":0.1,"start_s":0.0,"end_s":0.1,"duration_s":0.1,'
        b'"confidence":0.9,"side":"left"}'), False)
    assert messages.event(TOPICS, event("yawn", "end"))[1].startswith(b'{"event_type":"end",')
    assert messages.state(TOPICS, {"presence": True, "yaw": None}) == (
        "home/desk/state", b'{"presence":true,"yaw":null}', True)
    assert messages.status(TOPICS, False) == ("home/desk/status", b"offline", True)


@pytest.mark.parametrize("topics", [TOPICS, Topics("a", "0-x", "ha/other")])
def test_home_assistant_takes_the_discovery(topics):
    topic, payload, _ = messages.discovery(topics)
    assert topic == "{}/device/{}/config".format(topics.discovery, topics.box) and faults(topic, payload) == []
    assert b"object_id" not in payload and len(payload) < 10000


def test_the_discovery_has_what_b10_names():
    config = json.loads(messages.discovery(TOPICS).payload.decode("utf-8"))
    assert set(config) == {"dev", "o", "cmps"} and config["dev"]["identifiers"] == ["nanoface_desk"]
    yaw = config["cmps"]["yaw"]
    assert yaw == {"p": "sensor", "unique_id": "nanoface_desk_yaw", "default_entity_id": "sensor.nanoface_desk_yaw",
                   "name": "Head yaw", "availability_topic": "home/desk/status", "state_topic": "home/desk/state",
                   "value_template": "{{ value_json.yaw }}", "unit_of_measurement": "°", "state_class": "measurement"}
    platforms = [component["p"] for component in config["cmps"].values()]
    assert platforms.count("event") == len(messages.EVENTS) and platforms.count("binary_sensor") == 3


@pytest.mark.parametrize("change, fault", [
    ({"object_id": "x"}, "object_id is no option"), ({"default_entity_id": "nanoface_x"}, "default_entity_id"),
    ({"unique_id": None}, "no unique_id"), ({"device_class": "angle"}, "device_class"), ({"p": "camera"}, "platform"),
    ({"options": ["a"]}, "options need"), ({"state_topic": "a/#"}, "wildcard")])
def test_our_reader_of_home_assistants_rules_finds_what_is_wrong(change, fault):
    component = json.loads(messages.discovery(TOPICS).payload.decode("utf-8"))["cmps"]["yaw"]
    assert any(fault in found for found in component_faults(long(dict(component, **change))))


def test_home_assistant_shows_the_states_and_the_events():
    home = HomeAssistant()
    home.take(*messages.discovery(TOPICS)[:2])
    home.take(*messages.status(TOPICS, True)[:2])
    home.take(*messages.state(TOPICS, run(faces(1, yaw=12.3))[0][1])[:2])
    home.take(*messages.event(TOPICS, blink())[:2])
    for name, types in messages.EVENTS.items():
        if name != "blink":
            for phase in types:
                home.take(*messages.event(TOPICS, event(name, phase))[:2])
    assert home.complaints == [] and home.states["sensor.nanoface_desk_yaw"] == 12.3
    assert home.states["binary_sensor.nanoface_desk_presence"] == "on"
    assert home.states["sensor.nanoface_desk_attention"] == "center"
    assert home.states["sensor.nanoface_desk_perclos"] == "unknown"
    assert home.triggered[0][:2] == ("event.nanoface_desk_blink_event", "left")
    assert len(home.triggered) == sum(len(types) for name, types in messages.EVENTS.items() if name != "blink") + 1
    home.take(*messages.status(TOPICS, False)[:2])
    assert set(home.states.values()) == {"unavailable"}


# the id

def test_the_id_stays_and_is_not_that_of_the_machine(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    found = box_id(str(tmp_path))
    assert found == box_id(str(tmp_path)) and re.match("[0-9a-f]{12}\\Z", found)
    assert found not in "0123456789abcdef0123456789abcdef"


def test_a_copied_card_on_another_board_is_another_box(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc" / "device-tree").mkdir(parents=True)
    (tmp_path / "etc" / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    serial, found = tmp_path / "proc" / "device-tree" / "serial-number", set()
    for number in (b"1422519\0", b"1422520\0"):
        serial.write_bytes(number)
        found.add(box_id(str(tmp_path)))
    assert len(found) == 2


def test_without_either_the_hosts_name_serves(tmp_path):
    assert re.match("[0-9a-f]{12}\\Z", box_id(str(tmp_path)))


# whose the name is

def talk(claims, retained=b"", seconds=10.0, now=0.0):
    """Claims that share a topic of a broker; what is retained at the end."""
    queues = {claim: [] for claim in claims}

    def publish(sayings):
        nonlocal retained
        for payload, kept in sayings:
            retained = payload if kept else retained
            for queue in queues.values():
                queue.append((payload, False))

    for claim in claims:
        if retained:
            queues[claim].append((retained, True))
        publish(claim.begin(now))
    end = now + seconds
    while now < end:
        now += 0.1
        for claim in claims:
            arrived, queues[claim][:] = list(queues[claim]), []
            for payload, kept in arrived:
                publish(claim.take(payload, kept, now))
            publish(claim.step(now))
    return retained


A, B = "1" * 16, "2" * 16


def test_a_name_that_is_nobodys_is_ours_as_soon_as_that_is_known():
    claim = Claim(A)
    assert claim.begin(0.0) == [(b"ask:" + A.encode(), False)] and claim.state == ASKING
    assert claim.take(b"ask:" + A.encode(), False, 0.1) == []
    assert claim.step(0.1) == [(b"owner:" + A.encode(), True)] and claim.state == OURS


def test_a_broker_that_lets_us_read_nothing_does_not_stop_us():
    claim = Claim(A)
    claim.begin(0.0)
    assert claim.step(ANSWER_S - 0.1) == [] and claim.step(ANSWER_S) == [(b"owner:" + A.encode(), True)]


def test_who_asks_right_after_another_did_is_answered_in_time():
    claim = Claim(A)
    claim.own(0.0)
    answered = []
    for i in range(100):
        now = i * 0.1
        if i in (10, 12):
            claim.take(b"ask:" + B.encode(), False, now)
        answered += [now for _ in claim.step(now)]
    assert len(answered) == 2 and answered[0] == 1.0 and answered[1] - 1.2 < ANSWER_S


def test_what_a_dead_run_left_is_taken_over():
    claim = Claim(A)
    assert talk([claim], b"owner:" + B.encode()) == b"owner:" + A.encode() and claim.state == OURS


@pytest.mark.parametrize("first, second", [(A, B), (B, A)])
def test_who_came_first_keeps_it_and_both_are_told(first, second):
    one, other = Claim(first), Claim(second)
    assert talk([one]) == b"owner:" + first.encode()
    other.begin(20.0)
    other.take(b"owner:" + first.encode(), True, 20.1)
    assert one.take(b"ask:" + second.encode(), False, 20.1) == []
    answer, = one.step(20.1)
    other.take(answer.payload, False, 20.2)
    assert (one.state, other.state) == (OURS, ANOTHERS) and one.asked(21.0) and not one.asked(200.0)
    assert other.step(20.2 + AGAIN_S - 0.1) == [] and other.step(20.3 + 1.5 * AGAIN_S)[0][0] == b"ask:" + second.encode()


def test_of_two_that_begin_at_once_one_gives_way_and_stays_so():
    one, other = Claim(A), Claim(B)
    retained = talk([one, other], seconds=100.0)
    assert sorted([one.state, other.state]) == sorted([OURS, ANOTHERS])
    assert retained == b"owner:" + (A if one.state == OURS else B).encode()


def test_who_gives_one_name_up_gives_up_all_and_who_keeps_it_says_so_again():
    one, other = Claim(A), Claim(B)
    one.own(0.0)
    other.own(0.0)
    said, = other.give_up(1.0)
    assert said == (b"", True) and other.state == ANOTHERS and other.give_up(2.0) == []
    assert one.take(said.payload, False, 1.0) == [(b"owner:" + A.encode(), True)]
    assert other.take(said.payload, False, 1.0) == [] and other.step(1.0 + 1.5 * AGAIN_S)[0].payload.startswith(b"ask:")


SAID = st.one_of(st.binary(min_size=1, max_size=40), st.sampled_from([b"ask:" + B.encode(), b"owner:x", b"ask:"]))


@given(st.lists(st.tuples(SAID, st.booleans()), max_size=60))
def test_a_flood_of_questions_is_answered_once_a_second(flood):
    claim = Claim(A)
    claim.own(0.0)
    said = [saying for i, (payload, kept) in enumerate(flood)
            for saying in claim.take(payload, kept, 10.0 + i / 100.0) + claim.step(10.0 + i / 100.0)]
    assert len(said) <= 1 and claim.state == OURS


# the address

def test_the_address_of_a_broker():
    spec = parse_output("mqtt://192.0.2.7/home/desk/?id=desk&every=10&homeassistant=false&deadband=2")
    assert spec.topic == "home/desk" and spec.address == ("192.0.2.7", 1883) and not spec.listens
    assert spec.keys == {"id": "desk", "every": 10.0, "homeassistant": False, "deadband": 2.0}


@pytest.mark.parametrize("text, part", [
    ("mqtt://b/home/+/x", "no topic"), ("mqtt://b/#", "no topic"), ("mqtt://b?id=Desk", "small letters"),
    ("mqtt://b?discovery_prefix=a#", "without + and #"),
    ("mqtt://b?every=-1", "0 to 3600"), ("mqtt://b?password=x", "no option 'password'")])
def test_a_wrong_address_of_a_broker_is_told(text, part):
    with pytest.raises(ConfigError, match=re.escape(part)):
        parse_output(text)
