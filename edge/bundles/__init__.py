"""Bundles of models: fetched, verified, tried out, kept and put to use."""
