"""The lake: landing files as ingest writes them, and the Delta table `raw` with all of them.

The fold appends landing files to table `raw` and deletes them from the landing.
"""
