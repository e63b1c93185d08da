"""Sends the search projection's documents through Logstash; contains Logstash's pipelines."""
