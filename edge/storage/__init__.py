"""Makes records durable: the open block, the journal, the outbox."""
