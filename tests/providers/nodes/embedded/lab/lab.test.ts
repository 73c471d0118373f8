import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  discardUnfinished,
  type Lab,
  labDown,
  labStatus,
  labUp,
} from "../../../../../providers/nodes/embedded/lab/lab.ts";
import planted from "../../../../../providers/nodes/embedded/lab/planted.json";
import { openSession, type PgSession } from "../../../../../providers/postgres/session.ts";
import { resolveTarget } from "../../../../../providers/target/resolve.ts";

// Nobody but its owner can enter the state folder, as with a root's home.
const root = mkdtempSync(join(tmpdir(), "pgdba-lab-"));
const closed = join(root, "closed");
const options = { stateDir: join(closed, "state"), spares: [join(root, "spare")] };
const LAB = join(import.meta.dir, "../../../../../providers/nodes/embedded/lab/lab.ts");

let labs: Lab[];
let session: PgSession;

beforeAll(async () => {
  Bun.spawnSync(["chmod", "0755", root]);
  mkdirSync(closed, { mode: 0o700 });
  const script = `import { labUp } from ${JSON.stringify(LAB)};
    const lab = await labUp(${JSON.stringify(options)}); console.log(JSON.stringify({ ...lab, connection: null }));`;
  const elsewhere = Bun.spawn([process.execPath, "-e", script], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const [first, second, text] = await Promise.all([
    labUp(options),
    labUp(options),
    new Response(elsewhere.stdout).text(),
  ]);
  labs = [first, second, JSON.parse(text) as Lab];
  session = await openSession(first.connection);
}, 60_000);

afterAll(async () => {
  await session?.close();
  await labDown({ ...options, remove: true });
  rmSync(root, { recursive: true, force: true });
}, 30_000);

const first = async (sql: string) => (await session.query(sql)).rows[0];

/** For each planted problem a query that is true when it is there. */
const EVIDENCE: Record<string, string> = {
  "missing-index": `SELECT count(*) = 1 FROM pg_constraint c WHERE contype = 'f' AND conrelid = 'shop.order_items'::regclass
    AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])`,
  "hot-query": `SELECT calls >= 80 AND rows > 0 AND (SELECT seq_scan > idx_scan AND seq_tup_read / seq_scan >= 100000 FROM pg_stat_user_tables WHERE relid = 'shop.order_items'::regclass)
    FROM pg_stat_statements WHERE query LIKE '%shop.order_items WHERE order_id%'`,
  "unused-index": `SELECT idx_scan = 0 AND pg_relation_size(indexrelid) > 1000000 FROM pg_stat_user_indexes WHERE indexrelname = 'orders_status_total_placed_at_idx'`,
  "duplicate-index": `SELECT a.indkey = b.indkey FROM pg_index a, pg_index b WHERE a.indexrelid = 'shop.orders_customer_id_idx'::regclass AND b.indexrelid = 'shop.orders_customer_id_idx1'::regclass`,
  "redundant-index": `SELECT a.indkey[0] = b.indkey[0] AND a.indnatts = 1 FROM pg_index a, pg_index b WHERE a.indexrelid = 'shop.events_kind_idx'::regclass AND b.indexrelid = 'shop.events_kind_at_idx'::regclass`,
  "invalid-index": `SELECT NOT indisvalid FROM pg_index WHERE indexrelid = 'shop.newsletter_email_key'::regclass`,
  "bloat-table": `SELECT pg_relation_size('shop.audit_log') > 20000000 AND (SELECT sum(length(what)) FROM shop.audit_log) < 0.5 * pg_relation_size('shop.audit_log')`,
  "dead-rows": `SELECT n_dead_tup > 50000 FROM pg_stat_user_tables WHERE relid = 'shop.audit_log'::regclass`,
  "autovacuum-disabled-table": `SELECT count(*) = 2 FROM pg_class WHERE 'autovacuum_enabled=false' = ANY (reloptions)`,
  "statistics-stale": `SELECT n_mod_since_analyze >= 30000 AND last_analyze IS NOT NULL FROM pg_stat_user_tables WHERE relid = 'shop.sessions'::regclass`,
  "sequence-exhausted": `SELECT last_value > 0.99 * 2147483647 FROM pg_sequences WHERE sequencename = 'tickets_id_seq'`,
  "wraparound-table": `SELECT age(relfrozenxid) > 100000 AND reloptions @> ARRAY['autovacuum_freeze_max_age=100000'] FROM pg_class WHERE oid = 'shop.archive_2019'::regclass`,
  "idle-in-transaction": `SELECT count(*) = 1 AND bool_and(backend_xid IS NOT NULL) FROM pg_stat_activity WHERE state = 'idle in transaction'`,
  "slot-inactive": `SELECT NOT active AND restart_lsn IS NOT NULL AND wal_status IN ('reserved', 'extended') AND pg_current_wal_lsn() > restart_lsn FROM pg_replication_slots WHERE slot_name = 'forgotten_standby'`,
  "setting-autovacuum": `SELECT NOT current_setting('autovacuum')::bool`,
  "setting-work-mem": `SELECT current_setting('work_mem') = '256kB'`,
  "setting-checkpoint-timeout": `SELECT current_setting('checkpoint_timeout') = '30s'`,
  "setting-timeouts": `SELECT current_setting('idle_in_transaction_session_timeout') = '0'`,
  "constraint-not-valid": `SELECT NOT convalidated FROM pg_constraint WHERE conname = 'orders_total_positive'`,
  "no-primary-key": `SELECT NOT EXISTS (SELECT FROM pg_index WHERE indrelid = 'shop.import_log'::regclass)`,
  "definer-search-path": `SELECT prosecdef AND proconfig IS NULL FROM pg_proc WHERE proname = 'customer_count'`,
  "superuser-login": `SELECT rolsuper AND rolcanlogin FROM pg_roles WHERE rolname = 'shop_admin'`,
  "policy-without-rls": `SELECT NOT relrowsecurity AND EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid) FROM pg_class c WHERE oid = 'shop.orders'::regclass`,
};

describe("the planted problems", () => {
  test("all have evidence here", () => {
    expect(Object.keys(EVIDENCE).toSorted()).toEqual(
      planted.map((problem) => problem.id).toSorted(),
    );
  });
  test.each(planted.map((problem) => problem.id))("%s", async (id) => {
    const row = await first(EVIDENCE[id] ?? "");
    expect(Object.values(row ?? {})).toEqual([true]);
  });
});

test("calls at the same time, from two processes, give one server", () => {
  expect(new Set(labs.map((lab) => lab.port)).size).toBe(1);
  expect(labs.every((lab) => lab.seeded && lab.version === 18)).toBe(true);
});

test("is small, private, and not where an ordinary user could not go", async () => {
  const [lab] = labs;
  if (lab === undefined) throw new Error("no lab");
  expect(statSync(join(options.stateDir, "lab", "password")).mode & 0o777).toBe(0o600);
  expect(statSync(lab.dataDir).mode & 0o077).toBe(0);
  expect(
    lab.dataDir.startsWith(process.getuid?.() === 0 ? join(root, "spare") : options.stateDir),
  ).toBe(true);
  expect(statSync(lab.dataDir).uid === 0).toBe(false);
  const size = Number(Bun.spawnSync(["du", "-sm", lab.dataDir]).stdout.toString().split("\t")[0]);
  expect(size).toBeLessThan(150);
  const trusted = await first(
    "SELECT count(*) AS n FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'",
  );
  expect(trusted).toEqual({ n: 0 });
});

test("its password is in no list of statements and in no log", async () => {
  const password = readFileSync(join(options.stateDir, "lab", "password"), "utf8");
  const shown = await session.query(
    "SELECT query FROM pg_stat_activity UNION ALL SELECT query FROM pg_stat_statements",
  );
  expect(JSON.stringify(shown.rows)).not.toContain(password);
  expect(readFileSync(join(labs[0]?.dataDir ?? "", "..", "log"), "utf8")).not.toContain(password);
});

test("is a target: --cluster lab", async () => {
  const secrets: string[] = [];
  // The target asks for no spares, and needs none: the lab runs.
  const target = await resolveTarget({
    flags: { cluster: "lab" },
    env: {},
    stateDir: options.stateDir,
    onSecret: (value) => secrets.push(value),
  });
  expect([target.name, target.cluster, target.ownership]).toEqual(["lab", "lab", "managed"]);
  expect((await target.facts()).capabilities).toContain("pg_stat_statements");
  expect(secrets).toEqual([readFileSync(join(options.stateDir, "lab", "password"), "utf8")]);
  await target.close();
});

test("a file of another cluster under its name stays as it is, and the lab works all the same", async () => {
  const file = join(options.stateDir, "clusters", "lab.yaml");
  const entry = readFileSync(file, "utf8");
  const foreign = "ownership: connected # not the lab\npostgres: {host: db1, user: u}\n";
  for (const text of [foreign, "{"]) {
    writeFileSync(file, text);
    const said: string[] = [];
    // As one that an older pgdba made, it is registered when it is used next.
    const record = join(options.stateDir, "lab", "lab.json");
    const { identity, ...older } = JSON.parse(readFileSync(record, "utf8"));
    writeFileSync(record, JSON.stringify(older));
    const lab = await labUp({ ...options, log: (message) => void said.push(message) });
    expect([lab.port, lab.identity, lab.made, lab.started]).toEqual([
      labs[0]?.port,
      identity,
      false,
      false,
    ]);
    expect(said).toHaveLength(1);
    expect(readFileSync(file, "utf8")).toBe(text);
  }
  rmSync(file);
  await labUp(options);
  expect(readFileSync(file, "utf8")).toBe(entry);
});

test("running already costs next to nothing", async () => {
  const begun = performance.now();
  await labUp(options);
  expect(performance.now() - begun).toBeLessThan(30);
});

test("down, status, up again: the same data on a stale postmaster.pid; and down twice", async () => {
  await session.close();
  expect(await labDown(options)).toEqual({ stopped: true, removed: false });
  expect(await labDown(options)).toEqual({ stopped: false, removed: false });
  expect(await labStatus(options)).toMatchObject({ exists: true, running: false, version: 18 });
  const { dataDir } = labs[0] ?? { dataDir: "" };
  // A machine that lost power leaves this; the process id is of nobody.
  writeFileSync(join(dataDir, "postmaster.pid"), `4194303\n${dataDir}\n0\n1\n\n\n0 0\nready\n`);
  expect((await labStatus(options)).running).toBe(false);
  // And after a while the number is somebody else's, who must be left alone.
  const stranger = Bun.spawn(["sleep", "60"]);
  writeFileSync(
    join(dataDir, "postmaster.pid"),
    `${stranger.pid}\n${dataDir}\n0\n1\n\n\n0 0\nready\n`,
  );
  const lock = join(dataDir, "../socket", `.s.PGSQL.${labs[0]?.port}.lock`);
  writeFileSync(lock, `${stranger.pid}\n${dataDir}\n0\n1\n\n\n`);
  expect((await labStatus(options)).running).toBe(false);
  expect(await labDown(options)).toEqual({ stopped: false, removed: false });
  const again = await labUp(options);
  expect(stranger.exitCode).toBe(null);
  stranger.kill();
  expect(again.seeded).toBe(true);
  session = await openSession(again.connection);
  expect(Object.values((await first(EVIDENCE["idle-in-transaction"] ?? "")) ?? {})).toEqual([true]);
}, 20_000);

test("a creation that was cut off is begun again", async () => {
  await session.close();
  const file = join(options.stateDir, "lab", "lab.json");
  const record = JSON.parse(readFileSync(file, "utf8"));
  // Of a whole one nothing is taken away.
  expect(await discardUnfinished(options)).toBe(false);
  writeFileSync(file, JSON.stringify({ ...record, seeded: false }));
  const again = await labUp(options);
  expect(again.seeded).toBe(true);
  session = await openSession(again.connection);
  expect(await first("SELECT count(*) AS n FROM shop.products")).toEqual({ n: 1000 });
}, 30_000);

test("one whose making is interrupted is taken away again, with its server", async () => {
  const place = { stateDir: join(closed, "other"), spares: options.spares };
  const stop = new AbortController();
  const making = labUp({
    ...place,
    signal: stop.signal,
    log: (message) => message.startsWith("starting") && stop.abort(new Error("stopped")),
  });
  await expect(making).rejects.toThrow("stopped");
  const left = await labStatus(place);
  expect([left.exists, left.running]).toEqual([true, false]);
  expect(await discardUnfinished(place)).toBe(true);
  expect(await labStatus(place)).toMatchObject({ exists: false });
  expect(existsSync(left.data_dir ?? "/")).toBe(false);
  expect(await discardUnfinished(place)).toBe(false);
}, 30_000);

test("remove leaves nothing behind", async () => {
  await session.close();
  const { dataDir } = labs[0] ?? { dataDir: "" };
  expect(await labDown({ ...options, remove: true })).toEqual({ stopped: true, removed: true });
  expect(await labStatus(options)).toEqual({
    exists: false,
    running: false,
    port: null,
    data_dir: null,
    version: null,
  });
  expect(await Bun.file(join(dataDir, "PG_VERSION")).exists()).toBe(false);
  expect(existsSync(join(options.stateDir, "clusters", "lab.yaml"))).toBe(false);
}, 20_000);
