import { afterAll, beforeAll, expect, test, setDefaultTimeout } from "bun:test";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { TestServer } from "../support/postgres.ts";
import { clusterFile, sharedServer } from "./server.ts";
import {
  at,
  cli,
  type Env,
  type Place,
  place,
  removePlaces,
  runbooks,
  Running,
  stepTypes,
  statuses,
} from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

let server: TestServer;
let env: Env;
beforeAll(async () => {
  server = await sharedServer();
  env = { CLUSTER_PASSWORD: server.password };
});

const HOLD = `summary: s
risk: change
params: {name: {type: string, required: true}, hold: {type: string, default: 10m}}
steps:
  - id: begin
    exec: {argv: [touch, "\${params.name + '.begun'}"]}
  - id: hold
    wait: {for: "\${params.hold}"}
  - id: act
    exec: {argv: [touch, "\${params.name + '.acted'}"]}
`;
const LOOK = "summary: s\nrisk: read\nneeds: [postgres]\nsteps:\n  - sql.query: {sql: select 1}\n";

function here(): Place {
  return place({
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...runbooks({ "t/hold": HOLD, "t/look": LOOK }),
  });
}
const hold = (name: string, ...more: string[]) => [
  "t",
  "hold",
  "--cluster",
  "orders",
  "--name",
  name,
  ...more,
];
const has = (p: Place, file: string) => existsSync(join(p.cwd, file));

test("the second engine waits, then refuses with run, user, host and pid; reading is free; it goes on when the first ends", async () => {
  const p = here();
  const first = new Running(hold("one"), p, { env });
  await first.said("start hold");
  const id = /run (\S+)/.exec(first.stderr)![1]!;
  const refused = await cli(hold("two", "--lock-wait", "200ms"), p, { env });
  expect(refused.exit).toBe(3);
  expect(refused.envelope.error?.code).toBe("lock_held");
  expect(refused.envelope.error?.retryable).toBe(true);
  for (const part of [id, `@${hostname()}`, `pid ${first.pid}`])
    expect(refused.envelope.error?.message).toContain(part);
  expect(refused.stderr).toContain(id);
  expect(has(p, "two.begun")).toBe(false);
  expect((await cli(["t", "look", "--cluster", "orders"], p, { env })).exit).toBe(0);
  expect((await cli(hold("two", "--plan"), p, { env })).exit).toBe(0);

  const third = new Running(hold("three", "--hold", "1ms"), p, { env });
  await third.said(id);
  first.signal("SIGINT");
  const [one, three] = await Promise.all([first.done(), third.done()]);
  expect([one.exit, three.exit]).toEqual([130, 0]);
});

test("a long backup keeps no failover waiting, and everything else knows whom it waits for, also from another state folder", async () => {
  const files = {
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...stepTypes({
      "t.promote": `effect: "change", risk: "change", locks: "roles", async run() { return {} }`,
    }),
    ...runbooks({
      "t/backup":
        "summary: s\nrisk: read\nlocks: backup\nneeds: [postgres]\nsteps:\n  - id: copy\n    wait: {for: 10m}\n",
      "t/failover": "summary: s\nrisk: change\nneeds: [postgres]\nsteps:\n  - t.promote: {}\n",
      "t/destroy": "summary: s\nrisk: change\nsteps:\n  - exec: {argv: [touch, destroyed]}\n",
    }),
  };
  const [p, q] = [place(files), place(files)];
  const on = (name: string, ...more: string[]) => ["t", name, "--cluster", "orders", ...more];
  const backup = new Running(on("backup"), p, { env });
  await backup.said("start copy");
  const id = /run (\S+)/.exec(backup.stderr)![1]!;
  for (const at of [p, q]) {
    expect((await cli(on("failover", "--lock-wait", "0s"), at, { env })).exit).toBe(0);
    for (const name of ["backup", "destroy"]) {
      const { exit, envelope } = await cli(on(name, "--lock-wait", "0s"), at, { env });
      expect([exit, envelope.error?.code]).toEqual([3, "lock_held"]);
      expect(envelope.error?.message).toMatch(new RegExp(`run ${id} .*, which locks backup$`));
    }
    expect(has(at, "destroyed")).toBe(false);
  }
  const runs = at((await cli(["runs"], p)).envelope, "data", "runs") as { id: string }[];
  expect(runs.find((run) => run.id === id)).toMatchObject({ locks: ["backup"], status: "running" });
  backup.signal("SIGINT");
  expect((await backup.done()).exit).toBe(130);
  expect((await cli(on("destroy", "--lock-wait", "0s"), q, { env })).exit).toBe(0);
});

test("waiting for a lock ends at once on a signal, and nothing was done", async () => {
  const p = here();
  const first = new Running(hold("one"), p, { env });
  await first.said("start hold");
  const second = new Running(hold("two", "--lock-wait", "60s"), p, { env });
  await second.said(`pid ${first.pid}`);
  second.signal("SIGTERM");
  const ran = await second.done();
  expect(ran.exit).toBe(130);
  expect(has(p, "two.begun")).toBe(false);
  first.signal("SIGINT");
  await first.done();
});

test("with another state folder the target's own lock refuses, by the holder's name", async () => {
  const [p, q] = [here(), here()];
  const first = new Running(hold("one"), p, { env });
  await first.said("start hold");
  const refused = await cli(hold("two", "--lock-wait", "0s"), q, { env });
  expect(refused.exit).toBe(3);
  expect(refused.envelope.error?.code).toBe("lock_held");
  expect(refused.envelope.error?.message).toContain(/run (\S+)/.exec(first.stderr)![1]!);
  expect(has(q, "two.begun")).toBe(false);
  first.signal("SIGINT");
  await first.done();
  expect((await cli(hold("two", "--hold", "1ms"), q, { env })).exit).toBe(0);
});

test("a holder that was killed is superseded at once", async () => {
  const p = here();
  const lease = { ...env, PGDBA_LEASE_MS: "600000" };
  const first = new Running(hold("one"), p, { env: lease });
  await first.said("start hold");
  first.signal("SIGKILL");
  await first.ended();
  // Whoever waited for the lease would be refused long before that has run out.
  const next = await cli(hold("two", "--hold", "1ms", "--lock-wait", "20s"), p, { env });
  expect(next.exit).toBe(0);
  const listed = at((await cli(["runs"], p)).envelope, "data", "runs") as {
    id: string;
    status: string;
  }[];
  expect(listed.map((run) => run.status)).toEqual(["ok", "dead"]);
  const warnings = at(next.envelope, "data", "run", "warnings") as string[];
  expect(warnings.join()).toContain(`pgdba resume ${listed[1]!.id}`);
  // It is taken up where it was left.
  const resumed = new Running(["resume", listed[1]!.id], p, { env });
  await resumed.said("start hold");
  resumed.signal("SIGINT");
  expect((await resumed.done()).exit).toBe(130);
});

async function stopped(p: Place, meanwhile: () => Promise<void>) {
  // Long enough for a busy machine, on which a process may get no turn for a while.
  const lease = { ...env, PGDBA_LEASE_MS: "3000" };
  const first = new Running(hold("one", "--hold", "6s"), p, { env: lease });
  await first.said("start hold");
  first.signal("SIGSTOP");
  await Bun.sleep(3_300);
  await meanwhile();
  first.signal("SIGCONT");
  const ran = await first.done();
  expect(ran.exit).toBe(6);
  expect(ran.envelope.error?.code).toBe("lock_lost");
  expect(ran.envelope.error?.hint).toContain("resume");
  expect(has(p, "one.begun")).toBe(true);
  expect(has(p, "one.acted")).toBe(false);
  expect(statuses(ran)["act"]).toBe("unknown");
}

test("an engine that was stopped past its lease can't act when it goes on; once its session is gone the other can", async () => {
  const p = here();
  await stopped(p, async () => {
    await endSession();
    const other = await cli(hold("two", "--hold", "1ms"), p, { env });
    expect(other.exit).toBe(0);
    expect(has(p, "two.acted")).toBe(true);
  });
});

test("while its session lives the target still refuses others, and the lease that ran out is lost all the same", async () => {
  const p = here();
  await stopped(p, async () => {
    const other = await cli(hold("two", "--lock-wait", "0s"), p, { env });
    expect(other.exit).toBe(3);
    expect(other.envelope.error?.code).toBe("lock_held");
    expect(has(p, "two.begun")).toBe(false);
  });
});

/** Ends the session that holds the target's lock, as a failover or an administrator would: only the journal's lease is left. */
async function endSession(): Promise<void> {
  const { clientOf } = await import("../support/postgres.ts");
  const client = await clientOf(server);
  try {
    await client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()",
    );
  } finally {
    await client.end();
  }
}
