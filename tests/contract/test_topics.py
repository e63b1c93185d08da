import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ContractError
from contract.topics import (
    Lane,
    ack_topic,
    desired_topic,
    device_of,
    lane_filter,
    parse_up_topic,
    presence_topic,
    up_topic,
)

DEVICES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)


@given(device_id=DEVICES, lane=st.sampled_from(Lane))
def test_a_topic_names_its_device_and_lane(device_id: str, lane: Lane) -> None:
    assert parse_up_topic(up_topic(device_id, lane)) == (device_id, lane)
    assert device_of(up_topic(device_id, lane)) == device_id


def test_each_topic_has_one_spelling() -> None:
    assert up_topic("gw-1", Lane.LIVE) == "dewline/v1/gw-1/up/live"
    assert ack_topic("gw-1") == "dewline/v1/gw-1/down/ack"
    assert desired_topic("gw-1") == "dewline/v1/gw-1/down/desired"
    assert presence_topic("gw-1") == "dewline/v1/gw-1/presence"
    assert lane_filter(Lane.ALERT, "a1b2") == "$share/a1b2/dewline/v1/+/up/alert"


def test_lanes_stand_in_the_order_of_what_goes_first() -> None:
    assert list(Lane) == ["alert", "live", "backfill"]


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "dewline/v1/gw-1",
        "dewline/v1/gw-1/up",
        "dewline/v1/gw-1/up/",
        "dewline/v1/gw-1/up/slow",
        "dewline/v1/gw-1/up/live/",
        "dewline/v1/gw-1/up/live\n",
        "dewline/v1/gw-1/up/#",
        "dewline/v1/+/up/live",
        "dewline/v1/#",
        "dewline/v1//up/live",
        "dewline/v1/gw/1/up/live",
        "dewline/v1/GW-1/up/live",
        "dewline/v1/-gw/up/live",
        "dewline/v1/gw_1/up/live",
        "dewline/v1/gw 1/up/live",
        f"dewline/v1/{'a' * 64}/up/live",
        "dewline/v2/gw-1/up/live",
        "Dewline/v1/gw-1/up/live",
        "/dewline/v1/gw-1/up/live",
        "$share/ingest/dewline/v1/gw-1/up/live",
        "dewline/v1/gw-1/down/ack",
        "dewline/v1/gw-1/presence",
    ],
)
def test_a_topic_that_names_no_device_is_refused(topic: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse_up_topic(topic)
    assert caught.value.code == "bad_topic"
    assert device_of(topic) == ""


@given(topic=st.text(max_size=40))
def test_any_text_is_a_topic_of_ours_or_refused(topic: str) -> None:
    with pytest.raises(ContractError):
        parse_up_topic(topic)
    with pytest.raises(ContractError):
        parse_up_topic(f"dewline/v1/{topic}/{topic}/up/live")
