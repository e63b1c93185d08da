"""Defines conditions, features and model bundles, shared by gateway and cloud."""
