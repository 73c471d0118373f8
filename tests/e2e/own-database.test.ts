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

test("a cluster is reached in the database that is named, and the commands of an answer name both", async () => {
  const server = await sharedServer();
  const files = {
    ...runbooks({
      "team/where": `summary: Tell where it is
risk: read
needs: [postgres]
steps:
  - id: here
    sql.query: {sql: select current_database() as name, one_row: true}
output: {here: "steps.here.output.rows[0].name", flags: target.flags}
`,
    }),
    "home/clusters/orders.yaml": `ownership: connected
postgres: ${JSON.stringify({ host: server.host, port: server.port, user: server.user, password_env: "PW" })}
nodes:
  - {name: n1, roles: [postgres], address: {host: ${server.host}, port: ${server.port}}}
`,
  };
  const at = place(files);
  for (const [words, flags] of [
    [["--cluster", "orders"], " --cluster orders"],
    [["--cluster", "orders", "--host", "n1"], " --cluster orders --host n1"],
  ] as const) {
    const where = async (...more: string[]) =>
      (await cli(["team", "where", ...words, ...more], at, { env: { PW: server.password } }))
        .envelope;
    expect(await where()).toMatchObject({ data: { here: "postgres", flags } });
    expect(await where("--database", "template1")).toMatchObject({
      data: { here: "template1", flags: `${flags} --database template1` },
    });
  }
  const { envelope } = await cli(["team", "where", "--cluster", "orders", "--user", "x"], at);
  expect(envelope.error).toMatchObject({
    code: "usage",
    hint: expect.stringContaining("--database"),
  });
});
