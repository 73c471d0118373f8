/** A command that a hint names reaches the server that the run was on, also where nothing but flags has named it. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { sharedServer, type TestServer } from "../support/postgres.ts";
import { at as partAt, cli, place, removePlaces } from "./support.ts";
import { wordsOf } from "../support/command-lines.ts";
import { call, connectTo } from "./mcp-client.ts";

setDefaultTimeout(180_000);
afterAll(removePlaces);

const flagsOf = ({ host, port, user }: TestServer): string[] => [
  "--host",
  host,
  "--port",
  String(port),
  "--user",
  user,
  "--database",
  "postgres",
];

test("a hint's command is copied as it stands", async () => {
  const server = await sharedServer();
  const { password } = server;
  const p = place();
  const env = { PGDBA_PG_PASSWORD: password };
  // In a run that reads, and one that changes something.
  for (const words of [
    ["extension", "list", "none"],
    ["sequence", "catch-up", "none"],
  ]) {
    const { envelope } = await cli([...words, ...flagsOf(server)], p, { env });
    const hint = envelope.error?.hint ?? "";
    const [, line = ""] = /^pgdba (.*) shows those/.exec(hint) ?? [];
    expect(hint).not.toContain(password);
    expect(await wordsOf(line)).toEqual([...line.split(" ").slice(0, 2), ...flagsOf(server)]);
    const copied = await cli(await wordsOf(line), p, { env });
    expect(copied.envelope.error).toBeNull();
    const run = String(partAt(envelope.error as never, "run", "id"));
    const record = await cli(["runs", run], p);
    expect(partAt(record.envelope.data, "error", "hint")).toBe(hint);
  }
});

test("over MCP it is the target of the call, once", async () => {
  const server = await sharedServer();
  const { host, port, user, password } = server;
  const client = await connectTo(place(), [], { PGPASSWORD: password });
  try {
    const target = { host, port, user, database: "postgres" };
    const args = { runbook: "extension/list", params: { extension: "none" }, target };
    const { envelope } = await call(client, "run_read", args);
    expect(envelope.error?.hint).toStartWith(
      `run_read ${JSON.stringify({ runbook: "extension/list", target })} shows those there are; `,
    );
  } finally {
    await client.close();
  }
});
