"""Defines the defaults of live scoring's batches, for the commands' help.

They are kept apart from the code that imports Spark, so that `--help` starts fast.
"""

__all__ = ["FILES_PER_BATCH", "TRIGGER_S"]

TRIGGER_S = 1.0  # time between begins of batches
FILES_PER_BATCH = 200  # most landing files in one batch
