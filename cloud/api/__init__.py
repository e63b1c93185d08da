"""The cloud's HTTP interface: bundles for gateways, nothing else yet."""
