/** What an agent that has the tools alone does with findings and hints: it calls what they say, as it stands. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Client } from "@modelcontextprotocol/client";
import type { JsonObject } from "../../engine/types.ts";
import { clientOf, startServer, type TestServer } from "../support/postgres.ts";
import { call, connectTo } from "./mcp-client.ts";
import { at, place, removePlaces } from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const FAULTS = `create schema "Ödd ""S"; set search_path = "Ödd ""S";
  create table "t;" (id int primary key, n int); alter table "t;" add constraint "Pos;" check (n > 0) not valid;
  alter table "t;" set (autovacuum_enabled = off); create table no_key (n int); create publication p for table no_key;
  alter database postgres set enable_seqscan = off`;
const ONLY = [
  "constraint-not-valid",
  "autovacuum-off-table",
  "autovacuum-off",
  "table-without-key",
  "planner-methods-off",
];

interface Found {
  check: string;
  call?: Call;
  remedy: { call?: Call; [key: string]: unknown };
}
interface Call {
  tool: string;
  arguments: JsonObject & { runbook: string; target?: JsonObject };
}

describe.each([13, 18] as const)("PostgreSQL %d", (version) => {
  const p = place();
  const clients: Client[] = [];
  let server: TestServer;
  let target: JsonObject;
  const connect = async (...flags: string[]): Promise<Client> => {
    const more = { PGPASSWORD: server.password, PGSSLMODE: "disable" };
    const client = await connectTo(p, flags, more);
    clients.push(client);
    return client;
  };

  beforeAll(async () => {
    server = await startServer({ version, settings: { wal_level: "logical", autovacuum: "off" } });
    const { host, port } = server;
    target = { host, port, user: "postgres", database: "postgres" };
    const client = await clientOf(server);
    await client.query(FAULTS);
    await client.end();
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await server.stop();
  });

  const examine = async (client: Client, args: object): Promise<Found[]> => {
    const { envelope } = await call(client, "run_read", {
      runbook: "health/check",
      params: { only: ONLY },
      ...args,
    });
    expect(envelope.error).toBeNull();
    return at(envelope.data, "findings") as unknown as Found[];
  };

  test("every finding has the call that mends it, and is gone after it", async () => {
    const client = await connect();
    const found = await examine(client, { target });
    expect([...new Set(found.map(({ check }) => check))].toSorted()).toEqual(ONLY.toSorted());
    const short = await examine(client, { target, brief: true });
    expect(short[0]?.call).toEqual(found[0]?.remedy.call);
    for (const { check, remedy } of found) {
      expect([check, Object.keys(remedy)]).toEqual([
        check,
        ["text", "sql", "call", "also", "by_hand"],
      ]);
      expect(remedy.call!.arguments.target).toEqual(target);
      const done = await call(client, remedy.call!.tool, remedy.call!.arguments);
      expect([check, done.envelope.error]).toEqual([check, null]);
    }
    expect(await examine(client, { target })).toEqual([]);
  });

  test("where the server is fixed, calls do without it", async () => {
    const { host, port } = server;
    const client = await connect("--host", host, "--port", String(port), "--user", "postgres");
    const found = await examine(client, { params: {} });
    const calls = found.flatMap(({ remedy }) => remedy.call ?? []);
    expect(calls.length).toBeGreaterThan(3);
    for (const { arguments: args } of calls)
      expect(Object.keys(args.target ?? {}).filter((name) => name !== "database")).toEqual([]);
    for (const { tool, arguments: args } of calls) {
      const planned = await call(client, tool === "run" ? "plan" : tool, args);
      // One may need what this server lacks, such as an extension; each is a good call.
      const wrong = ["usage", "invalid_param", "unknown_runbook"];
      expect([args, wrong.includes(String(planned.envelope.error?.code))]).toEqual([args, false]);
    }
  });

  test("hints name tools and arguments; what a table holds stays as it is", async () => {
    const client = await connect();
    const extension = { runbook: "extension/list", params: { extension: "none" }, target };
    const hint = (await call(client, "run_read", extension)).envelope.error?.hint ?? "";
    expect(hint).toContain("target.database chooses another database");
    expect(hint).not.toMatch(/pgdba|--/);
    const [, args = ""] = /run_read (\{.*\}) shows/.exec(hint) ?? [];
    const listed = await call(client, "run_read", JSON.parse(args) as object);
    expect(listed.envelope.error).toBeNull();
    const sql = "select 'pgdba session list' as command";
    const rows = await call(client, "run_read", { runbook: "query/rows", params: { sql }, target });
    expect(at(rows.envelope.data, "rows", 0, "command")).toBe("pgdba session list");
  });
});
