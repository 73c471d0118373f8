import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openBinaries } from "../../../../../providers/nodes/embedded/binaries.ts";
import {
  type Lab,
  labDiscard,
  labDown,
  labStatus,
  labUp,
} from "../../../../../providers/nodes/embedded/lab/lab.ts";
import planted from "../../../../../providers/nodes/embedded/lab/planted.json";
import {
  freePort,
  initdb,
  postmaster,
  runAs,
  waitReady,
} from "../../../../../providers/nodes/embedded/server.ts";
import { ordinaryUser, reachableDir } from "../../../../../providers/nodes/embedded/user.ts";
import { takeExclusively } from "../../../../../engine/shared/exclusive.ts";
import { openSession, type PgSession } from "../../../../../providers/postgres/session.ts";
import type { Access, Target } from "../../../../../engine/types.ts";
import { resolveTarget } from "../../../../../providers/target/resolve.ts";
import { codeOf } from "../../../postgres/helpers.ts";

// Nobody but its owner can enter the state folder, as with a root's home.
const root = mkdtempSync(join(tmpdir(), "pgdba-lab-"));
const closed = join(root, "closed");
const options = { stateDir: join(closed, "state") };
const entryFile = join(options.stateDir, "clusters", "lab.yaml");
const passwordFile = join(options.stateDir, "secrets", "lab", "superuser");
const LAB = join(import.meta.dir, "../../../../../providers/nodes/embedded/lab/lab.ts");

let labs: Lab[];
let cutOff: { entry: string; status: unknown };
let session: PgSession;

beforeAll(async () => {
  Bun.spawnSync(["chmod", "0755", root]);
  mkdirSync(closed, { mode: 0o700 });
  const script = (log: string) => `import { labUp } from ${JSON.stringify(LAB)};
    const lab = await labUp({ ...${JSON.stringify(options)}, log: ${log} }); console.log(JSON.stringify(lab));`;
  // Killed while it is filled: its server lives on.
  const kill = `(said) => said.startsWith("filling") && setTimeout(() => process.kill(process.pid, "SIGKILL"), 300)`;
  const killed = Bun.spawn([process.execPath, "-e", script(kill)], { stderr: "inherit" });
  await killed.exited;
  expect(killed.signalCode).toBe("SIGKILL");
  cutOff = { entry: readFileSync(entryFile, "utf8"), status: await labStatus(options) };
  const elsewhere = Bun.spawn([process.execPath, "-e", script("() => {}")], {
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
}, 300_000);

afterAll(async () => {
  await session?.close();
  await labDown({ ...options, remove: true });
  rmSync(root, { recursive: true, force: true });
}, 300_000);

const target = (stateDir = options.stateDir): Promise<Target> =>
  resolveTarget({ flags: { cluster: "lab" }, env: {}, stateDir, onSecret: () => {} });
const reader = {
  run: "r",
  path: "p",
  effect: "read" as const,
  hazards: [],
  signal: new AbortController().signal,
};

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
  "dead-rows": `SELECT n_dead_tup > 50000 AND n_live_tup = 6000 AND n_mod_since_analyze = 0 FROM pg_stat_user_tables WHERE relid = 'shop.audit_log'::regclass`,
  "autovacuum-disabled-table": `SELECT count(*) = 2 FROM pg_class WHERE 'autovacuum_enabled=false' = ANY (reloptions)`,
  "statistics-stale": `SELECT n_mod_since_analyze = 30000 AND last_analyze IS NOT NULL FROM pg_stat_user_tables WHERE relid = 'shop.sessions'::regclass`,
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

test("one that was cut off is marked, counts for nothing, and is made whole", () => {
  expect(cutOff.entry).toContain("partial: lab");
  expect(cutOff.status).toMatchObject({ exists: false, running: false });
  expect(readFileSync(entryFile, "utf8")).not.toContain("partial");
});

test("calls at the same time, from two processes, give one server", () => {
  expect(new Set(labs.map(({ entry }) => entry.spec?.port)).size).toBe(1);
  expect(new Set(labs.map(({ entry }) => entry.identity)).size).toBe(1);
  expect(labs.filter(({ made }) => made)).toHaveLength(1);
  expect(labs.every(({ version }) => version === 18)).toBe(true);
});

test("is small, private, and not where an ordinary user could not go", async () => {
  const { dataDir } = labs[0]!;
  expect(statSync(passwordFile).mode & 0o777).toBe(0o600);
  expect(statSync(dataDir).mode & 0o077).toBe(0);
  expect(dataDir.startsWith(options.stateDir)).toBe(process.getuid?.() !== 0);
  expect(statSync(dataDir).uid === 0).toBe(false);
  const size = Number(Bun.spawnSync(["du", "-sm", dataDir]).stdout.toString().split("\t")[0]);
  expect(size).toBeLessThan(150);
  expect(await first("SELECT current_setting('wal_segment_size') AS size")).toEqual({
    size: "1MB",
  });
  const trusted = await first(
    "SELECT count(*) AS n FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'",
  );
  expect(trusted).toEqual({ n: 0 });
});

test("its password is in no list of statements and in no log", async () => {
  const password = readFileSync(passwordFile, "utf8").trim();
  const shown = await session.query(
    "SELECT query FROM pg_stat_activity UNION ALL SELECT query FROM pg_stat_statements",
  );
  expect(JSON.stringify(shown.rows)).not.toContain(password);
  expect(readFileSync(join(labs[0]!.dataDir, "..", "log"), "utf8")).not.toContain(password);
});

test("is a target with a node: --cluster lab", async () => {
  const secrets = new Set<string>();
  const lab = await resolveTarget({
    flags: { cluster: "lab" },
    env: {},
    stateDir: options.stateDir,
    onSecret: (value) => secrets.add(value),
  });
  expect([lab.name, lab.cluster, lab.ownership]).toEqual(["lab", "lab", "managed"]);
  expect((await lab.facts()).capabilities).toEqual(
    expect.arrayContaining(["pg_stat_statements", "nodes", "member"]),
  );
  const nodes = (await lab.use!("nodes", reader)) as Access["nodes"];
  expect(await nodes.list()).toMatchObject([
    { node: "lab", made: true, reach: { port: labs[0]?.entry.spec?.port } },
  ]);
  expect([...secrets]).toEqual([readFileSync(passwordFile, "utf8").trim()]);
  await lab.close();
});

test("another cluster of this name is the one that is meant, and no lab is made over it", async () => {
  const entry = readFileSync(entryFile, "utf8");
  writeFileSync(
    entryFile,
    "ownership: connected # not the lab\npostgres: {host: 127.0.0.1, port: 1, user: u}\n",
  );
  const foreign = await target();
  expect([foreign.ownership, (await foreign.facts()).state]).toEqual(["connected", "unreachable"]);
  await foreign.close();
  expect(await codeOf(labUp(options))).toBe("step_refused");
  expect(await codeOf(labDown({ ...options, remove: true }))).toBe("step_refused");
  expect(await labStatus(options)).toMatchObject({ exists: false });
  writeFileSync(entryFile, "{");
  expect(await codeOf(target())).toBe("invalid_config");
  expect(await codeOf(labDown({ ...options, remove: true }))).toBe("invalid_config");
  writeFileSync(entryFile, entry);
  expect((await labUp(options)).started).toBe(false);
});

test("one that runs already is given without a look at who else is busy with the lab", async () => {
  const busy = await takeExclusively(join(options.stateDir, "nodes/lab/lab.lock"));
  expect(busy).not.toBeNull();
  expect(await labUp(options)).toMatchObject({ made: false, started: false });
  busy!.release();
});

test("down, status, up again: the same data on a stale postmaster.pid; and down twice", async () => {
  await session.close();
  expect(await labDown(options)).toEqual({ stopped: true, removed: false });
  expect(await labDown(options)).toEqual({ stopped: false, removed: false });
  expect(await labStatus(options)).toMatchObject({ exists: true, running: false, version: 18 });
  // Beside the lab of an earlier pgdba it is not known whose the entry is: then a new one is made.
  const old = join(options.stateDir, "lab");
  mkdirSync(old);
  writeFileSync(join(old, "lab.json"), "{}");
  expect(await labStatus(options)).toMatchObject({ exists: false });
  rmSync(old, { recursive: true });
  const { dataDir, entry } = labs[0]!;
  // A machine that lost power leaves this; the process id is of nobody.
  writeFileSync(join(dataDir, "postmaster.pid"), `4194303\n${dataDir}\n0\n1\n\n\n0 0\nready\n`);
  expect((await labStatus(options)).running).toBe(false);
  // And after a while the number is somebody else's, who must be left alone.
  const stranger = Bun.spawn(["sleep", "60"]);
  const text = `${stranger.pid}\n${dataDir}\n0\n1\n\n\n0 0\nready\n`;
  writeFileSync(join(dataDir, "postmaster.pid"), text);
  writeFileSync(join(dataDir, "../s", `.s.PGSQL.${entry.spec?.port}.lock`), text);
  expect((await labStatus(options)).running).toBe(false);
  expect(await labDown(options)).toEqual({ stopped: false, removed: false });
  const again = await labUp(options);
  expect(stranger.exitCode).toBe(null);
  stranger.kill();
  expect([again.made, again.started, again.entry.identity]).toEqual([false, true, entry.identity]);
  session = await openSession(again.connection);
  expect(Object.values((await first(EVIDENCE["idle-in-transaction"] ?? "")) ?? {})).toEqual([true]);
}, 300_000);

test("where its port was taken meanwhile it gets another, and the registry follows", async () => {
  await session.close();
  await labDown(options);
  const { port } = await labStatus(options);
  const stranger = createServer((socket) => socket.destroy()).listen(port!, "127.0.0.1");
  await once(stranger, "listening");
  const labels = readFileSync(entryFile, "utf8").replace("  - lab\n", "  - lab\n  - frail # Ann\n");
  writeFileSync(entryFile, labels);
  const again = await labUp(options);
  await new Promise((done) => stranger.close(done));
  const moved = again.entry.spec!.port;
  expect(moved).not.toBe(port!);
  expect(again.entry.data.nodes).toMatchObject([
    { address: { port: moved }, reach: { port: moved } },
  ]);
  expect(readFileSync(entryFile, "utf8")).toBe(labels.replaceAll(String(port), String(moved)));
  session = await openSession(again.connection);
  expect(await first("SELECT count(*) AS n FROM shop.products")).toEqual({ n: 1000 });
}, 300_000);

test("one that can't be started is left to whoever mends it", async () => {
  await session.close();
  await labDown(options);
  const settings = join(labs[0]!.dataDir, "postgresql.conf");
  renameSync(settings, `${settings}.away`);
  const lab = await target();
  const { state, why } = await lab.facts();
  expect([state, why?.code]).toEqual(["down", "command_failed"]);
  const nodes = (await lab.use!("nodes", reader)) as Access["nodes"];
  expect((await nodes.state("lab")).running).not.toBe("running");
  renameSync(`${settings}.away`, settings);
  await lab.close();
  session = await openSession((await labUp(options)).connection);
}, 300_000);

test("a run that goes on finds it as it was left", async () => {
  await session.close();
  await labDown(options);
  const resumed = { stateDir: options.stateDir, env: {}, onSecret: () => {}, resumes: true };
  const lab = await resolveTarget({ ...resumed, flags: { cluster: "lab" } });
  expect((await lab.facts()).state).toBe("down");
  expect((await labStatus(options)).running).toBe(false);
  // Its step that starts the node finds the port taken: the run finds the server all the same.
  const { port } = await labStatus(options);
  const stranger = createServer((socket) => socket.destroy()).listen(port!, "127.0.0.1");
  await once(stranger, "listening");
  const nodes = (await lab.use!("nodes", { ...reader, effect: "change" })) as Access["nodes"];
  await nodes.start("lab");
  expect(await lab.refresh!()).toMatchObject({ state: "up", identity: labs[0]!.entry.identity });
  await new Promise((done) => stranger.close(done));
  expect((await labStatus(options)).port).not.toBe(port);
  await lab.close();
  session = await openSession((await labUp(options)).connection);
}, 300_000);

test("one whose making is interrupted is taken away again, with what an earlier pgdba had", async () => {
  const place = { stateDir: join(closed, "other") };
  const old = await oldLab(place.stateDir);
  const stop = new AbortController();
  let server = 0;
  let id = "";
  const making = labUp({
    ...place,
    begins: (what) => (id = "made" in what ? what.made : ""),
    signal: stop.signal,
    log(message) {
      if (!message.startsWith("filling")) return;
      server = Number(/"port": (\d+)/.exec(readFileSync(recordOf(place.stateDir), "utf8"))?.[1]);
      stop.abort(new Error("stopped"));
    },
  });
  await expect(making).rejects.toThrow("stopped");
  expect([existsSync(old.base), existsSync(old.dir), await postmaster(old.data)]).toEqual([
    false,
    false,
    null,
  ]);
  expect(server).toBeGreaterThan(0);
  const folder = dirname(recordOf(place.stateDir));
  expect(await labDiscard(place, crypto.randomUUID())).toBe(false);
  expect(await labDiscard(place, id)).toBe(true);
  expect([existsSync(folder), existsSync(join(place.stateDir, "clusters/lab.yaml"))]).toEqual([
    false,
    false,
  ]);
  expect(await labDiscard(place, id)).toBe(false);
}, 300_000);

test("one of an earlier pgdba is stopped, and removed when that is said", async () => {
  const place = { stateDir: join(closed, "earlier") };
  const old = await oldLab(place.stateDir);
  expect(await labDown(place)).toEqual({ stopped: true, removed: false });
  expect(existsSync(join(old.data, "PG_VERSION"))).toBe(true);
  expect(await labDown({ ...place, remove: true })).toEqual({ stopped: false, removed: true });
  expect([existsSync(old.base), existsSync(old.dir)]).toEqual([false, false]);
  // Also one whose record is damaged is gone once it was removed.
  mkdirSync(old.dir);
  writeFileSync(join(old.dir, "lab.json"), "{");
  expect(await labDown({ ...place, remove: true })).toEqual({ stopped: false, removed: true });
  expect(existsSync(old.dir)).toBe(false);
}, 300_000);

test("remove leaves nothing behind, also when it was cut off before", async () => {
  const { dataDir } = labs[0]!;
  // As whoever was killed in the middle of it leaves it.
  const entry = readFileSync(entryFile, "utf8");
  await session.close();
  expect(await labDown({ ...options, remove: true })).toEqual({ stopped: true, removed: true });
  writeFileSync(entryFile, entry);
  expect(await labStatus(options)).toEqual({
    exists: false,
    running: false,
    port: null,
    data_dir: null,
    version: null,
  });
  expect(await labDown({ ...options, remove: true })).toEqual({ stopped: false, removed: true });
  expect([existsSync(dataDir), existsSync(entryFile), existsSync(dirname(passwordFile))]).toEqual([
    false,
    false,
    false,
  ]);
  expect(await labDown({ ...options, remove: true })).toEqual({ stopped: false, removed: false });
}, 300_000);

function recordOf(stateDir: string): string {
  const { base } = JSON.parse(readFileSync(join(stateDir, "nodes/lab/place.json"), "utf8"));
  return join(base, "lab", "node.json");
}

/** As a pgdba left it whose lab was no cluster of the provider: running. */
async function oldLab(stateDir: string): Promise<{ dir: string; base: string; data: string }> {
  const user = ordinaryUser();
  const dir = join(stateDir, "lab");
  mkdirSync(dir, { recursive: true });
  const base = await reachableDir(join(dir, "server"), user, "old-lab", [join(root, "spare")]);
  const data = join(base, "data");
  const binaries = await openBinaries(18, user);
  await initdb({ binaries, user, dataDir: data, superuser: "postgres", password: "p" });
  const port = await freePort();
  const log = join(base, "log");
  const settings = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=`;
  const launch = ["start", "--silent", "--no-wait", "-D", data, "-l", log, "-o", settings];
  await runAs(user, [binaries.pg_ctl, ...launch], { outlives: true });
  await waitReady(data, { timeoutMs: 30_000, log });
  writeFileSync(join(dir, "lab.json"), JSON.stringify({ version: 18, port, base, seeded: true }));
  writeFileSync(join(dir, "password"), "p");
  return { dir, base, data };
}
