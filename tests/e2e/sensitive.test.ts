import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { clusterFile, sharedServer } from "./server.ts";
import { at, cli, filesBelow, place, removePlaces, runbooks } from "./support.ts";

setDefaultTimeout(300_000);
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

test("what is computed from a secret parameter is a secret too, and so is a key made of sensitive data", async () => {
  const p = place(
    runbooks({
      "t/leaf":
        'summary: s\nrisk: read\nparams: {k: {type: string, secret: true}}\nsteps: [{set: {a: 1}}]\noutput: {part: "params.k.substring(0, 6)"}\n',
      "t/leak": `summary: s
risk: read
params: {k: {type: string, secret: true}, fail: {type: boolean, default: false}}
steps:
  - id: part
    set: {head: "params.k.substring(0, 6)", size: size(params.k)}
  - id: lines
    sensitive: true
    shell: {script: "echo hunter3-topsecret", effect: read, parse: lines}
  - id: keyed
    set: {q: "{steps.lines.output.lines[0]: 1}"}
  - id: called
    run: {runbook: t/leaf, params: {k: "\${params.k}"}}
  - id: uses
    exec: {argv: [printenv, FINE], env: {FINE: fine, TOKEN: "\${params.k}"}, effect: read}
  - id: end
    when: params.fail
    assert: {that: "false", message: no}
output:
  name: params.k
  status: "params.k.substring(0, 6)"
  part: steps.part.output
  keyed: steps.keyed.output
  mapped: "steps.lines.output.lines.map(x, {x: 1})"
  called: steps.called.output
  fine: steps.uses.output.stdout
`,
    }),
  );
  const env = { K: "Tr0ub4dor-and-3" };
  for (const args of [[], ["--fail"]]) {
    const ran = await cli(["t", "leak", "--k", "env:K", ...args], p, { env });
    expect(ran.exit).toBe(args.length);
    expect(ran.envelope.data).toMatchObject({
      name: "********",
      status: "********",
      part: { head: "********", size: "********" },
      keyed: { q: "********" },
      mapped: ["********"],
      called: { part: "********" },
      // A program that was given a secret may say what it likes: only the secret itself is masked in it.
      fine: "fine\n",
    });
    // The journal keeps the document, in which the line of the script stands.
    for (const text of [ran.stdout, ran.stderr]) expect(text).not.toContain("hunter3");
    for (const text of [ran.stdout, ran.stderr, ...filesBelow(p.home).values()])
      expect(text.includes("Tr0ub4")).toBeFalse();
  }
});

test("a secret of few characters is masked where it stands alone", async () => {
  const p = place(
    runbooks({
      "t/pin":
        'summary: s\nrisk: read\nparams: {k: {type: string, secret: true}}\nsteps: [{id: a, exec: {argv: [printenv, PIN], env: {PIN: "${params.k}"}, effect: read}}]\noutput: {a: steps.a.output.stdout, list: "steps.a.output.stdout.trim()"}\n',
    }),
  );
  const ran = await cli(["t", "pin", "--k", "env:K"], p, { env: { K: "ab1" } });
  expect(ran.envelope.error).toBeNull();
  expect(ran.envelope.data).toMatchObject({ list: "********" });
});
