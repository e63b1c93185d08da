"""Checks the health of the cloud (for `doctor`) and of its gateways (for the API)."""
