"""Jobs: what reads tables, applies transforms and writes tables."""
