"""Serves bundles and the health of gateways over HTTP."""
