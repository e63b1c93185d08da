"""Reads sensors and switches pins behind small protocols; the only package that uses hardware."""
