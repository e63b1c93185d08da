"""Real servers as private child processes, and the demo that runs on them."""
