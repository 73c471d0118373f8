import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { clusterFile, sharedServer } from "./server.ts";
import { at, cli, filesBelow, place, removePlaces, runbooks } from "./support.ts";

setDefaultTimeout(30_000);
afterAll(removePlaces);

test("a sensitive query masks values, and no name of a column, a step or the envelope", async () => {
  const server = await sharedServer();
  const p = place({
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...runbooks({
      "t/status": `summary: s
risk: change
needs: [postgres]
steps:
  - id: status
    sensitive: true
    sql.query: {sql: "select 'q9' as status, 7 as id, 'a-longer-value' as error"}
  - id: text
    sql.query: {sql: "select 'open' as status, 7 as id"}
  - id: file
    file.write: {path: pin, content: "{{steps.status.output.rows.[0].status}}"}
output:
  hidden: steps.status.output.rows
  shown: steps.text.output
`,
    }),
  });
  const ran = await cli(["t", "status", "--cluster", "orders"], p, {
    env: { CLUSTER_PASSWORD: server.password },
  });
  expect(ran.envelope.error).toBeNull();
  expect(at(ran.envelope, "data", "hidden")).toEqual([
    { status: "********", id: "********", error: "********" },
  ]);
  expect(at(ran.envelope, "data", "shown")).toEqual({
    rows: [{ status: "open", id: 7 }],
    row_count: 1,
    fields: [
      { name: "status", type: "text" },
      { name: "id", type: "int4" },
    ],
    truncated: false,
  });
  const steps = at(ran.envelope, "data", "run", "steps") as { id: string; status: string }[];
  expect(steps.map(({ id, status }) => [id, status])).toEqual([
    ["status", "ok"],
    ["text", "ok"],
    ["file", "ok"],
  ]);
  // What is too short to be looked for went into a file all the same: for its owner alone.
  expect(statSync(join(p.cwd, "pin")).mode & 0o777).toBe(0o600);
  const left = [ran.stdout, ran.stderr, ...filesBelow(p.home).values()];
  for (const text of left)
    for (const value of ["q9", "a-longer-value"]) {
      // The document itself, which the journal keeps, holds the statement.
      expect(
        text.replaceAll(/select 'q9' as status, 7 as id, 'a-longer-value' as error/g, ""),
      ).not.toContain(value);
    }
});
