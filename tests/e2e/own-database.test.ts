import { afterAll, expect, test } from "bun:test";
import { sharedServer } from "../support/postgres.ts";
import { cli, place, removePlaces, runbooks } from "./support.ts";

afterAll(removePlaces);

const RUNBOOK = `summary: Tell which database is meant, and which one is connected to
risk: read
needs: [postgres]
params:
  database: {type: string, description: The one that is meant}
steps:
  - id: here
    sql.query: {sql: select current_database() as name, one_row: true}
output:
  meant: params.database
  here: steps.here.output.rows[0].name
`;

test("a runbook that works on databases by their names is told one that need not be there", async () => {
  const server = await sharedServer();
  const at = place(runbooks({ "team/which": RUNBOOK }));
  const env = { PGDBA_PG_PASSWORD: server.password };
  const words = ["--host", server.host, "--port", String(server.port), "--user", server.user];
  const gone = await cli(["team", "which", ...words, "--database", "was dropped"], at, { env });
  expect(gone.envelope).toMatchObject({ data: { meant: "was dropped", here: "postgres" } });
  const cluster =
    "ownership: connected\npostgres: " +
    JSON.stringify({
      host: server.host,
      port: server.port,
      user: server.user,
      password_env: "PGDBA_PG_PASSWORD",
    });
  const named = place({
    ...runbooks({ "team/which": RUNBOOK }),
    "home/clusters/orders.yaml": cluster,
  });
  const ran = await cli(["team", "which", "--cluster", "orders", "--database", "shop"], named, {
    env,
  });
  expect(ran.envelope).toMatchObject({ data: { meant: "shop", here: "postgres" } });
  const help = await cli(["team", "which", "--help"], named);
  expect(help.stdout.match(/--database/g)).toHaveLength(1);
});
