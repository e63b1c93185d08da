"""How the cloud and its gateways fare: checks for a person, verdicts for a rollout."""
