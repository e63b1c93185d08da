"""Starts real servers as private child processes, and runs the demo on them."""
