"""What Elasticsearch must know: index templates made from the columns."""
