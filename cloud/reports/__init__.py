"""The report: what rooms did, what was forecast, what came true; one HTML file from MySQL."""
