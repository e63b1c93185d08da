"""The configuration file: read, typed and described."""
