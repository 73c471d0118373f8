import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { flat } from "../../../steps/health/findings/findings.ts";
import { clientOf, createDatabase, startServer, type TestServer } from "../../support/postgres.ts";
import { examine, type Place, type Report, until } from "./support.ts";

/** What is said of `check` to be not examined: `object: reason`. */
const unseenBy = (report: Report, check: string): string[] =>
  [...report.partial, ...report.skipped]
    .filter((note) => note.check === check)
    .map(({ object, reason }) => `${object ?? "all"}: ${reason}`)
    .toSorted();
/** How a command of a hint reaches the server. */
const reached = ({ host, port, user }: Place): string =>
  `--host ${host} --port ${port} --user ${user}`;

const foundBy = (report: Report, check: string): (string | null)[] =>
  flat(report.findings)
    .filter((finding) => finding.check === check)
    .map(({ object }) => object);

describe.each([13, 18] as const)("what could not be examined in PostgreSQL %d", (version) => {
  let server: TestServer;
  let place: Place;
  let database: string;
  let bare: Place;

  const run = async (...statements: string[]): Promise<void> => {
    const client = await clientOf(server, database);
    for (const sql of statements) await client.query(sql);
    await client.end();
  };

  beforeAll(async () => {
    server = await startServer({
      version,
      settings: { autovacuum: "off" },
      initdbArgs: version >= 18 ? ["--no-data-checksums"] : [],
    });
    database = await createDatabase(server);
    place = { ...server, database };
    bare = { ...place, user: "bare", password: "x" };
    const filled = "select n, md5(n::text), repeat('x', 300) from generate_series(1, 60000) n";
    await run(
      "create role bare login password 'x'",
      // Named as the catalogues name: its statistics are as good as any.
      `create table "Na;me" (id int, who name, t text); insert into "Na;me" ${filled}`,
      `create table plain (id int, who text, t text); insert into plain ${filled}`,
      `create table unknown (id int, who text, t text); insert into unknown ${filled}`,
      "alter table unknown alter column t set statistics 0",
      `create table secret (id int, who text, t text); insert into secret ${filled}`,
      "alter table secret enable row level security",
      `create table fixed (id int, a bigint, b timestamptz); insert into fixed select n, n, now() from generate_series(1, 300000) n`,
      `create index by_who on "Na;me" (who, id)`,
      "create index by_words on plain using gin (to_tsvector('simple', t || who))",
      "create table key (id int primary key); insert into key select n from generate_series(1, 20000) n",
      `create sequence hidden as int; select setval('hidden', 2000000000); grant select on sequence hidden to public; revoke all on sequence hidden from public`,
    );
    await run(
      'delete from "Na;me" where id % 10 <> 0',
      "delete from plain where id % 10 <> 0",
      "delete from unknown where id % 10 <> 0",
      "delete from secret where id % 10 <> 0",
      "delete from fixed where id % 10 <> 0",
    );
    await run('vacuum analyze "Na;me"', "vacuum analyze plain", "vacuum analyze unknown");
    // Its rows are of fixed length, whatever the statistics say.
    await run("vacuum analyze secret", "vacuum fixed");
  }, 300_000);
  afterAll(() => server?.stop());

  const lower = { "bloat-table": { info_bytes: 1e6 }, "bloat-index": { info_bytes: 1e6 } };

  test("bloat is judged where it can be, and named where it can't", async () => {
    const input = { groups: ["bloat"], thresholds: lower };
    const counted = (report: Report) => unseenBy(report, "bloat-table").length > 1;
    const report = await until(() => examine(place, input), counted);
    expect(foundBy(report, "bloat-table").toSorted()).toEqual([
      'public."Na;me"',
      "public.fixed",
      "public.plain",
      "public.secret",
    ]);
    expect(unseenBy(report, "bloat-table")).toEqual([
      "public.key: it was never vacuumed or analysed, so its size is not known",
      "public.unknown: statistics are switched off for its column t",
    ]);
    expect(unseenBy(report, "bloat-index")).toEqual([
      "public.by_words: the size that a gin index needs is not known",
      "public.key_pkey: its table was never vacuumed or analysed, so its size is not known",
    ]);
    // Even with the longest names it is mostly empty.
    expect(foundBy(report, "bloat-index")).toEqual(["public.by_who"]);
    expect(report.passed).toEqual([]);
    const full = await examine(place, {
      only: ["bloat-index"],
      thresholds: { "bloat-index": { ...lower["bloat-index"], warning: 99 } },
    });
    expect(unseenBy(full, "bloat-index")).toContain(
      "public.by_who: the names in its column who take up to 64 bytes, and nobody knows how many",
    );
  }, 300_000);

  test("a user who may not read names what the GRANT shows", async () => {
    const input = { only: ["bloat-table", "sequence-exhausted"], thresholds: lower };
    const before = await examine(bare, input);
    expect(foundBy(before, "bloat-table")).toEqual(["public.fixed"]);
    expect(unseenBy(before, "bloat-table")).toContain(
      "public.plain: bare may not read its column t, nor the statistics of it",
    );
    expect(unseenBy(before, "sequence-exhausted")).toEqual([
      "public.hidden: bare may not read its value",
    ]);
    const hints = before.partial.flatMap(({ hint }) => (hint?.startsWith("grant") ? [hint] : []));
    await run(...hints);
    const after = await examine(bare, input);
    await run("revoke all on all tables in schema public from bare", "drop owned by bare");
    expect(foundBy(after, "bloat-table").toSorted()).toEqual([
      'public."Na;me"',
      "public.fixed",
      "public.plain",
    ]);
    expect(foundBy(after, "sequence-exhausted")).toEqual(["public.hidden"]);
    expect(unseenBy(after, "bloat-table")).toContain(
      "public.secret: row security hides its statistics from bare",
    );
  }, 300_000);

  test("an index is not unused before it has had the time to be used", async () => {
    await run(
      "create table read (id int, a int); insert into read select n, n from generate_series(1, 120000) n",
      "create index new_one on read (a); analyze read",
      "do 'begin for n in 1..150 loop perform count(*) from read where id = n limit 1; end loop; end'",
    );
    const counted = (report: Report) => foundBy(report, "index-unused").length > 0;
    const only = ["index-unused"];
    const young = { min_bytes: 1000, info_days: 0 };
    const asked = () => examine(place, { only, thresholds: { "index-unused": young } });
    const [finding] = flat((await until(asked, counted)).findings);
    expect(finding).toMatchObject({
      object: "public.new_one",
      severity: "info",
      message: expect.stringMatching(
        /was scanned 0 times in the \d+ min since (it was built or altered|the statistics began); the table was read \d+ times$/,
      ),
    });
    expect(finding?.remedy.text).toContain("does not record when an index was built");
    const usual = await examine(place, {
      only,
      thresholds: { "index-unused": { min_bytes: 1000 } },
    });
    expect(usual.findings).toEqual([]);
    expect(unseenBy(usual, "index-unused")).toEqual([
      expect.stringMatching(/^all: the statistics are only \d+ min old$/),
    ]);
    await run(
      "set enable_seqscan = off; select from read where a = 5",
      "drop table if exists nothing",
    );
    const used = (report: Report) => flat(report.findings)[0]?.evidence["scans"] === 1;
    const once = flat((await until(asked, used)).findings)[0];
    expect(once?.message).toMatch(
      version >= 16 ? /was scanned 1 time .*, last 1 min ago;/ : /was scanned 1 time in the/,
    );
    await run("drop table read");
  }, 300_000);

  test("whether a change was taken back is known to those who may read the files", async () => {
    const input = { only: ["pending-restart"] };
    await run("alter system set max_locks_per_transaction = 99", "select pg_reload_conf()");
    await until(
      () => examine(place, input),
      (report) => foundBy(report, "pending-restart").length > 0,
    );
    await run("alter system reset max_locks_per_transaction");
    const before = await examine(bare, input);
    expect(flat(before.findings).map(({ message }) => message)).toEqual([
      expect.stringMatching(/max_locks_per_transaction was changed .* bare can't read the files/),
    ]);
    const hint = before.partial.flatMap((note) => note.hint ?? []);
    expect(unseenBy(before, "pending-restart")).toEqual([
      expect.stringMatching(/^all: a change that was taken back may still be told of/),
      "all: bare lacks pg_read_all_settings and sees only what it may read",
    ]);
    await run(...hint);
    const after = await examine(bare, input);
    await run("revoke pg_monitor from bare", "drop owned by bare");
    expect([after.findings, after.partial, after.passed]).toEqual([[], [], ["pending-restart"]]);
  }, 300_000);

  test("keys without statistics, and an extension without its files, are named", async () => {
    await run(
      "create extension hstore",
      "update pg_extension set extname = 'gone' where extname = 'hstore'",
    );
    const only = ["integer-key-exhausted", "extension-outdated"];
    const report = await until(
      () => examine(place, { only }),
      (answer) => answer.partial.length > 1,
    );
    await run("update pg_extension set extname = 'hstore' where extname = 'gone'");
    expect(unseenBy(report, "integer-key-exhausted")).toEqual([
      "public.key: its key has no statistics",
    ]);
    expect(unseenBy(report, "extension-outdated")[0]).toStartWith("gone: its files are not");
  });

  test("a counter that is off is no zero", async () => {
    await run(`alter database "${database}" set track_counts = off`);
    const only = ["dead-rows", "deadlocks", "io-slow", "checksum-failures", "cache-hit"];
    const report = await examine(place, { only });
    await run(`alter database "${database}" reset track_counts`);
    expect(report.summary).toMatchObject({ worst: "unknown", skipped: 5, ok: 0 });
    expect(report.findings.map(({ check }) => check)).toEqual([]);
    expect(unseenBy(report, "deadlocks")).toEqual([
      "all: track_counts is off: the server does not know the figures that this judges",
    ]);
    expect(report.skipped.find(({ check }) => check === "dead-rows")?.hint).toBe(
      `pgdba config apply --settings '{"track_counts":"on"}' ${reached(place)}`,
    );
    const later = await examine(place, { only });
    expect(later.skipped.map(({ check }) => check)).toEqual(["checksum-failures", "io-slow"]);
    expect(later.skipped.map(({ hint }) => hint === null)).toEqual([true, false]);
  });

  test("a number that nobody knows is asked for", async () => {
    const only = ["memory-worst-case", "standbys-missing"];
    // Not by an address of this host, and without the right to ask the server for its machine.
    const elsewhere = { ...bare, host: "0.0.0.0" };
    const [memory] = (await examine(elsewhere, { only })).skipped;
    expect(memory).toMatchObject({
      check: "memory-worst-case",
      hint: expect.stringMatching(/^grant pg_read_server_files to bare; grant execute/),
    });
    const report = await examine(place, { only });
    expect(report.passed).toEqual(["memory-worst-case"]);
    expect(report.skipped.map(({ hint }) => hint)).toEqual([
      `pgdba health check --thresholds '{"standbys-missing": {"expected": 1}}' ${reached(place)}`,
    ]);
    expect((await examine(place, { only: ["standbys-missing"] })).summary.worst).toBe("unknown");
    const known = await examine(place, {
      only,
      thresholds: { "standbys-missing": { expected: 1 } },
    });
    expect(known.skipped).toEqual([]);
    expect(foundBy(known, "standbys-missing")).toEqual([null]);
  });

  test("a session that does not tell what it does is named", async () => {
    const client: Client = await clientOf(server, database);
    await client.query("set track_activities = off");
    await client.query("begin");
    const report = await examine(place, { only: ["idle-in-transaction"] });
    await client.end();
    expect(unseenBy(report, "idle-in-transaction")).toEqual([
      `pid ${(client as unknown as { processID: number }).processID}: its statement is not known, because track_activities is off for it`,
    ]);
    expect(report.passed).toEqual([]);
  });
});
