"""Contains one module for each revision; the SQL of a released revision never changes."""
