"""The cloud's HTTP interface: bundles for gateways, and how gateways fare."""
