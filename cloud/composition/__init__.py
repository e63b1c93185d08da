"""Builds the cloud's parts from the configuration, for the commands."""
