"""Shows alerts at the machine itself, without any network."""
