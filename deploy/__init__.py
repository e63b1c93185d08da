"""How dewline is put somewhere: servers for one machine, the demo. Nobody imports it."""
