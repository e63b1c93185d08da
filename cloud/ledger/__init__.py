"""Accounts for every record number from facts about blocks: stored, lost, held or unexplained."""
