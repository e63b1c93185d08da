"""Summarizes readings and conditions by minute, hour and day for the warehouse.

`series` and `conditions` are pure. `compute` runs them in Spark's workers for the days in
`days`, `store` moves the result into MySQL, and `run` does both after each transform.
"""
