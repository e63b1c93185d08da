"""Brings history into the lake: files of other systems become blocks of the contract."""
