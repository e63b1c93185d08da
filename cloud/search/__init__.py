"""Writes to Elasticsearch and queries it: index templates, documents, bulk calls, comparison."""
