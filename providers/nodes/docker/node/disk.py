"""Disks of a size: a file, a file system in it, and a device for it under a name that stays the same after a restart of the machine."""

import json
import os
import subprocess
import sys


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{argv[0]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def device_of(path: str) -> str | None:
    return run("losetup", "-n", "-O", "NAME", "-j", path).split("\n")[0] or None


def attach(path: str, link: str, size: int) -> None:
    if not os.path.exists(path):
        draft = f"{path}.new"
        with open(draft, "wb") as file:
            file.truncate(size)
        run("mkfs.xfs", "-q", "-f", draft)
        os.rename(draft, path)
    device = device_of(path) or run("losetup", "-f", "--show", path)
    if os.path.lexists(f"{link}.new"):
        os.unlink(f"{link}.new")
    os.symlink(device, f"{link}.new")
    os.replace(f"{link}.new", link)


def detach(path: str, link: str) -> None:
    device = device_of(path) if os.path.exists(path) else None
    if device:
        run("losetup", "-d", device)
    if os.path.lexists(link):
        os.unlink(link)


order = json.loads(sys.argv[1])
for disk in order["disks"]:
    if order["verb"] == "attach":
        attach(disk["path"], disk["link"], disk["bytes"])
    else:
        detach(disk["path"], disk["link"])
