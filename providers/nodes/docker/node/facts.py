"""What a node is like, as seen from inside it: its disks, its clock, its system, and the control file of its server."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time


def text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def disk(of: str, path: str) -> dict:
    at = path
    while not os.path.exists(at):
        at = os.path.dirname(at)
    found = os.statvfs(at)
    return {"of": of, "path": path, "totalBytes": found.f_blocks * found.f_frsize, "freeBytes": found.f_bavail * found.f_frsize}


def control(data: str) -> str | None:
    try:
        with open(f"{data}/global/pg_control", "rb") as file:
            return base64.b64encode(file.read(512)).decode()
    except OSError:
        return None


def postgres(data: str) -> dict:
    path = shutil.which("postgres")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout if path else ""
    return {"bin": os.path.dirname(path) if path else "", "said": said, "control": control(data)}


ask = json.load(sys.stdin)
now = time.time()
system = os.uname()
names = dict(line.split("=", 1) for line in text_of("/etc/os-release").splitlines() if "=" in line)
data = ask["data"]
disks = [disk("system", "/")]
if ask["volume"]:
    disks.insert(0, disk("data", data or ask["home"]))
if data:
    disks.insert(1, disk("wal", os.path.realpath(f"{data}/pg_wal") if os.path.exists(f"{data}/pg_wal") else data))
if ask["backups"]:
    disks.insert(2, disk("backup", ask["backups"]))
print(
    json.dumps(
        {
            "now": now,
            "disks": disks,
            "os": {"name": names.get("PRETTY_NAME", system.sysname).strip('"'), "kernel": system.release, "arch": system.machine},
            "boot": text_of("/proc/sys/kernel/random/boot_id").strip(),
            "postgres": postgres(data) if data else None,
        }
    )
)
