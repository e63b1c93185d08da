"""Projections: each reads the lake from its cursor and writes keyed rows; twice is as once."""
