"""Outputs: what shows an alert at the machine itself, without any network."""
