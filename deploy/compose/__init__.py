"""Runs in the containers of the stack; `compose.yml` in this folder defines the stack."""
