"""Sends blocks from the outbox to the broker, and receives their acks."""
