"""The table of reason codes, against the names and the list that paho has from the standard."""

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from transport.mqtt_reasons import Reason, is_lasting

KNOWN = ReasonCode(PacketTypes.CONNACK).names
FAILURE = 0x80
# what may be otherwise a moment later, or is a fault of one packet
PASSING = {
    "Administrative action",
    "Connection rate exceeded",
    "Implementation specific error",
    "Keep alive timeout",
    "Malformed packet",
    "Maximum connect time",
    "Message rate too high",
    "Packet identifier in use",
    "Packet identifier not found",
    "Payload format invalid",
    "Protocol error",
    "Quota exceeded",
    "Receive maximum exceeded",
    "Server busy",
    "Server shutting down",
    "Server unavailable",
    "Session taken over",
    "Shared subscription not supported",
    "Subscription identifiers not supported",
    "Topic alias invalid",
    "Unspecified error",
    "Use another server",
    "Wildcard subscription not supported",
}


@pytest.mark.parametrize("reason", Reason)
def test_a_code_has_the_name_of_the_standard(reason):
    names = {name.upper().replace(" ", "_") for name in KNOWN[reason.value]}
    assert reason.name in names


def test_each_failure_that_there_is_either_lasts_or_passes():
    failures = {code: set(names) for code, names in KNOWN.items() if code >= FAILURE}
    assert len(failures) == 35
    passing = set().union(*(names for code, names in failures.items() if not is_lasting(code)))
    assert passing == PASSING


def test_a_block_without_a_subscriber_is_no_refusal():
    assert not is_lasting(Reason.NO_MATCHING_SUBSCRIBERS)
