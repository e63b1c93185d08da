"""Makes archives of wheels and Debian packages, to install hosts without a package registry."""
