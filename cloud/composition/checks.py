"""Builds the doctor's checks from the configuration.

Each check opens its own connection. So a missing password file or a dead server fails one check,
not all of them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cloud.clock import SystemClock
from cloud.composition.lake import lake_folder, open_raw, open_store
from cloud.composition.servers import (
    broker_settings,
    index_names,
    open_node_api,
    open_search,
    open_warehouse,
)
from cloud.config import CloudConfig, HealthConfig, Writer, need
from cloud.health.budgets import look_at_budgets
from cloud.health.certificates import look_at_certificate
from cloud.health.finding import Check, Finding, State, not_configured
from cloud.health.lake import CursorLimits, look_at_cursors, look_at_lake
from cloud.health.logstash import look_at_delivery, look_at_pipelines
from cloud.health.servers import look_at_broker, look_at_search
from cloud.health.set_aside import look_at_set_aside, look_at_unreadable
from cloud.health.warehouse import look_at_ledger, look_at_warehouse
from cloud.lake.cursors import RAW_CURSOR
from cloud.projections.ledger import LedgerProjection
from cloud.projections.quarantine import QuarantineProjection
from cloud.projections.search import SearchProjection

__all__ = ["checks_of", "missing_of"]


def missing_of(config: CloudConfig) -> tuple[Finding, ...]:
    """Returns a finding for each check whose section is missing."""
    found = []
    if config.ingest is None:
        found.append(not_configured("broker", "ingest"))
    if config.lake is None:
        found += [
            not_configured(name, "lake") for name in ("lake", "devices over budget", "cursors")
        ]
    if config.search is None:
        found.append(not_configured("search", "search"))
    elif _through_logstash(config) and config.search.logstash_api_url is None:
        found.append(
            Finding(
                check="logstash",
                state=State.NOT_CONFIGURED,
                found="no logstash_api_url in [search]",
                expected="-",
            )
        )
    if config.warehouse is None:
        found += [not_configured(name, "warehouse") for name in ("warehouse", "ledger")]
    return tuple(found)


def checks_of(config: CloudConfig) -> tuple[Check, ...]:
    """Returns the checks of the sections in the configuration."""
    limits = config.health or HealthConfig()
    checks: list[Check] = []
    if config.ingest is not None:
        checks.append(_broker(config, limits))
    if config.lake is not None:
        checks += [_lake(config, limits), _budgets(config, limits), _cursors(config, limits)]
    if config.search is not None:
        checks += [_search(config, limits), *_logstash(config, limits)]
    if config.warehouse is not None:
        checks += [_warehouse(config, limits), _ledger(config, limits)]
    sections = {"ingest": config.ingest, "rollout": config.rollout, "api": config.api}
    for name, section in sections.items():
        if section is not None and section.certificate_file is not None:
            checks.append(_certificate(name, Path(section.certificate_file), limits))
    return tuple(checks)


def _certificate(section: str, path: Path, limits: HealthConfig) -> Check:
    name = f"certificate of {section}"
    return Check(
        name=name,
        expected="30 days left",
        remedy="check that the file exists and that this account can read it",
        limit_s=limits.answer_s,
        look=lambda: look_at_certificate(name, path, datetime.now(UTC)),
    )


def _broker(config: CloudConfig, limits: HealthConfig) -> Check:
    def look() -> Iterator[Finding]:
        section = need(config.ingest, "ingest", config)
        yield from look_at_broker(broker_settings(section, "doctor"))

    return Check(
        name="broker",
        expected="accepts ingest",
        remedy="check that the broker runs, and account, rights and certificate of [ingest]",
        limit_s=limits.answer_s,
        look=look,
    )


def _lake(config: CloudConfig, limits: HealthConfig) -> Check:
    def look() -> Iterator[Finding]:
        now_ms = SystemClock().utc_ms()
        yield from look_at_lake(lake_folder(config), open_store(config), now_ms, limits.quiet_s)

    return Check(
        name="lake",
        expected="can be written",
        remedy="check that the disk has space, and that the services' account owns the folder",
        limit_s=limits.answer_s,
        look=look,
    )


def _budgets(config: CloudConfig, limits: HealthConfig) -> Check:
    def look() -> Iterator[Finding]:
        yield from look_at_budgets(open_store(config), SystemClock().utc_ms())

    return Check(
        name="devices over budget",
        expected="none",
        remedy="check that this account can read the lake",
        limit_s=limits.answer_s,
        look=look,
    )


def _cursors(config: CloudConfig, limits: HealthConfig) -> Check:
    expected = {RAW_CURSOR}
    if config.search is not None:
        expected.add(SearchProjection.name)
    if config.warehouse is not None:
        expected |= {LedgerProjection.name, QuarantineProjection.name}
    of = CursorLimits(
        follow_s=limits.cursor_s, batch_s=limits.batch_s, expected=frozenset(expected)
    )

    def look() -> Iterator[Finding]:
        store, raw = open_store(config), open_raw(config)
        yield from look_at_cursors(store, raw, SystemClock().utc_ms(), of)

    return Check(
        name="cursors",
        expected="can be read",
        remedy="check that this account can read the lake; `lake verify` reads all of it",
        limit_s=limits.read_s,
        look=look,
    )


def _search(config: CloudConfig, limits: HealthConfig) -> Check:
    def look() -> Iterator[Finding]:
        client = open_search(config, answer_s=limits.answer_s)
        yield from look_at_search(client, index_names(config))

    return Check(
        name="search",
        expected="green",
        remedy="check that Elasticsearch runs, and address, account and ca_file of [search]",
        limit_s=limits.answer_s,
        look=look,
    )


def _through_logstash(config: CloudConfig) -> bool:
    return config.search is not None and config.search.writer is Writer.LOGSTASH


def _logstash(config: CloudConfig, limits: HealthConfig) -> Iterator[Check]:
    section = need(config.search, "search", config)
    if _through_logstash(config) and section.logstash_api_url is not None:
        yield Check(
            name="logstash",
            expected="3 pipelines run",
            remedy="check that Logstash runs, and [search] logstash_api_url",
            limit_s=limits.answer_s,
            look=lambda: look_at_pipelines(open_node_api(config, answer_s=limits.answer_s)),
        )
    if _through_logstash(config) and config.lake is not None:
        yield _delivery(config, limits)


def _delivery(config: CloudConfig, limits: HealthConfig) -> Check:
    def look() -> Iterator[Finding]:
        client = open_search(config, answer_s=limits.answer_s)
        now_ms = SystemClock().utc_ms()
        names = index_names(config)
        yield from look_at_delivery(open_store(config), client, names, now_ms, limits.cursor_s)

    return Check(
        name="delivery",
        expected="the newest readings are in Elasticsearch",
        remedy="see checks lake and search",
        limit_s=limits.answer_s,
        look=look,
    )


def _warehouse(config: CloudConfig, limits: HealthConfig) -> Check:
    def look() -> Iterator[Finding]:
        engine = open_warehouse(config, current=False, answer_s=limits.answer_s)
        yield from look_at_warehouse(engine)

    return Check(
        name="warehouse",
        expected="reached, with this program's schema",
        remedy="check that MySQL runs, address and account of [warehouse], and the schema",
        limit_s=limits.answer_s,
        look=look,
    )


def _ledger(config: CloudConfig, limits: HealthConfig) -> Check:
    def look() -> Iterator[Finding]:
        engine = open_warehouse(config, current=False, answer_s=limits.read_s)
        since = SystemClock().utc_ms() - round(limits.ledger_s * 1000)
        yield from look_at_ledger(engine, max(0, since))
        yield from look_at_set_aside(engine, max(0, since))
        yield from look_at_unreadable(engine, max(0, since))

    return Check(
        name="ledger",
        expected="can be read",
        remedy="see check warehouse; for a large ledger raise [health] read_s",
        limit_s=limits.read_s,
        look=look,
    )
