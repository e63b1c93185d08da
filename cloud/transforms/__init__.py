"""The transform: converts the lake's raw blocks to rows of the warehouse and of Delta tables.

`run`, `batch`, `dating`, `delta` and `load` read and write. All other modules convert a DataFrame
to a DataFrame, without paths or clocks; batches and streams use them alike.
"""
