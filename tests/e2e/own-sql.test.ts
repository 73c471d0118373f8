import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { clientOf, createDatabase, type TestServer } from "../support/postgres.ts";
import { clusterFile, sharedServer } from "./server.ts";
import { at, cli, type Env, type Place, place, removePlaces, runbooks } from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

let server: TestServer;
let env: Env;
let p: Place;

const ABOUT = `summary: "t", example: "", idempotent: true, input: {type: "object"}, output: {type: "object"}`;
/** As docs/authoring.md shows it. */
const TYPES: Record<string, string> = {
  "own.tables": `effect: "read", needs: ["postgres"],
    async run(ctx) {
      const postgres = await ctx.use("postgres");
      const { rows } = await postgres.query("select count(*)::int as n from pg_class where relkind = $1", ["r"]);
      return { tables: rows[0].n, password: "password" in postgres.spec };
    }`,
  "own.acts": `effect: "read", needs: ["postgres"],
    async run(ctx) {
      const postgres = await ctx.use("postgres");
      const said = {};
      const tries = {
        execute: () => postgres.execute("create table sneaky (n int)"),
        query: () => postgres.query("select pg_advisory_lock(7)"),
        session: async () => (await postgres.session()).query("create table sneaky (n int)"),
        transaction: async () => (await postgres.session()).transaction({ readOnly: false }, (run) => run("create table sneaky (n int)")),
        ends: async () => (await postgres.session()).ask("select pg_terminate_backend(0)"),
        program: async () => (await postgres.open()).query("copy (select 1) to program 'true'"),
        settings: async () => (await postgres.session()).ask("set work_mem = '5MB'"),
        inside: async () => (await postgres.session()).transaction({ readOnly: true }, (run) => run("select pg_reload_conf()")),
        batch: async () => (await postgres.session()).readBatch(["select 1", "checkpoint"], {}),
        other: async () => (await postgres.open()).query("create table sneaky (n int)"),
      };
      for (const [name, act] of Object.entries(tries)) said[name] = await act().then(() => "done", (error) => error.code);
      return said;
    }`,
  "own.undeclared": `effect: "read",
    async run(ctx) { await ctx.use("postgres"); return {}; }`,
  "own.writes": `effect: "change", risk: "change", needs: ["postgres"],
    async run(ctx) {
      const postgres = await ctx.use("postgres");
      const { row_count } = await postgres.execute("insert into notes values ($1), ($2)", ["a", "b"]);
      return { row_count };
    },
    async undo(ctx) { await (await ctx.use("postgres")).execute("delete from notes"); }`,
};

beforeAll(async () => {
  server = await sharedServer();
  env = { CLUSTER_PASSWORD: server.password };
  const database = await createDatabase(server);
  const client = await clientOf(server, database);
  await client.query("create table notes (word text)");
  await client.end();
  const steps = Object.entries(TYPES).map(([type, members]) => [
    `cwd/.pgdba/steps/${type}.ts`,
    `export default { type: "${type}", ${ABOUT}, ${members} };\n`,
  ]);
  p = place({
    "home/config.yaml": "user_steps: true\n",
    "home/clusters/orders.yaml": clusterFile(server, "managed").replace(
      "user:",
      `database: ${database}, user:`,
    ),
    ...Object.fromEntries(steps),
    ...runbooks({
      "t/tables":
        "summary: s\nrisk: read\nsteps: [{id: own, own.tables: {}}]\noutput: {own: steps.own.output}\n",
      "t/acts":
        "summary: s\nrisk: read\nsteps: [{id: own, own.acts: {}}]\noutput: {own: steps.own.output}\n",
      "t/undeclared": "summary: s\nrisk: read\nsteps: [{id: own, own.undeclared: {}}]\n",
      "t/writes":
        "summary: s\nrisk: change\nsteps: [{id: own, own.writes: {}}, {assert: {that: params.well, message: no}}]\nparams: {well: {type: boolean, default: true}}\noutput: {own: steps.own.output}\n",
    }),
  });
});

const run = (name: string, ...more: string[]) =>
  cli(["t", name, "--cluster", "orders", ...more], p, { env });

test("a step type of one's own counts tables", async () => {
  const ran = await run("tables");
  expect(ran.envelope.error).toBeNull();
  expect(at(ran.envelope, "data", "own")).toMatchObject({ password: false });
  expect(at(ran.envelope, "data", "own", "tables")).toBeGreaterThan(50);
});

test("one that reads can do no more than read, by whichever way it asks", async () => {
  const ran = await run("acts");
  expect(at(ran.envelope, "data", "own")).toEqual({
    execute: "step_refused",
    query: "step_refused",
    session: "step_refused",
    transaction: "step_refused",
    ends: "step_refused",
    program: "step_refused",
    settings: "step_refused",
    inside: "step_refused",
    batch: "step_refused",
    other: "step_refused",
  });
});

test("one that does not declare what it uses gets nothing", async () => {
  const ran = await run("undeclared");
  expect(ran.envelope.error).toMatchObject({ code: "step_refused", step: "own" });
  expect(ran.envelope.error?.hint).toContain('needs: ["postgres"]');
});

test("one that changes something is let, and is taken back", async () => {
  const ran = await run("writes");
  expect(ran.envelope.error).toBeNull();
  expect(at(ran.envelope, "data", "own", "row_count")).toBe(2);
  expect((await run("writes", "--well=false")).exit).toBe(5);
});
