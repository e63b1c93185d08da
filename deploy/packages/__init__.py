"""What hosts without a package registry are installed from: archives of wheels and Debian files."""
