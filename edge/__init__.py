"""The gateway: measures, evaluates conditions, stores and sends. Never imports `cloud`."""
