"""Runs one program for somebody at the other end of a line, and ends it with all that it started when that line is closed.

Input comes in parts: a length of four bytes, and so many bytes. The first part says what to run, so that one whose asker is gone by then
never starts; the others are the program's input, which a length of 0 ends. The first line on stderr says whether it was started. The
status is that of the program; 128 and a number is a signal.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time

GRACE = 2
WORD_MS = 30_000
nonce = sys.argv[1]


def tell(word: str) -> None:
    os.write(2, f"\x01{nonce} {word}\n".encode())


def session_of(pid: int) -> list[int]:
    """The processes of a session; who made itself another one is not among them."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == pid and fields[0] != "Z":
            found.append(int(name))
    return found


def send(number: int, pid: int) -> None:
    for one in session_of(pid):
        try:
            os.kill(one, number)
        except OSError:
            pass


def end(pid: int) -> None:
    send(signal.SIGTERM, pid)
    send(signal.SIGCONT, pid)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        child.poll()
        if not session_of(pid):
            os._exit(143)
        time.sleep(0.01)
    while session_of(pid):
        send(signal.SIGKILL, pid)
        child.poll()
        time.sleep(0.01)
    os._exit(137)


poll = select.poll()
poll.register(0, select.POLLIN)


def exactly(length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = os.read(0, length - len(data)) if poll.poll(WORD_MS) else b""
        if not part:
            os._exit(125)
        data += part
    return data


order = json.loads(exactly(int.from_bytes(exactly(4), "big")))
argv, cwd = order["argv"], order["cwd"]
try:
    os.chdir(cwd)
except OSError as error:
    tell(f"cwd {error.strerror}")
    os._exit(125)
if shutil.which(argv[0]) is None:
    tell(f"program {'it may not be executed' if os.path.isfile(argv[0]) else 'there is no such program'}")
    os._exit(125)
# Before anything that the program says itself.
tell("ok")
try:
    child = subprocess.Popen(
        argv,
        bufsize=0,
        start_new_session=True,
        stdin=subprocess.PIPE if order["input"] else subprocess.DEVNULL,
    )
except OSError as error:
    os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
    os._exit(126)

ended = os.pidfd_open(child.pid)
target = child.stdin.fileno() if child.stdin else None
if target is not None:
    os.set_blocking(target, False)
head, left, waiting = b"", 0, b""
poll.register(ended, select.POLLIN)
while True:
    # The closing of the line is told also while nothing is read from it.
    poll.register(0, 0 if waiting else select.POLLIN)
    if target is not None and waiting:
        poll.register(target, select.POLLOUT)
    events = dict(poll.poll())
    if ended in events:
        code = child.wait()
        os._exit(code if code >= 0 else 128 - code)
    if target is not None and target in events:
        try:
            waiting = waiting[os.write(target, waiting) :]
        except BlockingIOError:
            pass
        except OSError:
            # It does not read any more: the rest is dropped.
            waiting, target = b"", None
        if not waiting and child.stdin:
            poll.unregister(child.stdin.fileno())
            if target is None:
                child.stdin.close()
                child.stdin = None
    seen = events.get(0, 0)
    if seen & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
        end(child.pid)
    if not seen & select.POLLIN or waiting:
        continue
    if left == 0:
        part = os.read(0, 4 - len(head))
        head += part
        if not part:
            end(child.pid)
        if len(head) < 4:
            continue
        left, head = int.from_bytes(head, "big"), b""
        if left == 0 and target is not None:
            child.stdin.close()
            child.stdin, target = None, None
        continue
    part = os.read(0, min(left, 1 << 16))
    if not part:
        end(child.pid)
    left -= len(part)
    if target is not None:
        waiting = part
