"""Scores new readings live: the champions in force make the cloud's forecasts."""
