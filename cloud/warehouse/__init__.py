"""The warehouse: MySQL tables, their migrations, and the loader."""
