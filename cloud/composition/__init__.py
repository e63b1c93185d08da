"""Opens and joins what a configuration names: each part of the cloud, for a verb to work on."""
