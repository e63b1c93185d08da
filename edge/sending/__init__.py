"""Blocks from the outbox to the broker, and their acks back."""
