"""The first process of a stopped node's helper: it waits for the end of its input, then for that of what still runs beside it."""

import os
import sys
import time

# Between two looks of whoever works here nothing runs for a moment.
IDLE_S = 5


def others() -> bool:
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                state = file.read().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if state != "Z":
            return True
    return False


while sys.stdin.buffer.read(1 << 16):
    pass
idle = 0
while idle < IDLE_S:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    idle = 0 if others() else idle + 1
    time.sleep(1)
