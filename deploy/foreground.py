"""Run a command as the terminal's foreground job, so that `make` around it can end with its status.

    python deploy/foreground.py COMMAND [ARGUMENT...]

Ctrl-C reaches every process of the terminal's foreground group. Were `make` among them it would report an
interrupt (status 130) although the command stopped in good order; so the command gets a group of its own and,
for as long as it runs, the terminal. Without a terminal the command simply takes this process's place.
"""

import os
import signal
import subprocess
import sys


def owns_terminal() -> bool:
    """Whether standard input is a terminal and this process's group is its foreground group."""
    try:
        return 0 < os.tcgetpgrp(0) == os.getpgrp()  # 0: the group lives outside this process namespace
    except OSError:
        return False


def run(command: list[str]) -> int:
    """Run the command with the terminal in its hands, pass signals on, and return its shell-style status."""
    signal.signal(
        signal.SIGTTOU, signal.SIG_IGN
    )  # else giving the terminal away, or taking it back, would stop us
    blocked = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, blocked)  # until there is a child to pass them to
    try:
        child = subprocess.Popen(command, preexec_fn=lambda: enter_foreground(blocked))
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    for number in blocked:
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
    status = child.wait()
    os.tcsetpgrp(0, os.getpgrp())
    return status if status >= 0 else 128 - status


def enter_foreground(blocked: set[signal.Signals]) -> None:
    """In the child, before the command: a group of its own, the terminal for it, and signals as they were."""
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # Ctrl-Z would stop it where no shell could continue it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)


def main() -> int:
    """Run the command given as arguments."""
    command = sys.argv[1:]
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    if owns_terminal():
        return run(command)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main())
