"""Kibana's data views and dashboards, built from code."""
