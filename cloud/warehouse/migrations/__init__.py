"""Contains the revisions of the warehouse's schema; only `cloud.warehouse.migrate` runs them."""

__all__ = ["HEAD"]

HEAD = "0007"  # the newest revision under versions/; a test compares it with Alembic's
