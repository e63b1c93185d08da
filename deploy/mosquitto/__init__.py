"""Contains the templates of the broker's configuration, for Ansible and for local brokers."""
