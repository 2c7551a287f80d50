"""The work, one task a file."""
