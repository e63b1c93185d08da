"""What is measured made durable: the open block, the journal, the outbox."""
