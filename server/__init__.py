"""The running hub."""
