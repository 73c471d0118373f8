"""Waits, and then takes a fault back: by itself in the network of a node, or by asking the Engine. It needs nobody else."""

import http.client
import json
import socket
import struct
import subprocess
import sys
import time

ENGINE = "/run/engine.sock"
# It is begun so much before the deadline at most, and never more than this part of the fault's time.
EARLY_S = 5.0
EARLY_PART = 0.1
# Between two tries.
AGAIN_S = 1.0
LEAST_TRIES = 3


class Engine(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("engine", timeout=120)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(120)
        self.sock.connect(ENGINE)


def ask(method: str, path: str, body: dict | None = None) -> tuple[int, bytes]:
    line = Engine()
    line.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json", "Host": "engine"})
    answer = line.getresponse()
    return answer.status, answer.read()


def refuse(text: str, code: int = 1) -> None:
    print(text, file=sys.stderr, flush=True)
    sys.exit(code)


class NotDone(Exception):
    def __init__(self, text: str, code: int = 1):
        super().__init__(text)
        self.code = code


def must(method: str, path: str, body: dict | None = None, also: tuple[int, ...] = ()) -> bytes:
    status, said = ask(method, path, body)
    if status >= 400 and status not in also:
        raise NotDone(f"the Engine said {status}: {said.decode(errors='replace').strip()}")
    return said


def run(container: str, program: dict) -> None:
    made = must(
        "POST",
        f"/containers/{container}/exec",
        {"AttachStdout": True, "AttachStderr": True, "Cmd": program["argv"], "Env": program["env"], "User": program["user"], "WorkingDir": program["cwd"]},
    )
    number = json.loads(made)["Id"]
    said = must("POST", f"/exec/{number}/start", {"Detach": False, "Tty": False})
    texts, at = b"", 0
    while at + 8 <= len(said):
        length = struct.unpack(">I", said[at + 4 : at + 8])[0]
        texts += said[at + 8 : at + 8 + length]
        at += 8 + length
    code = json.loads(must("GET", f"/exec/{number}/json"))["ExitCode"]
    if code != 0:
        raise NotDone(texts.decode(errors="replace").strip() or f"exit code {code}", code or 1)


def here(argv: list[str]) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotDone((done.stderr or done.stdout).strip() or f"exit code {done.returncode}")


def early(took: float, lasts: float) -> float:
    """
    A fault is to be over by its deadline, and to take it back takes time, the more the busier the machine: a node is down until the Engine has started it. To make
    this container and to start it took about as long as each other.
    """
    return min(took / 2, EARLY_S, lasts * EARLY_PART)


order = json.loads(sys.argv[1])
if order["act"] != "here":
    # Whoever arms must learn at once that nobody could heal.
    try:
        must("GET", "/_ping")
    except (OSError, http.client.HTTPException, NotDone) as error:
        refuse(f"the Engine can't be asked from inside a container: {error}", 78)
print("ready", flush=True)
# To be made and started took its time, too. A clock that is another one's is not gone by.
left = order["until"] - time.time()
left = left if 0 < left < order["seconds"] else order["seconds"]
# A thaw takes next to none.
if order["act"] != "thaw":
    left -= early(order["seconds"] - left, order["seconds"])
time.sleep(max(0, left))


def heal() -> None:
    if order["act"] == "thaw":
        # With its node the fault has gone.
        said = must("GET", f"/containers/{order['container']}/json", also=(404,))
        if json.loads(said).get("State", {}).get("Paused"):
            must("POST", f"/containers/{order['container']}/unpause")
    elif order["act"] == "start":
        must("POST", f"/containers/{order['container']}/start", also=(304,))
    elif order["act"] == "exec":
        run(order["container"], order["program"])
    else:
        here(order["argv"])


# The Engine, or the node, may be busy at that moment, and nobody else would try again.
ends = time.monotonic() + order["again"]
# One that hangs for longer than that is no reason to give up at once.
least = LEAST_TRIES if order["again"] > 0 else 1
while True:
    least -= 1
    try:
        heal()
        break
    except (OSError, http.client.HTTPException, ValueError, NotDone) as error:
        if least <= 0 and time.monotonic() >= ends:
            refuse(str(error) or type(error).__name__, getattr(error, "code", 1))
    time.sleep(AGAIN_S)
