"""Sets up a machine. Standard library only: it runs before the environment exists."""
