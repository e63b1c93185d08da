"""Alert outputs: what a person at the machine notices, without any network."""
