"""The cloud: lake first, everything else a projection of it. Never imports the edge."""
