import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { compile } from "../../../engine/check/compile.ts";
import type { JsonObject, StepRegistry } from "../../../engine/types.ts";
import { loaders } from "../../../steps/_registry.ts";
import { at, cli, type Place, place, raw, removePlaces, Running } from "../../e2e/support.ts";
import { createDatabase, sharedServer, type TestServer } from "../../support/postgres.ts";
import { expectShape, run } from "../../steps/report/support.ts";
import { libraryWith } from "./support.ts";

const registry: StepRegistry = {
  names: () => Object.keys(loaders),
  has: (type) => Object.hasOwn(loaders, type),
  get: async (type) => (await loaders[type]!()).default,
};

let server: TestServer;
let database: string;
let here: Place;

beforeAll(async () => {
  server = await sharedServer();
  database = await createDatabase(server);
  await run(
    server,
    database,
    "create extension pg_stat_statements",
    `create table "<b>" as select generate_series(1, 5000) n`,
  );
  here = place();
  Object.assign(here.env, {
    PGDBA_PG_HOST: server.host,
    PGDBA_PG_PORT: String(server.port),
    PGDBA_PG_USER: server.user,
    PGDBA_PG_PASSWORD: server.password,
    PGDBA_PG_DATABASE: database,
  });
});
afterAll(removePlaces);

async function compiled(name: string) {
  const library = libraryWith();
  return compile(await library.load(name), { registry, library });
}

test("the runbooks are free of faults, read only, and say what they give", async () => {
  for (const name of ["health/report", "health/serve"]) {
    const { runbook, diagnostics } = await compiled(name);
    expect(diagnostics.map((fault) => `${fault.where.line} ${fault.message}`)).toEqual([]);
    expect(runbook).toMatchObject({ risk: "read", needs: ["postgres"] });
    const untyped = Object.entries(runbook!.outputSchema.properties ?? {}).filter(
      ([, schema]) => Object.keys(schema).length === 0,
    );
    expect(untyped).toEqual([]);
  }
});

test("a report has everything of the health check and more, and fits the schema that is promised for it", async () => {
  const ran = await cli(["health", "report", "--full", "--html", "r.html"], here);
  expect(ran.exit).toBe(0);
  const { run: _, ...data } = ran.envelope.data as JsonObject;
  expectShape((await compiled("health/report")).runbook!.outputSchema, data);
  const check = (await cli(["health", "check", "--full"], here)).envelope.data as JsonObject;
  for (const key of Object.keys(check).filter((name) => name !== "run"))
    expect(Object.keys(data)).toContain(key);
  expect(at(data, "sizes", "relations", 0, "name")).toBe('public."<b>"');
  expect(at(data, "missing")).toEqual([]);
  expect(at(data, "html")).toBe(join(here.cwd, "r.html"));
  expect(readFileSync(join(here.cwd, "r.html"), "utf8")).toContain("public.&quot;&lt;b&gt;&quot;");
  const file = String(at(data, "snapshot"));
  expect(file).toStartWith(join(here.home, "snapshots", String(at(data, "server", "identity"))));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(ran.stdout + ran.stderr).not.toContain(server.password);
});

test("the next one compares with it, and the table is there to be read", async () => {
  await run(server, database, `insert into "<b>" select generate_series(1, 50000)`);
  const ran = await cli(["health", "report", "--full", "--no-snapshot"], here);
  expect(at(ran.envelope, "data", "trends", "snapshots")).toBe(1);
  expect(at(ran.envelope, "data", "trends", "relations", 0)).toMatchObject({
    name: 'public."<b>"',
    grown: expect.stringMatching(/MB/),
  });
  expect(at(ran.envelope, "data", "snapshot")).toBeNull();
  const { exit, stdout } = await raw(
    ["health", "report", "--format", "table", "--no-snapshot"],
    here,
  );
  expect(exit).toBe(0);
  expect(stdout).toContain("fsync is off");
  for (const word of ["trends", "statements", "sizes", "replication", "configuration"])
    expect(stdout).toMatch(new RegExp(`^${word}$`, "m"));
  expect(stdout).not.toMatch(/\[object|undefined/);
  expect(Math.max(...stdout.split("\n").map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(
    100,
  );
});

test("a plan reads and writes nothing", async () => {
  const before = readdirSync(join(here.home, "snapshots"), { recursive: true });
  const ran = await cli(["health", "report", "--full", "--plan", "--html", "planned.html"], here);
  expect(ran.exit).toBe(0);
  expect(existsSync(join(here.cwd, "planned.html"))).toBeFalse();
  expect(readdirSync(join(here.home, "snapshots"), { recursive: true })).toEqual(before);
});

test("the endpoint serves until it is told to stop, and then ends well with one envelope", async () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const serving = new Running(
      ["health", "serve", "0", "--skip", "fsync-off,full-page-writes-off"],
      here,
    );
    await serving.said(/listening on http:\S+/);
    const url = /listening on (http:\S+)/.exec(serving.stderr)![1]!;
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const begun = performance.now();
    serving.signal(signal);
    const ran = await serving.done();
    expect(performance.now() - begun).toBeLessThan(15_000);
    expect([ran.exit, ran.envelope.error]).toEqual([0, null]);
    expect(await fetch(`${url}/healthz`).catch(() => "refused")).toBe("refused");
  }
  const ready = new Running(["health", "serve", "0", "--only", "fsync-off"], here);
  await ready.said(/listening on/);
  const answer = await fetch(`${/listening on (http:\S+)/.exec(ready.stderr)![1]!}/readyz`);
  expect([answer.status, await answer.json()]).toMatchObject([503, { failing: ["fsync-off"] }]);
  ready.signal("SIGTERM");
  expect((await ready.done()).exit).toBe(0);
}, 300_000);
