"""Forecasts conditions with models, and raises forecast alerts."""
