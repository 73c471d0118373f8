/** Damage that is the same on every node, so that none has the data any more; and what a drill of damage refuses before it takes a backup. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { at, cli, type Ran, removePlaces, Running } from "../../e2e/support.ts";
import { runIn } from "../../support/live.ts";
import { LIMIT_MS, Rehearsed, until } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
const pgdba = (...argv: string[]): Promise<Ran> =>
  cli([...argv, "--cluster", "shop", "--format", "json"], shop.place, { limitMs: LIMIT_MS });
const MEANT = ["--yes", "--i-know-what-i-am-doing"];
const QUICK = ["--steady", "1s", "--min-free-percent", "0", "--least", "100"];
/** With the verified backup that comes before it. */
const everywhere = (how: string): Promise<Ran> =>
  pgdba("chaos", "corrupt", "--how", how, "--host", "all", ...MEANT, ...QUICK);
const backups = async () => at((await pgdba("backup", "list")).envelope.data, "backups");

beforeAll(async () => {
  // The client programs that bring a table over are those of this version.
  expect((await shop.create("--nodes", "pg1,pg2", "--pg-version", "15")).exit).toBe(0);
  expect((await pgdba("cluster", "label", "--add", "test")).exit).toBe(0);
  const folder = join(shop.place.root, "backups");
  const setup = ["backup", "setup", "--repository", folder, "--restart", "--yes"];
  expect((await pgdba(...setup)).envelope.error).toBeNull();
});
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

test("what can't be done is refused before a backup is taken; there is one then", async () => {
  for (const [argv, why] of [
    [["--host", "pg9"], "has no member pg9"],
    [["--table", "public.nobody"], "no table public.nobody"],
    [["--table", "pg_catalog.pg_proc"], "belongs to PostgreSQL itself"],
    [["--table", "pg_catalog.pg_authid"], "belongs to PostgreSQL itself"],
    [["--how", "wal", "--host", "all"], "not for --how wal"],
    [["--host", "all", "--table", "pg_catalog.pg_proc"], "only for the drill's own table"],
    [["--how", "wal", "--host", "leader"], "would start with less"],
  ] as const) {
    const ran = await pgdba("chaos", "corrupt", ...argv, ...MEANT);
    expect(ran.envelope.error?.message).toContain(why);
  }
  expect(await backups()).toEqual([]);
  expect((await pgdba("backup", "create", "--yes")).envelope.error).toBeNull();
});

for (const [how, by] of [
  // No means that only looks at the nodes sees it.
  ["zero", ["comparison with a backup"]],
  ["heap", ["seqscan", "comparison with a backup"]],
] as const)
  test(`${how} on every node: no node has the rows any more, and they come back out of a backup, as of the moment before`, async () => {
    const ran = await everywhere(how);
    expect([ran.envelope.error, ran.envelope.data]).toMatchObject([
      null,
      {
        verdict: "valid",
        unexpected: [],
        fault: { node: "all", took: true },
        found: { by: expect.arrayContaining([...by]) },
        repaired: ["the rows were put back out of a backup"],
        point_of_recovery: { lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) },
        lost: 0,
      },
    ]);
    const found = at(ran.envelope.data, "found") as { by: string[]; damaged: string[] };
    expect(found.damaged.toSorted()).toEqual(["pg1", "pg2"]);
    if (how === "zero") expect(found.by).toEqual([...by]);
    expect(await (await shop.nodes()).armed()).toEqual([]);
    expect(await shop.ask("pg1", "SELECT 1 FROM pg_namespace WHERE nspname ~ 'pgdba'")).toEqual([]);
  });

for (const moment of ["start held", "start put_back"])
  test(`pgdba is killed at "${moment}": what is damaged everywhere is told, and resume brings the rows back`, async () => {
    const what = ["chaos", "corrupt", "--how", "truncate", "--host", "all"];
    const argv = [...what, ...MEANT, "--without-backup=shop", ...QUICK];
    const child = new Running([...argv, "--cluster", "shop", "--format", "json"], shop.place, {
      limitMs: LIMIT_MS,
    });
    await until(
      async () => child.stderr,
      (said) => said.includes(moment),
      150_000,
    );
    child.signal("SIGKILL");
    const { stderr } = await child.ended();
    const status = await pgdba("cluster", "status");
    expect(JSON.stringify(at(status.envelope.data, "findings"))).toContain(
      "backup restore --table",
    );
    const resume = ["resume", runIn(stderr)!, "--format", "json"];
    const resumed = await cli(resume, shop.place, { limitMs: LIMIT_MS });
    // Its clients died with it: what they were told is not known any more.
    expect(at(resumed.envelope.data, "verdict")).toBe("unknown");
    expect(at(resumed.envelope.data, "unexpected")).toEqual([]);
    expect(at(resumed.envelope.data, "repaired")).toEqual([
      "the rows were put back out of a backup",
    ]);
    expect(await (await shop.nodes()).armed()).toEqual([]);
  });

test("an index that is damaged on every node is made anew from its table", async () => {
  const ran = await everywhere("index");
  expect([ran.envelope.error, ran.envelope.data]).toMatchObject([
    null,
    { verdict: "valid", unexpected: [], repaired: ["the indexes were made anew"] },
  ]);
});
