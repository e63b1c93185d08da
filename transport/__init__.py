"""Connects gateway and cloud: TLS, reason codes of MQTT 5, waits before a retry, certificates."""
