"""Cuts a node off from others, in its network, and looks whether that is so: by a new connection, and by one that was open before."""

import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

# What a server answers something to, whatever it is: PostgreSQL to the first, an HTTP server to the second.
WORDS = {5432: b"\x00\x00\x00\x08\x04\xd2\x16\x2f", 6432: b"\x00\x00\x00\x08\x04\xd2\x16\x2f"}
HTTP = b"GET /health HTTP/1.0\r\n\r\n"
WAIT = 1.0


def rules(address: str, *argv: str) -> None:
    program = "ip6tables" if ":" in address else "iptables"
    done = subprocess.run([program, "-w", "5", *argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} {' '.join(argv)}: {done.stderr.strip()}")


def reach(address: str, port: int) -> socket.socket | None:
    try:
        return socket.create_connection((address, port), timeout=WAIT)
    except OSError:
        return None


def answers(line: socket.socket, port: int) -> bool:
    try:
        line.sendall(WORDS.get(port, HTTP))
        return line.recv(1) != b""
    except OSError:
        return False


ask = json.load(sys.stdin)
chain, addresses, ports, direction = ask["chain"], ask["addresses"], ask["ports"], ask["direction"]
probes = [(address, port) for address, port in ask["probes"]]
# All at once: each that is cut off takes the whole of its time, which the fault is in force for longer than it was asked to be.
pool = ThreadPoolExecutor(max_workers=2 * len(probes) + 1)
lines = list(pool.map(lambda probe: reach(*probe), probes))
before = [(*probe, line) for probe, line in zip(probes, lines) if line is not None]
for version in ("0.0.0.0", "::"):
    mine = [address for address in addresses if (":" in address) == (":" in version)]
    if not mine:
        continue
    rules(version, "-N", chain)
    for address in mine:
        for side in ("-s", "-d"):
            if direction == ("out" if side == "-s" else "in"):
                continue
            if not ports:
                rules(version, "-A", chain, side, address, "-j", "DROP")
            for port in ports:
                for protocol in ("tcp", "udp"):
                    for end in ("--sport", "--dport"):
                        rules(version, "-A", chain, side, address, "-p", protocol, end, str(port), "-j", "DROP")
    for hook in ("INPUT", "OUTPUT"):
        rules(version, "-I", hook, "1", "-j", chain)

reached = pool.map(lambda one: reach(one[0], one[1]) is not None, before)
answered = pool.map(lambda one: answers(one[2], one[1]), before)
passed = [f"{address}:{port}" for (address, port, _), did in zip(before, reached) if did]
alive = [f"{address}:{port}" for (address, port, _), did in zip(before, answered) if did]
print(json.dumps({"tried": [f"{address}:{port}" for address, port, _ in before], "passed": passed, "alive": alive}))
