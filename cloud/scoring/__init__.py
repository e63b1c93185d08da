"""Live scoring: what has landed, through the champions in force, into forecasts of the cloud."""
