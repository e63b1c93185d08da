"""What a condition and a model are, the same for gateway and cloud."""
