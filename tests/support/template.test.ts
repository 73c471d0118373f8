import { afterAll, expect, test } from "bun:test";
import { clientOf, startServer, type TestServer, VERSIONS } from "./postgres.ts";

const servers: TestServer[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));

for (const version of VERSIONS) {
  test(`servers of PostgreSQL ${version} are clusters of their own, though their files are copies`, async () => {
    const found: string[] = [];
    for (let n = 0; n < 2; n++) {
      const server = await startServer({ version });
      servers.push(server);
      const client = await clientOf(server);
      await client.query("create table t as select 1");
      const [row] = (await client.query("select system_identifier from pg_control_system()")).rows;
      await client.end();
      // The server compares its WAL's identifier with that of its control file when it starts.
      await server.restart();
      found.push(row.system_identifier);
    }
    expect(new Set(found).size).toBe(2);
  });
}
