"""Builds live scoring: the stream of landed files, the champions, the stores of forecasts.

This module imports Spark. The verbs import it only when they run, so that --help needs no Spark.
"""

import logging

from pyspark.sql import SparkSession

from cloud.clock import SystemClock
from cloud.composition.lake import open_store
from cloud.composition.registry import open_registry, open_signer
from cloud.composition.search import open_bulk_writer
from cloud.composition.servers import (
    index_names,
    open_search,
    open_warehouse,
    search_retention,
)
from cloud.composition.transform import tables_of
from cloud.config import CloudConfig, SparkConfig, fleet_conditions
from cloud.lake.cursors import SCORING_CURSOR, TRANSFORM_CURSOR, CursorStore
from cloud.projections.quarantine import Quarantine
from cloud.scoring.batch import BatchResult, BatchScorer
from cloud.scoring.batch_defaults import FILES_PER_BATCH, TRIGGER_S
from cloud.scoring.champions import Champions
from cloud.scoring.documents import install_template
from cloud.scoring.history import ReadingSource
from cloud.scoring.sink import ForecastSink
from cloud.scoring.stream import Scoring, StreamSettings

__all__ = ["open_scoring"]

_log = logging.getLogger(__name__)


def open_scoring(
    config: CloudConfig,
    spark: SparkSession,
    *,
    trigger_s: float = TRIGGER_S,
    files_per_batch: int = FILES_PER_BATCH,
) -> Scoring:
    """Builds scoring on the caller's Spark session, without starting it.

    Args:
        config: Sections `[lake]`, `[warehouse]`, `[search]`, `[registry]` and `[fleet]`.
        spark: The session; a transform may run on it too.
        trigger_s: Time between the starts of two batches, seconds.
        files_per_batch: Maximum of landing files in one batch.

    Raises:
        ConfigError: A section is missing, or a key cannot be read.
        SchemaOutdated: The warehouse has another schema version.
        WarehouseError: MySQL did not answer.
        ProjectionError: Elasticsearch did not answer.
    """
    store, tables = open_store(config), tables_of(config)
    tasks = (config.spark or SparkConfig()).shuffle_partitions
    settings = StreamSettings(
        root=tables.root, trigger_s=trigger_s, files_per_batch=files_per_batch, tasks=tasks
    )
    scorer = BatchScorer(
        ReadingSource(spark, tables, tasks),
        _champions(config),
        _sink(config),
        transformed=CursorStore(store, TRANSFORM_CURSOR),
        cursor=CursorStore(store, SCORING_CURSOR),
    )
    return Scoring(spark, settings, scorer, CursorStore(store, SCORING_CURSOR), _say)


def _champions(config: CloudConfig) -> Champions:
    trusted = open_signer(config).trusted()
    return Champions(open_registry(config), fleet_conditions(config), trusted)


def _sink(config: CloudConfig) -> ForecastSink:
    engine, names, client = open_warehouse(config), index_names(config), open_search(config)
    install_template(client, names)
    writer = open_bulk_writer(client, Quarantine(engine, SystemClock()))
    return ForecastSink(engine, writer, client, names, search_retention(config))


def _say(batch: BatchResult) -> None:
    _log.info(
        "scoring: %d readings (%d undated), %d forecasts (%d removed) in %.1f s: %s",
        *(batch.readings_total, batch.undated_total),
        *(batch.forecasts_total, batch.removed_total, sum(batch.seconds.values())),
        ", ".join(f"{step} {spent_s:.2f}" for step, spent_s in batch.seconds.items()),
    )
