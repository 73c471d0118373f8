"""Lets a user that may only look log in to the console of the PgBouncer here, or no more.

Reads {"user", "verifier"} as JSON; without a verifier the user is taken away. It is kept beside the secrets, where the start script finds it, and PgBouncer reads
its users again. Prints {"known": whether pgbouncer.ini names the user}.
"""

import json
import os
import re
import subprocess
import sys

sys.path.insert(0, "/usr/local/lib/pgdba")
from node import SECRETS, config, private_file  # noqa: E402

KEPT = f"{SECRETS}/monitor"
USERS = "/run/pgbouncer/userlist.txt"

wanted = json.load(sys.stdin)
name = f'"{wanted["user"]}" '
if re.search(rf"^stats_users *= *{re.escape(wanted['user'])} *$", config("pgbouncer.ini"), re.M) is None:
    print(json.dumps({"known": False}))
    sys.exit()
with open(USERS, encoding="utf-8") as file:
    lines = [line for line in file if not line.startswith(name)]
if wanted["verifier"] is not None:
    private_file(KEPT, wanted["verifier"] + "\n", "root")
    lines.append(f'{name}"{wanted["verifier"]}"\n')
elif os.path.exists(KEPT):
    os.unlink(KEPT)
private_file(USERS, "".join(lines), "postgres")
subprocess.run(["pkill", "-HUP", "-x", "pgbouncer"], check=False)
print(json.dumps({"known": True}))
