"""The verbs of `dewline-cloud`: each module translates arguments and composes, nothing more."""
