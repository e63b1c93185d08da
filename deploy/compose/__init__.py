"""The whole stack for an engine of containers; here stands only what its containers run."""
