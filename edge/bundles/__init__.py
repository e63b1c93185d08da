"""Fetches, verifies, tries, stores and activates bundles (signed files with one model each)."""
