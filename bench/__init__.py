"""Measurements of dewline on this machine; run by `make bench-gateway` and `make bench-ingest`."""
