"""Kills the first process of a service, without a word, and waits until it is gone."""

import json
import os
import signal
import sys
import time


def first_of(pidfile: str | None, name: str) -> int | None:
    if pidfile:
        try:
            with open(pidfile, encoding="utf-8") as file:
                return int(file.readline())
        except (OSError, ValueError):
            return None
    for entry in sorted((int(one) for one in os.listdir("/proc") if one.isdigit())):
        try:
            with open(f"/proc/{entry}/comm", encoding="utf-8") as file:
                if file.read().strip() == name:
                    return entry
        except OSError:
            pass
    return None


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


ask = json.load(sys.stdin)
pid = first_of(ask["pidfile"], ask["name"])
if pid is not None and is_alive(pid):
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    if is_alive(pid):
        sys.exit(f"process {pid} did not die: it waits for its disk")
print("{}")
