"""The broker's configuration: templates that Ansible and this machine's own broker share."""
