"""Who types a command, for the records of what people do."""

import getpass
import os


def operator() -> str:
    """The user's name; in a container a user may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
