import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { compile } from "../../../engine/check/compile.ts";
import { makeRegistry } from "../../../engine/cli/library.ts";
import { openLibrary } from "../../../engine/load/library.ts";
import { loaders } from "../../../steps/_registry.ts";
import { cli, place, removePlaces } from "../../e2e/support.ts";
import { bench } from "./support.ts";

const registry = makeRegistry(loaders);
const library = openLibrary([{ name: "builtin", dir: join(import.meta.dir, "../../../runbooks") }]);

describe.each(["query/analyze", "query/slow-log"])("%s", (name) => {
  test("passes every static check, reads only, and says what it gives", async () => {
    const { runbook, diagnostics } = await compile(await library.load(name), { registry, library });
    expect(diagnostics).toEqual([]);
    expect(runbook).toMatchObject({ name, risk: "read", needs: ["postgres"] });
    const given = Object.entries(runbook?.outputSchema.properties ?? {});
    expect(
      given.filter(([, schema]) => schema.type === undefined && schema.anyOf === undefined),
    ).toEqual([]);
  });
});

afterAll(removePlaces);

test("from the command line: a snapshot with each run, what happened since, and a page", async () => {
  const on = await bench();
  await on.sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE things AS SELECT 1 AS id");
  const { host, port, user, password } = on.server;
  const at = place();
  const run = (...args: string[]) =>
    cli(
      [...args, "--host", host, "--port", String(port), "--user", user, "--database", on.database],
      at,
      {
        env: { PGPASSWORD: password, PGSSLMODE: "disable" },
      },
    );

  const first = await run("query", "slow-log", "--since", "last");
  expect([first.exit, first.envelope.error?.code]).toEqual([2, "invalid_param"]);
  await on.sql("SELECT count(id) FROM things");
  const { envelope } = await run("query", "slow-log", "--since", "1h", "--limit", "1000");
  expect(envelope.data).toMatchObject({
    statements: expect.arrayContaining([
      expect.objectContaining({ query: "SELECT count(id) FROM things", calls: 1, basis: "new" }),
    ]),
    interval: { reset: false, evicted: 0 },
    snapshot: expect.stringContaining(at.home),
    active_mean: null,
  });
  expect((await run("query", "slow-log")).envelope.data).toMatchObject({
    interval: null,
    snapshot: expect.stringContaining(at.home),
  });
  const both = await run("query", "slow-log", "--live", "--looks", "1", "--since", "last");
  expect([both.exit, both.envelope.error?.code]).toEqual([2, "invalid_param"]);
  const hasty = await run("query", "analyze", "SELECT 1", "--timeout", "0s");
  expect([hasty.exit, hasty.envelope.error?.code]).toEqual([2, "invalid_param"]);
  const live = await run("query", "slow-log", "--live", "--looks", "1");
  expect(live.envelope.data).toMatchObject({ interval: null, snapshot: null });

  const html = join(at.cwd, "plan.html");
  const drawn = await run("query", "analyze", "SELECT * FROM things", "--html", "plan.html");
  expect(drawn.envelope.data).toMatchObject({ html, findings: [] });
  expect(await Bun.file(html).text()).toContain("Seq Scan on things");
  await on.close();
}, 300_000);
