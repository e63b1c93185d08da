"""Defines the warehouse's MySQL tables, their migrations and the loader."""
