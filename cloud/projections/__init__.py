"""Projections: each reads the lake from its cursor and writes keyed rows, so repeats are safe."""
