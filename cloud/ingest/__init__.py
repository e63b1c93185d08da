"""Ingest: MQTT to one committed landing file, then the ack."""
