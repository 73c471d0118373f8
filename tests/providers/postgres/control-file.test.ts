import { expect, test } from "bun:test";
import { primarySettings, readControl } from "../../../providers/postgres/control-file.ts";
import { openSession } from "../../../providers/postgres/session.ts";
import { clientOf, createDatabase, sharedServer, VERSIONS } from "../../support/postgres.ts";

const NAMES = [
  "max_connections",
  "max_locks_per_transaction",
  "max_prepared_transactions",
  "max_wal_senders",
  "max_worker_processes",
];

test.each([...VERSIONS])(
  "the control file of PostgreSQL %d holds its settings, for who may read it",
  async (version) => {
    const server = await sharedServer(version);
    const database = await createDatabase(server);
    const client = await clientOf(server);
    const { rows } = await client.query(
      "select name, setting::int as value from pg_settings where name = any ($1)",
      [NAMES],
    );
    const role = `control_${database}`;
    await client.query(`create role ${role} login password 'secret'`);
    const about = { ...server, database, sslmode: "disable", application_name: "test" } as const;
    const ask = async (user: string, password: string) => {
      const pg = await openSession({ ...about, user, password: () => password });
      try {
        return await primarySettings(pg);
      } finally {
        await pg.close();
      }
    };
    expect(Object.fromEntries((await ask("postgres", server.password)) ?? [])).toEqual(
      Object.fromEntries(rows.map((row) => [row.name, row.value])),
    );
    expect(await ask(role, "secret")).toBeNull();
    await client.query(`drop role ${role}`);
    await client.end();
  },
);

test("a file of another machine's order of bytes is read too, one of another kind is not", () => {
  const file = Buffer.alloc(200);
  expect(readControl(file)).toBeNull();
  expect(readControl(file.subarray(0, 100))).toBeNull();
  file.writeInt32BE(1800, 8);
  file.writeInt32BE(150, 180);
  expect(readControl(file)?.get("max_connections")).toBe(150);
});
