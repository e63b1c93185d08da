"""Forecasts against what happened: truth, outcomes, skill in service, and when to train anew."""
