/** What stands in the place of our own files, and folders that can't be written: a clear word, and never a wait without end. */
import { Database } from "bun:sqlite";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import {
  at,
  cli,
  envelopeOf,
  type Place,
  place,
  type Ran,
  removePlaces,
  runbooks,
  runId,
} from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const LOOK = 'summary: s\nrisk: read\nsteps:\n  - set: {a: 1}\noutput: {done: "true"}\n';
const ACT = "summary: s\nrisk: change\nsteps:\n  - exec: {argv: [touch, done]}\n";
const SECRET = `summary: s\nrisk: read\nparams: {token: {type: string, secret: true}}\nsteps:\n  - set: {a: 1}\n`;
const SETTINGS = `summary: s\nrisk: read\nsteps:\n  - template.render: {file: text.hbs}\n`;
const RUNBOOKS = runbooks({
  "t/look": LOOK,
  "t/act": ACT,
  "t/secret": SECRET,
  "t/render": SETTINGS,
});

/** What may stand where a file should be; tests/engine/shared/files.test.ts has all there is. */
const PLANTS: Record<string, (path: string) => void> = {
  "a FIFO": (path) => expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0),
  "a link that leads nowhere": (path) => symlinkSync("/nowhere/at/all", path),
};

/** Our file, the command that reads it, and the code of its refusal. */
const READ: [file: string, args: string[], code: string][] = [
  ["home/config.yaml", ["t", "look"], "invalid_config"],
  ["home/policy.yaml", ["t", "look"], "invalid_config"],
  ["etc/policy.yaml", ["t", "look"], "invalid_config"],
  ["home/clusters/db.yaml", ["t", "look", "--cluster", "db"], "invalid_config"],
  ["home/journal.db", ["t", "act"], "journal_failed"],
  ["home/journal.db", ["runs"], "journal_failed"],
  ["cwd/token", ["t", "secret", "--token", "file:token"], "missing_secret"],
  ["cwd/.pgdba/runbooks/t/text.hbs", ["t", "render"], "io_failed"],
  ["cwd/.pgdba/runbooks/t/odd.yaml", ["run", "t/odd"], "unknown_runbook"],
  ["cwd/odd.yaml", ["lint", "odd.yaml"], "io_failed"],
];

test.concurrent.each(Object.entries(PLANTS))(
  "%s in the place of a file of ours is refused at once",
  async (_, plant) => {
    const p = place(RUNBOOKS);
    for (const [file, args, code] of READ) {
      const path = join(p.root, file);
      mkdirSync(dirname(path), { recursive: true });
      plant(path);
      const ran = await cli(args, p);
      expect({ file, code: ran.envelope.error?.code as string }).toEqual({ file, code });
      expect(ran.envelope.error?.hint).toBeTruthy();
      rmSync(path, { recursive: true, force: true });
    }
    expect(readdirSync(p.cwd)).toEqual([".pgdba"]);
  },
);

test.concurrent("a password file that is none is passed over with a word, and the password is missing", async () => {
  const p = place(RUNBOOKS);
  const env = { PGPASSFILE: join(p.root, "pass"), PGDBA_PG_PASSWORD_FILE: join(p.root, "pass") };
  expect(Bun.spawnSync(["mkfifo", env.PGPASSFILE]).exitCode).toBe(0);
  const named = await cli(["t", "look", "--host", "127.0.0.1"], p, { env });
  expect(named.envelope.error).toMatchObject({
    code: "missing_secret",
    message: `${env.PGPASSFILE} is a FIFO, not a file`,
  });
});

/** A state folder with one run of each kind on record. */
async function used(): Promise<Place & { id: string }> {
  const p = place(RUNBOOKS);
  const ran = await cli(["t", "act"], p);
  expect(ran.exit).toBe(0);
  rmSync(join(p.cwd, "done"));
  return { ...p, id: runId(ran) };
}

const warningOf = (ran: Ran) => at(ran.envelope, "data", "run", "warnings", 0);

/** What changes something is refused before it acts; what only reads goes on and says that it is not recorded. */
async function expectReadsOnly(p: Place, says: RegExp): Promise<void> {
  const acted = await cli(["t", "act"], p);
  expect(acted.envelope.error).toMatchObject({
    code: "journal_failed",
    message: expect.stringMatching(says),
  });
  expect(readdirSync(p.cwd)).toEqual([".pgdba"]);
  const looked = await cli(["t", "look"], p);
  expect(looked.envelope.error).toBeNull();
  expect(at(looked.envelope, "data", "done")).toBe(true);
  expect(warningOf(looked)).toMatch(/not recorded/);
  expect(warningOf(looked)).toMatch(says);
  expect((await cli(["t", "act", "--plan"], p)).exit).toBe(0);
}

test.concurrent("a journal that is cut short, no database, another database or from a newer pgdba", async () => {
  const p = await used();
  const file = join(p.home, "journal.db");
  const whole = join(p.root, "whole.db");
  const db = new Database(file);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
  cpSync(file, whole);
  const damages: [what: () => void, says: RegExp][] = [
    [() => truncateSync(file, 5000), /malformed|not a database/],
    [() => writeFileSync(file, "no database at all\n".repeat(500)), /not a database/],
    [() => run("PRAGMA user_version = 99"), /newer pgdba/],
    [() => run("DROP TABLE step"), /something else/],
    [() => (rmSync(file), run("CREATE TABLE theirs (a int)")), /something else/],
  ];
  const run = (sql: string) => {
    const other = new Database(file, { create: true });
    other.run("PRAGMA foreign_keys = OFF");
    other.run(sql);
    other.close();
  };
  for (const [damage, says] of damages) {
    for (const name of readdirSync(p.home).filter((one) => one.startsWith("journal.db")))
      rmSync(join(p.home, name));
    cpSync(whole, file);
    damage();
    expect((await cli(["runs"], p)).envelope.error).toMatchObject({
      code: "journal_failed",
      message: expect.stringMatching(says),
    });
  }
  await expectReadsOnly(p, damages.at(-1)![1]);
});

test.concurrent("a row that is damaged does not hide the others, and is never taken for sound", async () => {
  const p = await used();
  const ran = await cli(["t", "act"], p);
  const damaged = (column: string, value: string) => {
    const db = new Database(join(p.home, "journal.db"));
    db.run(`UPDATE run SET ${column} = ? WHERE id = ?`, [value, p.id]);
    db.close();
  };
  for (const [column, value] of [
    ["holder", "{"],
    ["target", "5"],
  ]) {
    damaged(column!, value!);
    damaged("status", "running");
    const runs = at((await cli(["runs"], p)).envelope, "data", "runs") as { status: string }[];
    expect(runs.map(({ status }) => status)).toEqual([...runs.slice(1).map(() => "ok"), "damaged"]);
    for (const command of ["runs", "resume"]) {
      const { envelope } = await cli([command, p.id], p);
      expect({ column, command, error: envelope.error }).toMatchObject({
        error: { code: "journal_failed", message: expect.stringContaining("damaged") },
      });
    }
    expect((await cli(["t", "act"], p)).exit).toBe(0);
    damaged(column!, String(at(rowOf(p, runId(ran)), column!)));
  }
  // What only going on with it needs.
  const docs = String(at(rowOf(p, runId(ran)), "docs"));
  for (const [column, value] of [
    ["docs", "{bad"],
    ["docs", "null"],
    ["docs", "[]"],
    ["docs", "{}"],
    ["docs", '{"t/act": 7}'],
    ["docs", docs.replace('"kind":"runbook"', '"kind":7')],
    ["docs", docs.replace('"spans":[0', '"spans":[9')],
    ["docs", docs.replace('"spans":[0,', '"spans":[')],
    ["docs", docs.replace('"data":{', '"data":null,"was":{')],
    ["docs", docs.replace(/"text":"/, '"txt":"')],
    ["runbook", "t/other"],
  ] as const) {
    const sound = String(at(rowOf(p, runId(ran)), column));
    expect(value).not.toBe(sound);
    damaged(column, value);
    const { envelope } = await cli(["resume", p.id], p);
    expect({ value, error: envelope.error }).toMatchObject({
      error: { code: "journal_failed", message: expect.stringContaining("docs can't be read") },
    });
    damaged(column, sound);
  }
  expect((await cli(["resume", p.id], p)).envelope.error).toBeNull();
});

function rowOf(p: Place, id: string) {
  const db = new Database(join(p.home, "journal.db"));
  const row = db.query("SELECT * FROM run WHERE id = ?").get(id);
  db.close();
  return row;
}

test.concurrent("a state folder that can't be made: reading goes on", async () => {
  const p = place(RUNBOOKS);
  p.env["PGDBA_HOME"] = "/proc/nowhere";
  await expectReadsOnly(p, /ENOENT/);
  expect((await cli(["runs"], p)).envelope.data).toEqual({ runs: [] });
});

/** Whether this machine lets us mount, in a namespace of its own. */
const mayMount = Bun.spawnSync(["unshare", "-rm", "true"]).exitCode === 0;

test.skipIf(!mayMount)(
  "a state folder on a disk mounted read-only, or full: reading goes on, also looking at runs",
  async () => {
    const p = await used();
    const mounted = async (mount: string, args: string[]) => {
      const script = `${mount}; shift 0; exec "$@"`;
      const pgdba = join(import.meta.dir, "../../engine/pgdba");
      const child = Bun.spawn(["unshare", "-rm", "sh", "-c", script, "sh", pgdba, ...args], {
        cwd: p.cwd,
        env: { ...p.env, AT: p.home },
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      return envelopeOf(stdout, stderr);
    };
    const readOnly = 'mount --bind "$AT" "$AT" && mount -o remount,ro,bind "$AT"';
    const full =
      'mount -t tmpfs -o size=8k none "$AT"; head -c 100k /dev/zero > "$AT/fill" 2>/dev/null';
    for (const mount of [readOnly, full]) {
      const looked = await mounted(mount, ["t", "look"]);
      expect(looked.error).toBeNull();
      expect(at(looked, "data", "run", "warnings", 0)).toMatch(/not recorded/);
      expect((await mounted(mount, ["t", "act"])).error).toMatchObject({ code: "journal_failed" });
      expect((await mounted(mount, ["list"])).error).toBeNull();
      expect((await mounted(mount, ["runs"])).error).toBeNull();
    }
    expect(at(await mounted(readOnly, ["runs"]), "data", "runs", 0, "id")).toBe(p.id);
    expect(readdirSync(p.cwd)).toEqual([".pgdba"]);
  },
);
