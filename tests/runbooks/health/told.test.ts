import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { flat } from "../../../steps/health/findings/findings.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { examine } from "./support.ts";

describe.each([13, 18] as const)("what findings say in PostgreSQL %d", (version) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ version });
    const client = await clientOf(server);
    await client.query("create database frozen");
    await client.query(`grant create on schema public to public; create role app;
      alter role app set application_name = 'shop'; alter role app set random_page_cost = 40; alter role app set work_mem = '8MB';
      alter database frozen set default_transaction_read_only = on; alter database postgres set zero_damaged_pages = on;
      create table its_own (id int)`);
    await client.end();
  }, 300_000);
  afterAll(() => server?.stop());

  test("nothing is granted where nobody needs it", async () => {
    const [finding] = flat((await examine(server, { only: ["public-create"] })).findings);
    expect(finding!.remedy!.sql).toBe("revoke create on schema public from public;");
  }, 300_000);

  test("a value of a role's own stands beside the server's, not this connection's, with what it does where it does harm", async () => {
    const report = await examine(server, { only: ["settings-overridden"] });
    expect(report.errors).toEqual([]);
    expect(flat(report.findings).map(({ severity, message }) => [severity, message])).toEqual([
      [
        "warning",
        "database frozen has default_transaction_read_only = on, the server off: all writes are refused",
      ],
      [
        "warning",
        "role app has random_page_cost = 40, the server 4: the planner takes indexes for far too dear and reads whole tables instead",
      ],
      // The comment that initdb gives it is nobody's.
      ["warning", "database postgres has zero_damaged_pages = on: damaged pages pass unseen"],
      ["info", "role app has application_name = shop"],
      ["info", "role app has work_mem = 8MB, the server 4096 kB"],
    ]);
    // Only what does harm and nothing else is taken out by a command; the others may guard something.
    const given = flat(report.findings).filter(
      ({ remedy }) => remedy.sql !== null || remedy.command !== null,
    );
    expect(given.map(({ object, remedy }) => [object, remedy.sql])).toEqual([
      ["random_page_cost of role app", "alter role app reset random_page_cost;"],
      [
        "zero_damaged_pages of database postgres",
        "alter database postgres reset zero_damaged_pages;",
      ],
    ]);
    const told = flat(report.findings).find(({ object }) => object === "work_mem of role app");
    expect(told?.remedy.text).toEndWith(
      "a person takes it out (alter role app reset work_mem;). New sessions then have 4096 kB instead of 8MB, unless another role or database setting wins.",
    );
  }, 300_000);
});
