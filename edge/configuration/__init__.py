"""Reads, types and describes the configuration file."""
