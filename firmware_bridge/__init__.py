"""Hardware behind small protocols: the only room that touches a bus or a pin."""
