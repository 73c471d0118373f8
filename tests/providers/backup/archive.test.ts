import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ARCHIVE_COMMAND, archiverOf, OURS } from "../../../providers/backup/archive.ts";

const SEGMENT = "00000001000000000000000A";
let dir: string;
let data: string;

/** The place of the program tells where it was started, and with what. */
beforeAll(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "pgdba archive ")));
  data = join(dir, "data");
  mkdirSync(data);
  // On a disk of its own, as on Docker.
  mkdirSync(join(dir, "wal"));
  symlinkSync(join(dir, "wal"), join(data, "pg_wal"));
  mkdirSync(`${data}.pgdba`);
  writeFileSync(`${data}.pgdba/pgdba`, `#!/bin/sh\necho "$PWD|$*"\nexit 7\n`, { mode: 0o755 });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function ran(argv: string[], cwd: string): Promise<{ said: string; exit: number }> {
  const child = Bun.spawn(argv, { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  return { said: (await new Response(child.stdout).text()).trim(), exit: await child.exited };
}

test("the server runs it in its data directory, and takes no status for the end of the archiver", async () => {
  const command = ARCHIVE_COMMAND.replace("%p", `pg_wal/${SEGMENT}`);
  expect(await ran(["sh", "-c", command], data)).toEqual({
    said: `${data}|wal push pg_wal/${SEGMENT}`,
    exit: 1,
  });
  expect(await ran(["sh", "-c", command], dir)).toEqual({ said: "", exit: 1 });
});

test("Patroni runs it anywhere with the whole path, by a shell or by none", async () => {
  const path = `${data.replace(/ /g, "\\ ")}/pg_wal/${SEGMENT}`;
  const command = ARCHIVE_COMMAND.replace("%p", path);
  const said = `${data}|wal push ${data}/pg_wal/${SEGMENT}`;
  expect(await ran(["sh", "-c", command], "/")).toEqual({ said, exit: 1 });
  const alone =
    "import shlex, subprocess, sys; sys.exit(subprocess.call(shlex.split(sys.argv[1])))";
  expect(await ran(["python3", "-c", alone, command], "/")).toEqual({ said, exit: 7 });
});

test("each of its versions is known as ours, here and in the runbooks that look at it", () => {
  const settings = {
    archive_mode: "on",
    archive_library: "",
    archive_timeout: 60,
    wal_level: "replica",
  };
  const former = '"$(pwd -P).pgdba/pgdba" wal push %p || exit 1';
  for (const archive_command of [ARCHIVE_COMMAND, former])
    expect(archiverOf({ ...settings, archive_command })).toBe("pgdba");
  expect(archiverOf({ ...settings, archive_command: "cp %p /backup/%f" })).toBe("foreign");
  for (const runbook of ["health/check", "health/checks/archiver-failing"])
    expect(readFileSync(`runbooks/${runbook}.yaml`, "utf8")).toContain(`'%${OURS}%'`);
});
