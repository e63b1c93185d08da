"""Logstash between the search projection and Elasticsearch: its pipelines, and what posts to it."""
