"""Puts files in their places, those that are other than what is there, once the tools have found all of them right.

Reads a list of {path, content, check, was} as JSON, where `check` is the command of a tool, or null, and `was`, where it is there, what the file must still hold ("" where
there must be none); such a file goes where its content is "". Prints {"put": [path]}, or {"refused": {"check", "said"}} when a tool refuses, or {"other": [path]} where somebody else has changed one meanwhile; nothing is
put then. Of several that put files of one folder at a time each waits for the one before it.
"""

import fcntl
import json
import os
import subprocess
import sys


def is_there(path: str, content: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read() == content
    except FileNotFoundError:
        return False


def write(draft: str, content: bytes) -> None:
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def refused(checks: dict) -> dict | None:
    for check, drafts in checks.items():
        done = subprocess.run([*check, *drafts], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            return {"check": " ".join(check), "said": (done.stderr or done.stdout).strip()}
    return None


def is_other(path: str, was: str) -> bool:
    return not is_there(path, was.encode()) and (was != "" or os.path.exists(path))


wanted = json.load(sys.stdin)
for folder in sorted({os.path.dirname(one["path"]) for one in wanted}):
    os.makedirs(folder, mode=0o700, exist_ok=True)
    # Held until this program ends.
    fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
other = [one["path"] for one in wanted if one.get("was") is not None and is_other(one["path"], one["was"])]
if other:
    print(json.dumps({"other": other}))
    sys.exit()
gone = [one["path"] for one in wanted if one.get("was") and one["content"] == ""]
for path in gone:
    os.remove(path)
others = [(one, one["content"].encode()) for one in wanted if one["path"] not in gone]
others = [(one, content) for one, content in others if not is_there(one["path"], content)]
drafts: list[tuple[str, str]] = []
checks: dict[tuple, list[str]] = {}
try:
    for one, content in others:
        draft = f"{one['path']}.draft"
        drafts.append((draft, one["path"]))
        write(draft, content)
        if one["check"] is not None:
            checks.setdefault(tuple(one["check"]), []).append(draft)
    said = refused(checks)
    if said is None:
        for draft, path in drafts:
            os.replace(draft, path)
finally:
    for draft, _ in drafts:
        if os.path.exists(draft):
            os.remove(draft)
print(json.dumps({"put": gone + [path for _, path in drafts]} if said is None else {"refused": said}))
