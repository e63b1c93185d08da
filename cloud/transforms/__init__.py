"""Transforms: DataFrame to DataFrame, no path, no clock, the same for batch and stream."""
