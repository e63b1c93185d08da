from cloud.columns import COLUMNS, ColumnType
from cloud.config import Period
from cloud.search.names import IndexNames
from cloud.search.templates import mapping_of, template_of
from contract.records import Kind

NAMES = IndexNames("dewline", Period.DAY)


def test_every_kind_maps_its_columns_and_nothing_else():
    for kind, columns in COLUMNS.items():
        template = template_of(kind, NAMES)["template"]
        assert template["mappings"]["dynamic"] == "strict"
        assert set(template["mappings"]["properties"]) == {c.name for c in columns} | {"@timestamp"}


def test_every_type_of_column_has_a_field_type():
    used = {c.type for columns in COLUMNS.values() for c in columns}
    assert used == set(ColumnType), "a type of column that no kind uses cannot be tested here"
    for columns in COLUMNS.values():
        assert len(mapping_of(columns)) == len(columns) + 1


def test_numbers_keep_their_precision():
    fields = mapping_of(COLUMNS[Kind.READING])
    assert fields["value"] == {"type": "double"}
    assert fields["seq"] == {"type": "long"}
    assert fields["flags"] == {"type": "keyword"}


def test_replicas_and_alias():
    template = template_of(Kind.CLOCK_FIX, NAMES, replicas=2)
    assert template["index_patterns"] == ["dewline-clock-fix-*"]
    assert template["template"]["settings"] == {"number_of_shards": 1, "number_of_replicas": 2}
    assert template["template"]["aliases"] == {"dewline-clock-fix": {}}
