"""Builds data views and dashboards for Kibana, and imports them."""
