"""Builds the transform: its tables in the lake, its cursors, its ways into the warehouse.

This module imports Spark. The verbs import it only when they run, so that --help needs no Spark.
"""

from pyspark.sql import SparkSession

from cloud.aggregates.dimensions import Declared
from cloud.aggregates.run import Summaries
from cloud.composition.lake import open_store
from cloud.composition.servers import open_warehouse
from cloud.config import CloudConfig, SparkConfig, fleet_conditions, need
from cloud.lake.cursors import RAW_CURSOR, TRANSFORM_CURSOR, CursorStore
from cloud.transforms.delta import Tables
from cloud.transforms.run import Transform
from cloud.warehouse.jdbc import JdbcWriter
from cloud.warehouse.jdbc_tls import JdbcTls
from cloud.warehouse.loader import StagingLoader
from cloud.warehouse.retention import Kept

__all__ = ["open_transform", "tables_of"]


def tables_of(config: CloudConfig) -> Tables:
    """Returns the derived tables of section `[lake]`.

    Raises:
        ConfigError: The section is missing.
    """
    lake = need(config.lake, "lake", config)
    return Tables(root=str(lake.folder.absolute()), period=lake.period)


def open_transform(config: CloudConfig, spark: SparkSession) -> Transform:
    """Builds the transform on the caller's Spark session, for one or many runs.

    Raises:
        ConfigError: A section is missing, or `[warehouse] ca_file` cannot be used.
        SchemaOutdated: The warehouse has another schema version.
        WarehouseError: MySQL did not answer.
    """
    store, engine = open_store(config), open_warehouse(config)
    tls = _tls(config)
    return Transform(
        spark,
        tables_of(config),
        folded=CursorStore(store, RAW_CURSOR),
        cursor=CursorStore(store, TRANSFORM_CURSOR),
        loader=StagingLoader(engine, tls),
        summarizer=Summaries(
            spark=spark,
            tables=tables_of(config),
            engine=engine,
            writer=JdbcWriter(engine, tls),
            declared=Declared(
                sites=config.site,
                conditions=None if config.fleet is None else fleet_conditions(config),
            ),
            kept=_kept(config),
        ),
    )


def _kept(config: CloudConfig) -> Kept:
    section = need(config.warehouse, "warehouse", config)
    return Kept(readings_days=section.readings_days, minutes_days=section.minutes_days)


def _tls(config: CloudConfig) -> JdbcTls:
    ca_file = need(config.warehouse, "warehouse", config).ca_file
    return JdbcTls(ca_file, local=(config.spark or SparkConfig()).local)
