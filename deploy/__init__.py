"""Deploys dewline: local servers, demo, Ansible, compose, packages. No other package imports it."""
