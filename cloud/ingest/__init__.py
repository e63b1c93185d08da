"""Ingest: writes MQTT messages to a committed landing file, then sends the acks."""
