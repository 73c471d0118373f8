"""Patroni's post_bootstrap: makes what a new cluster has beside its server. Patroni gives the connection without its password."""

import json
import os
import re
import subprocess
import sys

RUN = "/run/patroni"
# No text of this session reaches the log or pg_stat_statements, also when the cluster's settings record everything.
QUIET = {
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_min_error_statement": "panic",
    "pg_stat_statements.track": "none",
}


def name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def value(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def get_auth(pooler: str) -> str:
    """PgBouncer's role asks by this function for the verifier of whoever logs in; it may do nothing else."""
    return f"""
CREATE SCHEMA pgbouncer;
REVOKE ALL ON SCHEMA pgbouncer FROM PUBLIC;
GRANT USAGE ON SCHEMA pgbouncer TO {name(pooler)};
CREATE FUNCTION pgbouncer.get_auth(p_user text, OUT username text, OUT password text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT rolname::text, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END
    FROM pg_authid WHERE rolname = p_user AND rolcanlogin
$$;
REVOKE ALL ON FUNCTION pgbouncer.get_auth(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgbouncer.get_auth(text) TO {name(pooler)};
"""


def sql(wish: dict) -> str:
    lines = [
        f"CREATE ROLE {name(user)} LOGIN PASSWORD {value(verifier)};\n" for user, verifier in wish["verifiers"].items()
    ]
    each = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;\n"
    if wish.get("pgbouncer"):
        each += get_auth(wish["pgbouncer"])
    # template1 too, so that databases that are made later have it.
    lines += [each, "\\connect template1\n", each, "\\connect postgres\n"]
    if wish.get("database"):
        owner = f" OWNER {name(wish['owner'])}" if wish.get("owner") else ""
        lines.append(f"CREATE DATABASE {name(wish['database'])}{owner};\n")
    return "".join(lines)


def passfile() -> str:
    """libpq's file with the superuser's password. Patroni 3.0 writes one that libpq does not find for a socket in its usual place."""
    with open(f"{RUN}/20-secrets.yml", encoding="utf-8") as file:
        password = json.load(file)["postgresql"]["authentication"]["superuser"]["password"]
    escaped = re.sub(r"([\\:])", r"\\\1", password)
    path = f"{RUN}/pgpass.bootstrap"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as file:
        file.write(f"*:*:*:*:{escaped}\n")
    return path


if __name__ == "__main__":
    with open(f"{RUN}/bootstrap.json", encoding="utf-8") as file:
        text = sql(json.load(file))
    options = " ".join(f"-c {setting}={word}" for setting, word in QUIET.items())
    found = passfile()
    env = {**os.environ, "PGPASSFILE": found, "PGOPTIONS": f"{os.environ.get('PGOPTIONS', '')} {options}", "PGAPPNAME": "pgdba"}
    argv = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", sys.argv[1]]
    try:
        code = subprocess.run(argv, input=text, text=True, env=env, stdout=subprocess.DEVNULL, check=False).returncode
    finally:
        os.unlink(found)
    sys.exit(code)
