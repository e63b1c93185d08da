"""The candidate of Spark's MLlib: logistic regression on what the other candidate learns from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812  # as all of Spark's world calls it

from cloud.errors import LakeError
from cloud.spark import converted
from cloud.training.history import History, list_column
from cloud.training.learners import REGULARISATION, Beyond, sigmoid

__all__ = ["MLLIB", "MllibLearner", "MllibModel"]

Floats = NDArray[np.float64]

MLLIB = "mllib"
# Each is a job of Spark. On a real year the optimum differs by 0.04 at most and 0.002 on average.
_ITERATIONS = 20


@dataclass(frozen=True, slots=True)
class MllibModel:
    """A fitted model of Spark.

    Attributes:
        beyond: What makes its columns.
        model: Spark's own `LogisticRegressionModel`.
    """

    beyond: Beyond
    model: Any

    def probability(self, values: Floats) -> Floats:
        """Probability of onset for each row of features."""
        weights = np.asarray(self.model.coefficients.toArray())
        return sigmoid(self.beyond.transform(values) @ weights + float(self.model.intercept))


class MllibLearner:
    """Trains in Spark.

    Args:
        spark: A session that lives as long as this.
    """

    family = MLLIB

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def fit(self, examples: History) -> MllibModel:
        """A model of these examples.

        Raises:
            LakeError: Spark failed.
        """
        beyond = Beyond().fit(examples.features, examples.labels)
        seen = beyond.transform(examples.features)
        learner = LogisticRegression(
            featuresCol="seen",
            labelCol="onset",
            maxIter=_ITERATIONS,
            standardization=False,  # it is done, and the logit's weight is meant
            regParam=1 / (REGULARISATION * len(examples)),  # scikit-learn sums, Spark takes means
        )
        with converted(LakeError, "MLlib cannot train"):
            rows = self._spark.createDataFrame(
                pa.table({"onset": examples.labels, "columns": list_column(seen)})
            )
            vector = array_to_vector(F.col("columns")).alias("seen")
            frame = rows.select("onset", vector).coalesce(1).localCheckpoint()
            model = learner.fit(frame)
        return MllibModel(beyond, model)
