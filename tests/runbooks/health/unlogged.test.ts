import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { flat } from "../../../steps/health/findings/findings.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { examine } from "./support.ts";

describe.each([13, 18] as const)("what is unlogged in PostgreSQL %d", (version) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ version, settings: { archive_mode: "on", max_wal_size: "2GB" } });
    const client = await clientOf(server);
    await client.query(`create unlogged table small (id int primary key); insert into small values (1);
      create unlogged table child (id int primary key references small);
      create unlogged table large as select n, repeat('x', 1000) as t from generate_series(1, 70000) n;
      create unlogged table meant (id int); comment on table meant is 'a cache';
      select pg_create_physical_replication_slot('standby', true)`);
    await client.end();
  }, 300_000);
  afterAll(() => server?.stop());

  test("is a warning where somebody trusts copies that do not have it, and a command only where it takes a moment", async () => {
    const holder = await clientOf(server);
    await holder.query("begin; create table t (id int); lock table meant");
    const report = await examine(server, { only: ["table-unlogged"] });
    await holder.end();
    expect([report.errors, report.partial]).toEqual([[], []]);
    const trust =
      "; this server has 1 slot of a standby, an archive of WAL, in none of which it is";
    const found = flat(report.findings).map(({ object, severity, message, remedy }) => [
      object,
      severity,
      message.replace(/ \(\d+ [a-zA-Z]+\)/, " (SIZE)"),
      remedy.params?.["table"] ?? null,
      remedy.sql,
    ]);
    expect(found.toSorted()).toEqual([
      ["public.child", "warning", `public.child is unlogged (SIZE)${trust}`, null, null],
      ["public.large", "warning", `public.large is unlogged (SIZE)${trust}`, null, null],
      [
        "public.meant",
        "warning",
        `public.meant is unlogged${trust}; its comment: a cache`,
        null,
        null,
      ],
      ["public.small", "warning", `public.small is unlogged (SIZE)${trust}`, "public.small", null],
    ]);
    const text = (name: string) =>
      flat(report.findings).find(({ object }) => object === name)?.remedy.text;
    expect(text("public.child")).toContain("first public.small");
    expect(text("public.large")).toContain("--max-size");
  }, 300_000);
});
