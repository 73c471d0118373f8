import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { geteuid } from "node:process";
import { PgdbaError } from "../../../engine/errors.ts";
import { spawnProcess } from "../../../engine/spawn.ts";
import type { By, ExecOptions, ExecResult } from "../contract.ts";
import { type Home, HOST, type NodeRecord, type Place } from "./home.ts";
import { binariesOf } from "./life.ts";
import { NODE_VARIABLE } from "./processes.ts";
import { SERVER_ENV } from "./server.ts";
import type { OrdinaryUser } from "./user.ts";

/** The environment of a program on a node: its server's programs, and the way to the server for libpq. */
export async function nodeEnv(
  home: Home,
  record: NodeRecord,
  at: Place,
): Promise<Record<string, string>> {
  const bin = dirname((await binariesOf(home, record)).pg_ctl);
  return {
    ...SERVER_ENV,
    PATH: `${bin}:${SERVER_ENV.PATH}:/usr/sbin:/sbin`,
    HOME: at.dir,
    PGDATA: at.data,
    PGHOST: HOST,
    PGPORT: String(record.port),
    PGUSER: record.superuser.user,
    PGDATABASE: "postgres",
    PGPASSFILE: at.passfile,
    [NODE_VARIABLE]: at.dir,
  };
}

/** @throws PgdbaError command_failed | unsupported | timeout */
export async function execOn(
  { home, record, at, by }: { home: Home; record: NodeRecord; at: Place; by: By },
  argv: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const { user: wanted, timeoutMs, signal, ...rest } = options;
  const user = wanted === undefined ? home.user : await accountOf(wanted);
  const late = new AbortController();
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => late.abort(tooLate(argv[0]!, timeoutMs)), timeoutMs);
  try {
    return await spawnProcess([...argv], {
      ...rest,
      ...(user === null ? {} : { user: { uid: user.uid, gid: user.gid } }),
      cwd: options.cwd ?? at.dir,
      baseEnv: await nodeEnv(home, record, at),
      signal: AbortSignal.any([by.signal, late.signal, ...(signal ? [signal] : [])]),
      ...(by.forbid === undefined ? {} : { forbid: by.forbid }),
    });
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(program: string, timeoutMs: number): PgdbaError {
  return new PgdbaError("timeout", `${program} did not end within ${timeoutMs} ms`, {
    hint: "Give it more time, or find out what it was waiting for.",
    retryable: true,
  });
}

/** An account of this machine; null for our own. @throws PgdbaError unsupported */
export async function accountOf(name: string): Promise<OrdinaryUser | null> {
  const lines = (await readFile("/etc/passwd", "utf8").catch(() => "")).split("\n");
  const entry = lines.map((line) => line.split(":")).find((fields) => fields[0] === name);
  if (entry === undefined) {
    throw new PgdbaError("unsupported", `There is no account ${name} on this machine`, {
      hint: "Name one of /etc/passwd, or none for the account that PostgreSQL runs as.",
      nothingDone: true,
    });
  }
  const account = { name, uid: Number(entry[2]), gid: Number(entry[3]) };
  const own = geteuid?.();
  if (own === account.uid) return null;
  if (own === 0) return account;
  throw new PgdbaError("unsupported", `Only root can act as ${name}`, {
    hint: "Run pgdba as root, or as that account.",
    nothingDone: true,
  });
}
