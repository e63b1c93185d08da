"""Measures dewline on this machine; run by `make bench-gateway` and the other `bench-` targets."""
