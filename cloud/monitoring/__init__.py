"""Compares forecasts with truth: outcomes, skill in service, and reasons to train again."""
