"""Makes the generated tables of the docs from the program; one module for each page."""
