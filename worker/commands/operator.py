"""Who types a command."""

import getpass
import os


def operator() -> str:
    """The user's name; in a container there may be none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
