"""The lake: landing files as they came, and the Delta table `raw` they are folded into."""
