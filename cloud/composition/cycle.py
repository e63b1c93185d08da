"""Builds the cycle: the lake's history, the learners, the registry, the signing key.

This module imports Spark. The verb imports it only when it runs, so that --help needs no Spark.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from pyspark.sql import SparkSession

from cloud.composition.registry import open_registry, open_signer
from cloud.composition.servers import open_warehouse
from cloud.composition.transform import open_transform, tables_of
from cloud.config import CloudConfig, fleet_conditions
from cloud.cycle import Cycle
from cloud.training.boosting import BlendLearner, BlendModel
from cloud.training.decisions import Decisions
from cloud.training.export import mllib_to_onnx, sklearn_to_onnx
from cloud.training.export_blend import blend_to_onnx
from cloud.training.lake_history import LakeHistory
from cloud.training.learners import BaselineLearner, SklearnLearner, SklearnModel
from cloud.training.mllib import MllibLearner, MllibModel
from cloud.training.release import Publisher
from cloud.training.train import Trainer
from cloud.training.walk import Trained
from models.advice import advice

__all__ = ["exporter", "open_cycle"]


def exporter(spark: SparkSession) -> Callable[[Trained], bytes]:
    """Returns a function that exports a model of any family to ONNX."""

    def export(trained: Trained) -> bytes:
        if isinstance(trained, MllibModel):
            return mllib_to_onnx(trained.beyond, trained.model, spark)
        if isinstance(trained, BlendModel):
            return blend_to_onnx(trained)
        if isinstance(trained, SklearnModel):
            return sklearn_to_onnx(trained.pipeline, trained.slope, trained.offset)
        raise TypeError(f"no exporter for {type(trained).__name__}")

    return export


def open_cycle(config: CloudConfig, spark: SparkSession, told: Callable[[str], None]) -> Cycle:
    """Builds the cycle on the caller's Spark session, for one or many runs.

    Raises:
        ConfigError: A section, the conditions or the key are missing.
        SchemaOutdated: The warehouse has another schema version.
        WarehouseError: MySQL did not answer.
    """
    conditions = fleet_conditions(config)
    for remark in advice(conditions, {}):
        told(remark)
    engine, registry, signer = open_warehouse(config), open_registry(config), open_signer(config)
    publisher = Publisher(registry, signer, exporter(spark))
    learners = (BaselineLearner(), (BlendLearner(), SklearnLearner(), MllibLearner(spark)))
    trainer = Trainer(registry, Decisions(engine), publisher, learners, signer.trusted(), told)
    source = LakeHistory(
        spark=spark,
        tables=tables_of(config),
        conditions=conditions,
        refreshed=partial(_until_empty, config, spark),
    )
    return Cycle(
        engine=engine,
        registry=registry,
        source=source,
        trainer=trainer,
        conditions=conditions,
        signer=signer,
        code_version=version("dewline"),
        told=told,
    )


def _until_empty(config: CloudConfig, spark: SparkSession) -> None:
    transform = open_transform(config, spark)
    while transform.run() is not None:
        pass
