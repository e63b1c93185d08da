"""The transform: what has landed becomes rows of the warehouse and of the lake's tables.

`run`, `batch`, `dating`, `delta` and `load` read and write. Every other module turns a DataFrame
into a DataFrame, without a path or a clock, the same for batch and stream.
"""
