"""Run a command that cannot outlive the process that started it: `python tether.py PARENT_PID COMMAND...`.

The kernel is asked to kill this process when its parent is gone, and the request survives the exec. A wrapper, and
not Popen's `preexec_fn`, which may deadlock when the parent has threads. Only Linux has the request; elsewhere a
parent killed with -9 leaves its children. The kernel watches the *thread* that forked, so start children in a thread
that lives as long as they shall: the main one.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def main(parent_pid: str, *command: str) -> None:
    """Become `command`; exits with 1 when the parent was gone before the kernel could be asked."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent_pid):
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606  no shell is the point: the arguments come from local/


if __name__ == "__main__":
    main(*sys.argv[1:])
