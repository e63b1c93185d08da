"""How fast live scoring goes unless a command says otherwise; known without Spark, for the help."""

__all__ = ["FILES_PER_BATCH", "TRIGGER_S"]

TRIGGER_S = 1.0  # between begins of batches
FILES_PER_BATCH = 200  # most landing files in one batch
