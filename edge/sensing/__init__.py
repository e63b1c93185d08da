"""Reads sensors when they are due, gives readings their times, and evaluates conditions."""
