"""Defines the data that gateway and cloud exchange. Uses the standard library only."""
