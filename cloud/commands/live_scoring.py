"""Opens live scoring as the configuration names it.

Apart from `cloud.commands.scoring`, so that the help works where Spark is not installed.
"""

import logging
import random
import time

from pyspark.sql import SparkSession

from cloud.clock import SystemClock
from cloud.commands.models import open_registry, open_signer
from cloud.commands.opening import open_search, open_store, open_warehouse
from cloud.commands.transforming import tables_of
from cloud.config import CloudConfig, SparkConfig, fleet_conditions, need
from cloud.jobs.transform import PROJECTION as DERIVE
from cloud.lake.cursors import CursorStore
from cloud.projections.quarantine import Quarantine
from cloud.scoring.batch import BatchResult, BatchScorer
from cloud.scoring.champions import Champions
from cloud.scoring.documents import install_template
from cloud.scoring.history import History
from cloud.scoring.sink import ForecastSink
from cloud.scoring.stream import PROJECTION, Scoring, StreamSettings
from cloud.search.bulk import BulkLimits, BulkWriter
from cloud.search.names import IndexNames

__all__ = ["FILES_PER_BATCH", "TRIGGER_S", "open_scoring"]

TRIGGER_S = 1.0
FILES_PER_BATCH = 200

_log = logging.getLogger(__name__)


def open_scoring(
    config: CloudConfig,
    spark: SparkSession,
    *,
    trigger_s: float = TRIGGER_S,
    files_per_batch: int = FILES_PER_BATCH,
) -> Scoring:
    """Scoring on a session that the caller started and stops; nothing runs yet.

    Args:
        config: Sections `[lake]`, `[warehouse]`, `[search]`, `[registry]` and `[fleet]`.
        spark: The session; a transform may run on it too.
        trigger_s: Time between begins of batches, s.
        files_per_batch: Most landing files in one batch.

    Raises:
        ConfigError: A section is missing, or a key cannot be read.
        SchemaOutdated: The warehouse has another schema.
        WarehouseError: MySQL did not answer.
        ProjectionError: Elasticsearch did not answer.
    """
    store, tables = open_store(config), tables_of(config)
    tasks = (config.spark or SparkConfig()).shuffle_partitions
    settings = StreamSettings(
        root=tables.root, trigger_s=trigger_s, files_per_batch=files_per_batch, tasks=tasks
    )
    scorer = BatchScorer(
        History(spark, tables, tasks),
        _champions(config),
        _sink(config),
        derived=CursorStore(store, DERIVE),
        cursor=CursorStore(store, PROJECTION),
    )
    return Scoring(spark, settings, scorer, CursorStore(store, PROJECTION), _say)


def _champions(config: CloudConfig) -> Champions:
    trusted = open_signer(config).trusted()
    return Champions(open_registry(config), fleet_conditions(config), trusted)


def _sink(config: CloudConfig) -> ForecastSink:
    engine = open_warehouse(config)
    search = need(config.search, "search", config)
    names = IndexNames(search.prefix, need(config.lake, "lake", config).period)
    client = open_search(config)
    install_template(client, names)
    refused, source = Quarantine(engine, SystemClock()), random.Random()  # noqa: S311  # spreads load, guards nothing
    return ForecastSink(
        engine, BulkWriter(client, refused, BulkLimits(), time.sleep, source), names
    )


def _say(batch: BatchResult) -> None:
    _log.info(
        "scoring: %d readings (%d undated), %d forecasts (%d removed) in %.1f s: %s",
        *(batch.readings_total, batch.undated_total),
        *(batch.forecasts_total, batch.removed_total, sum(batch.seconds.values())),
        ", ".join(f"{step} {spent_s:.2f}" for step, spent_s in batch.seconds.items()),
    )
