"""Commands of `dewline-cloud`: each module parses its arguments and calls the code for them."""
