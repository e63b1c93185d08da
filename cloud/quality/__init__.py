"""Finds readings that are not fit to learn from or to judge by, with a reason; drops none."""
