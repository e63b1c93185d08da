import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.config import Period
from cloud.logstash.envelope import ID, INDEX, batch, event
from cloud.search.bulk import Document
from cloud.search.documents import BlockContext, documents
from cloud.search.names import IndexNames
from contract.blocks import Block, TimedEvent
from contract.errors import ConfigError
from contract.records import ModelReport

NAMES = IndexNames("dewline", Period.DAY)
UTC_AT = 1_372_895_999_000


def made(reason):
    report = ModelReport(model="m", version="1", outcome="active", reason=reason)
    block = Block(
        stream_id="a" * 13,
        first=1,
        offset_ms=0,
        utc_at=UTC_AT,
        events=(TimedEvent(0, report), TimedEvent(1, report)),
    )
    return list(documents(BlockContext(device_id="gw", received_at=UTC_AT), block, NAMES))


@given(st.text(max_size=60) | st.just(',"@timestamp":12') | st.just('\\","@timestamp":1,"'))
def test_an_event_is_the_document_without_its_timestamp_and_with_its_place(reason):
    for document in made(reason):
        fields = json.loads(document.body)
        assert fields.pop("@timestamp") == fields["observed_at"]
        place = {INDEX: document.index_name, ID: document.id}
        assert json.loads(event(document)) == place | fields
        assert list(json.loads(event(document)))[:2] == [INDEX, ID]


def test_times_before_1970_are_taken_out_too():
    document = Document("i", "1", '{"observed_at":-5,"@timestamp":-5,"seq":1}')
    assert json.loads(event(document)) == {INDEX: "i", ID: "1", "observed_at": -5, "seq": 1}


def test_a_document_without_a_time_stays_as_it_is():
    assert event(Document("i", "1", '{"seq":1}')) == '{"_index":"i","_id":"1","seq":1}'


@pytest.mark.parametrize(
    "body",
    [
        '{"seq":1}{"seq":2}',
        '{"seq":1}\n{"seq":2}',
        '{"seq":1},{"seq":2}',
        '{"seq":1}][{"seq":2}',
        '{"seq":1,"_id":"another"}',
        '{"seq":NaN}',
        '{"seq":1',
    ],
)
def test_a_batch_that_is_not_one_array_of_its_documents_is_refused(body):
    good = Document("i", "gw:s:1", '{"seq":1}')
    assert len(json.loads(batch([good, good]))) == 2
    with pytest.raises(ConfigError, match=r"documents gw:s:1 to gw:s:2 are not one JSON array"):
        batch([good, Document("i", "gw:s:2", body)])


def test_a_batch_is_an_array_in_order():
    sent = made("ä")
    read = json.loads(batch(sent))
    assert [entry[ID] for entry in read] == [document.id for document in sent]
    assert read[0]["reason"] == "ä"
