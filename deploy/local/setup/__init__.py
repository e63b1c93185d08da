"""Makes a machine ready. Standard library only: it runs before the environment exists."""
