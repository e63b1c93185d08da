"""Sensors read when they are due, their times, and the conditions judged on each reading."""
