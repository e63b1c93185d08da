"""The report: one HTML file about conditions, forecasts and models, made from the warehouse."""
