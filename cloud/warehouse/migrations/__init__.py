"""The warehouse's schema, step by step; only `cloud.warehouse.migrate` runs it."""

__all__ = ["HEAD"]

HEAD = "0003"  # the newest revision under versions/; a test holds it against Alembic's own view
