"""The gateway: measure, judge, keep, send. Never imports the cloud."""
