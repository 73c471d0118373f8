"""Fills a disk by a file, up to what is to be left free of it, and tries whether more than that finds room."""

import json
import os
import sys

ask = json.load(sys.stdin)
path, leave = ask["path"], ask["leave"]
folder = os.path.dirname(path)


def free() -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


# Of the last few pages a file system keeps some for itself, and never gives them to a file.
SLACK = 256 * 1024


def room(size: int) -> bool:
    probe = f"{path}.probe"
    try:
        with open(probe, "wb") as file:
            # What takes the fault back knows nothing of it: it goes with this process, however that ends.
            os.unlink(probe)
            os.posix_fallocate(file.fileno(), 0, size)
        return True
    except OSError:
        return False


before = free()
with open(path, "ab") as file:

    def extend(by: int) -> bool:
        try:
            os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, by)
            return True
        except OSError:
            return False

    # What a file system keeps for itself, or for files that grow, it gives away only by and by.
    for _ in range(200):
        over = free() - leave
        if over > 0 and (extend(over) or extend(max(over // 2, 4096))):
            continue
        if not room(leave + SLACK) or not (extend(SLACK) or extend(4096)):
            break
    os.fsync(file.fileno())
print(json.dumps({"before": before, "free": free(), "tried": leave + SLACK, "room": room(leave + SLACK)}))
