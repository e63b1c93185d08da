"""The migrations on a real server, held against what the code believes of the tables."""

import threading

import pymysql
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from cloud.errors import SchemaOutdated, WarehouseError
from cloud.warehouse.engine import connect, converted, require_current
from cloud.warehouse.migrate import current, head, migrate
from cloud.warehouse.migrations import HEAD
from cloud.warehouse.model_tables import DESIRED
from cloud.warehouse.tables import METADATA
from contract.records import Kind

pytestmark = pytest.mark.services

assert DESIRED.metadata is METADATA  # the tables of models are known as well

COLUMNS = """SELECT table_name, ordinal_position, column_name, column_type, is_nullable,
                    column_default, collation_name, extra
             FROM information_schema.columns WHERE table_schema = DATABASE()
             AND table_name <> 'alembic_version' AND table_name NOT IN
               (SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE())
             ORDER BY table_name, ordinal_position"""
INDEXES = """SELECT table_name, index_name, seq_in_index, column_name, non_unique
             FROM information_schema.statistics WHERE table_schema = DATABASE()
             AND table_name <> 'alembic_version' ORDER BY table_name, index_name, seq_in_index"""
FIRST = ("fct_", "stg_", "ledger_", "quarantine_")
LATER = ("agg_", "aggregate_", "dim_", "excursion")


def schema_of(engine):
    with engine.connect() as connection:
        return [[tuple(r) for r in connection.execute(text(q))] for q in (COLUMNS, INDEXES)]


def test_the_head_named_in_code_is_alembics():
    assert head() == HEAD


def test_migrating_makes_the_schema_of_the_metadata(empty):
    assert current(empty) is None
    assert migrate(empty) == HEAD == current(empty)
    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_every_column_and_index_is_the_same_as_if_made_from_the_metadata(empty):
    METADATA.create_all(empty)
    wanted = schema_of(empty)
    METADATA.drop_all(empty)
    migrate(empty)
    assert schema_of(empty) == wanted
    assert {r[6] for r in wanted[0]} == {None, "utf8mb4_bin"}


def test_migrating_twice_or_by_two_at_once_is_migrating_once(empty):
    done = []
    threads = [threading.Thread(target=lambda: done.append(migrate(empty))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert done == [HEAD, HEAD]
    assert migrate(empty) == HEAD


def test_a_migration_that_waits_too_long_for_another_gives_up(empty):
    with empty.connect() as other:
        other.execute(text("SELECT GET_LOCK('dewline_migrate', 0)"))
        with pytest.raises(WarehouseError, match="another migration"):
            migrate(empty, wait_s=0)
        other.execute(text("SELECT RELEASE_LOCK('dewline_migrate')"))
    assert current(empty) is None


def test_a_migration_that_died_half_way_runs_again(empty):
    migrate(empty)
    before = schema_of(empty)
    with empty.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("DROP TABLE ledger_held"))
    migrate(empty)
    assert schema_of(empty) == before


@pytest.mark.parametrize("kept", [[], ["truth", "cloud_prediction"]])
def test_the_second_revision_keeps_the_rows_of_the_first_and_runs_again(empty, kept):
    migrate(empty)
    before = schema_of(empty)
    models = {t.name for t in METADATA.sorted_tables if not t.name.startswith(FIRST + LATER)}
    assert len(models) == 11
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        connection.execute(
            text("INSERT INTO ledger_stream VALUES ('d', 's', 1, 'x', NOW(3), NULL, NULL)")
        )
        for name in models - set(kept):
            connection.execute(text(f"DROP TABLE `{name}`"))
    assert migrate(empty) == HEAD
    assert schema_of(empty) == before
    with empty.connect() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM ledger_stream")) == 1


def keyless(engine):
    """Tables without a primary key."""
    query = """SELECT t.table_name FROM information_schema.tables t
               LEFT JOIN information_schema.table_constraints c
                 ON c.table_schema = t.table_schema AND c.table_name = t.table_name
                    AND c.constraint_type = 'PRIMARY KEY'
               WHERE t.table_schema = DATABASE() AND c.constraint_name IS NULL
               AND t.table_type = 'BASE TABLE'"""
    with engine.connect() as connection:
        return {name for (name,) in connection.execute(text(query))}


def test_every_table_has_a_primary_key(empty):
    migrate(empty)
    assert keyless(empty) == set()


def as_root(server, *statements):
    """Statements of the server's own administrator, who has the socket only."""
    connection = pymysql.connect(unix_socket=str(server.base / "m.sock"), user="root")
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


@pytest.fixture
def strict(stack_base, database):
    """A server that refuses tables without a primary key, over TLS only; no user has SUPER."""
    kind = type(database)
    server = kind.start(stack_base, flags=(*kind.keys_required, "--require-secure-transport=ON"))
    yield server
    server.stop()


def test_a_strict_server_takes_the_schema(strict):
    if strict.product == "MariaDB":
        pytest.skip("this MariaDB makes no certificate by itself, so it cannot require TLS")
    as_root(
        strict,
        f"ALTER USER '{strict.user}'@'127.0.0.1' REQUIRE SSL",
        f"ALTER USER '{strict.user}'@'127.0.0.1' IDENTIFIED WITH caching_sha2_password"
        f" BY '{strict.password}'",
    )
    engine = connect(strict.url)
    assert migrate(engine) == HEAD
    with engine.connect() as connection:
        grants = {row for (row,) in connection.execute(text("SHOW GRANTS"))}
        assert not any(
            "SUPER" in grant or "ON *.*" in grant.replace("USAGE ON *.*", "") for grant in grants
        )
        assert connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]
    engine.dispose()


def test_a_server_that_refuses_keyless_tables_names_the_table(stack_base, database):
    kind = type(database)
    server = kind.start(stack_base, flags=kind.keys_required)
    try:
        engine = connect(server.url)
        with (
            pytest.raises(WarehouseError, match=r"table keyless: .*primary key"),
            converted(),
            engine.begin() as connection,
        ):
            connection.execute(text("CREATE TABLE keyless (n INT)"))
        assert migrate(engine) == HEAD
        engine.dispose()
    finally:
        server.stop()


def test_the_third_revision_gives_older_staging_tables_their_keys(empty):
    migrate(empty)
    before = schema_of(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
        for kind in Kind:
            if kind is not Kind.HELD:  # as if an earlier run had died after that one
                connection.execute(text(f"ALTER TABLE `stg_{kind}` DROP COLUMN row_id"))
    assert len(keyless(empty)) == len(Kind) - 1
    assert migrate(empty) == HEAD
    assert schema_of(empty) == before


def test_the_sixth_revision_drops_an_index_that_an_earlier_run_has_left(empty):
    migrate(empty)
    before = schema_of(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))
        for kind in (Kind.READING, Kind.HELD):  # as if an earlier run had died between the others
            index = f"ix_stg_{kind}_batch (batch_id, device_id, stream_id, seq)"
            connection.execute(text(f"ALTER TABLE `stg_{kind}` ADD INDEX {index}"))
    assert migrate(empty) == HEAD
    assert schema_of(empty) == before


def test_what_died_at_the_first_staging_table_is_recovered(empty):
    """As an older program left it on a server that refuses tables without a primary key."""
    migrate(empty)
    before = schema_of(empty)
    with empty.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        for table in METADATA.sorted_tables:
            if table.name != "fct_reading":
                connection.execute(text(f"DROP TABLE `{table.name}`"))
    assert migrate(empty) == HEAD
    assert schema_of(empty) == before


def test_an_unmigrated_or_foreign_schema_is_refused_with_what_to_do(empty):
    with pytest.raises(SchemaOutdated, match="warehouse migrate"):
        require_current(empty)
    migrate(empty)
    require_current(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(SchemaOutdated, match="0999"):
        require_current(empty)
    with pytest.raises(SchemaOutdated, match="newer program"):
        migrate(empty)
    with empty.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
