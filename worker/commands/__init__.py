"""The commands of `python -m worker`, one subject a file."""
