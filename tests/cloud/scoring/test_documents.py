import json

from cloud.config import Period
from cloud.forecast import FORECAST_COLUMNS, Forecast
from cloud.scoring.documents import document_of, install_template
from cloud.search.names import IndexNames
from cloud.warehouse.model_tables import CLOUD_PREDICTIONS

FORECAST = Forecast(
    device_id="ewr-01",
    stream_id="a" * 13,
    seq=7,
    condition_id="humid",
    model="humid-made",
    version="v1",
    issued_at=1_357_084_799_999,  # 2013-01-01T23:59:59.999Z
    horizon_s=21_600,
    probability=0.25,
    late=False,
)


class Templates:
    def __init__(self):
        self.templates = {}
        self.extended = []

    def ensure_template(self, name, template):
        self.templates[name] = template

    def extend_mapping(self, alias, properties):
        self.extended.append((alias, set(properties)))


def test_a_forecast_stands_in_the_index_of_the_day_it_was_issued_for():
    month = document_of(FORECAST, IndexNames("dewline", Period.MONTH))
    assert month.index_name == "dewline-cloud-prediction-2013.01"
    day = document_of(FORECAST, IndexNames("dewline", Period.DAY))
    assert day.index_name == "dewline-cloud-prediction-2013.01.01"
    assert month.id == "ewr-01:aaaaaaaaaaaaa:7:humid:humid-made:v1"
    assert json.loads(month.body)["@timestamp"] == FORECAST.issued_at


def test_template_document_and_table_have_the_same_columns():
    target = Templates()
    install_template(target, IndexNames("dewline", Period.DAY))
    (template,) = target.templates.values()
    assert template["index_patterns"] == ["dewline-cloud-prediction-*"]
    known = set(template["template"]["mappings"]["properties"])
    body = json.loads(document_of(FORECAST, IndexNames("dewline", Period.DAY)).body)
    assert set(body) == known == {"@timestamp", *(c.name for c in FORECAST_COLUMNS)}
    assert [c.name for c in FORECAST_COLUMNS] == [c.name for c in CLOUD_PREDICTIONS.c]
    assert target.extended == [("dewline-cloud-prediction", known)]
