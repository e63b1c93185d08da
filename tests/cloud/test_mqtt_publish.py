"""Messages are taken out of a connection's bytes; all other packets stay as they are."""

from hypothesis import example, given
from hypothesis import strategies as st

from cloud.mqtt_publish import Publish, PublishReader, puback

TOPICS = st.text(
    st.characters(exclude_characters="\0+#", exclude_categories=("Cs",)), min_size=1, max_size=60
)
# Properties that a broker may add to a message: content type, a user property.
PROPERTIES = st.sampled_from([b"", b"\x03\x00\x04json", b"\x26\x00\x01a\x00\x01b" * 20])
OTHERS = st.sampled_from(
    [
        b"\xd0\x00",  # PINGRESP
        b"\x90\x04\x00\x01\x00\x01",  # SUBACK
        b"\xe0\x02\x8e\x00",  # DISCONNECT: session taken over
        b"\x20\x06\x00\x00\x03\x21\x01\x90",  # CONNACK with a receive maximum
        b"\x40\x02\x00\x07",  # PUBACK
    ]
)


def variable(value):
    encoded = bytearray()
    while True:
        value, byte = divmod(value, 128)
        encoded.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(encoded)


def packet(first, body):
    return bytes([first]) + variable(len(body)) + body


def packed(message, qos=None, properties=b"", flags=0):
    qos = (1 if message.packet_id else 0) if qos is None else qos
    topic = message.topic.encode()
    body = len(topic).to_bytes(2, "big") + topic
    body += message.packet_id.to_bytes(2, "big") if qos else b""
    return packet(
        0x30 | qos << 1 | flags, body + variable(len(properties)) + properties + message.payload
    )


MESSAGES = st.builds(
    Publish, TOPICS, st.binary(max_size=400), st.sampled_from([0, 1, 255, 256, 65_535])
)
LONG = Publish("t", bytes(70_000), 1)  # more than one call of the kernel returns
PACKETS = st.one_of(
    st.tuples(MESSAGES, PROPERTIES, st.sampled_from([0, 1, 8, 9])).map(
        lambda m: (m[0], packed(m[0], properties=m[1], flags=m[2]))
    ),
    OTHERS.map(lambda other: (None, other)),
)


@given(packets=st.lists(PACKETS, max_size=12), cuts=st.lists(st.integers(1, 300), max_size=40))
@example(packets=[(LONG, packed(LONG))], cuts=[])
@example(packets=[(Publish("t", b"", 1), packed(Publish("t", b"", 1)))] * 3, cuts=[1] * 40)
def test_however_bytes_arrive_every_packet_is_taken_once_and_in_order(packets, cuts):
    data = b"".join(whole for _, whole in packets)
    reader, messages, others, at = PublishReader(), [], b"", 0
    for size in [*cuts, len(data)]:
        found, rest = reader.take(data[at : at + size])
        messages += found
        others += rest
        at += size
    assert messages == [message for message, _ in packets if message is not None]
    assert others == b"".join(whole for message, whole in packets if message is None)


def test_a_packet_that_is_no_proper_message_goes_to_paho_whole():
    whole = Publish("dewline/v1/gw-1/up/live", b"block", 7)
    wrong = [
        packed(whole, qos=2),
        packed(whole, qos=3),
        packed(Publish("t", b"x", 0), qos=1),  # QoS 1 without a packet id
        packet(0x32, b"\x00\x05t"),  # shorter than its topic
        packet(0x32, b"\x00\x01t\x00\x01\x7f"),  # shorter than its properties
        packet(0x32, b"\x00\x01t\x00\x01"),  # no properties
        packet(0x32, b"\x00\x01\xff\x00\x01\x00"),  # a topic that is not UTF-8
        packet(0x32, b""),
    ]
    for one in wrong:
        assert PublishReader().take(one + packed(whole)) == ([whole], one), one


def test_bytes_after_an_impossible_length_are_not_searched_for_messages():
    message = packed(Publish("t", b"x", 1))
    endless = b"\x32\xff\xff\xff\xff"
    assert PublishReader().take(endless + message) == ([], endless + message)


@given(st.lists(st.integers(0, 65_535)))
def test_every_message_of_qos_1_gets_one_puback(packet_ids):
    sent = puback(packet_ids)
    got = [sent[at : at + 4] for at in range(0, len(sent), 4)]
    assert got == [bytes([0x40, 2, n >> 8, n & 255]) for n in packet_ids if n]
