import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { PgdbaError } from "../../../engine/errors.ts";
import { type Parts, recordCluster } from "../../../providers/registry/record.ts";
import { Harness } from "../../engine/run/harness.ts";

let h: Harness;
let state: string;
beforeEach(() => {
  h = new Harness();
  h.target = { name: "orders", cluster: "orders", use: async () => ({ list: async () => [] }) };
  state = join(h.dir, "state");
});
afterEach(() => h.close());

const file = () => join(state, "clusters", "orders.yaml");
const entry = () => parse(readFileSync(file(), "utf8")) as Record<string, unknown>;
const left = () => readdirSync(state).filter((name) => !name.startsWith("journal"));

const MAKE = `steps:
  - id: reserve
    cluster.reserve: {provider: embedded, labels: [test], secrets: [superuser]}
  - id: make
    fake.act: {}
  - id: record
    cluster.record:
      system_identifier: "77"
      postgres: {host: 127.0.0.1, port: 5433, user: postgres, password_secret: superuser}
      nodes: [{name: pg1, roles: [postgres], address: {host: 127.0.0.1, port: 5433}}]
      finished: true
  - id: check
    fake.look: {}
`;

test("a cluster is registered before it is made, and finished when it is", async () => {
  h.on["make"] = () => {
    expect(entry()).toEqual({
      ownership: "managed",
      provider: "embedded",
      labels: ["test"],
      partial: "run-1",
      cluster_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      secrets: { superuser: { file: "secrets/orders/superuser" } },
    });
    return null;
  };
  const ran = await h.run(MAKE);
  expect(ran.status).toBe("ok");
  expect(entry()).toMatchObject({ system_identifier: "77", nodes: [{ name: "pg1" }] });
  expect(entry()).not.toHaveProperty("partial");
  const secret = readFileSync(join(state, "secrets/orders/superuser"), "utf8").trim();
  expect(h.secrets.exposedIn(`x ${secret}`)).toBe(true);
  expect(JSON.stringify(ran.envelope)).not.toContain(secret);
});

test("a name is not free while nodes of a cluster that was forgotten are there, or nobody can say", async () => {
  let list = async (): Promise<unknown[]> => [{ node: "pg1", labels: { run: "run-0" } }];
  const target = { cluster: "orders", use: async () => ({ list: () => list() }) };
  const ran = await h.run(MAKE, { target });
  expect([ran.status, ran.error?.code]).toEqual(["failed", "step_refused"]);
  expect(ran.error?.message).toContain("pg1 of an earlier cluster");
  expect(h.calls).toEqual([]);
  list = async () => Promise.reject(new Error("no socket"));
  expect((await h.run(MAKE, { target })).error?.message).toContain("no socket");
  expect(existsSync(file())).toBe(false);
  expect(existsSync(join(state, "secrets/orders"))).toBe(false);
  list = async () => [];
  expect((await h.run(MAKE, { target })).status).toBe("ok");
});

test("a run that fails takes all of it back, whether it was finished or not", async () => {
  for (const failing of ["make", "check"]) {
    h.on = {
      [failing]: () => {
        throw new Error("broken");
      },
    };
    const ran = await h.run(MAKE);
    expect([ran.status, ran.exit]).toEqual(["undone", 5]);
    expect(existsSync(file())).toBe(false);
    expect(existsSync(join(state, "secrets/orders"))).toBe(false);
  }
});

test("a run that died goes on with the same entry and the same secret", async () => {
  await h.killedIn(MAKE, "make");
  const secret = readFileSync(join(state, "secrets/orders/superuser"), "utf8");
  const other = await h.run(MAKE.replace("make\n", "another\n"), {}, "demo/two");
  expect(other.error?.code).toBe("step_refused");
  expect(other.error?.message).toContain("run-1");
  expect(readFileSync(join(state, "secrets/orders/superuser"), "utf8")).toBe(secret);
});

test("a run that is refused before there is an entry has nothing to take back", async () => {
  // As it is in life: the nodes of a cluster that is not registered can't be asked for.
  const target = {
    cluster: "orders",
    use: () =>
      existsSync(file())
        ? Promise.resolve({ list: async () => [] })
        : Promise.reject(new PgdbaError("no_target", "There is no cluster named orders")),
  };
  const runbook = MAKE.replace("[superuser]}", "[superuser], secrets_from: ORDERS_}");
  const unset = await h.run(runbook, { target });
  expect([unset.status, unset.exit, unset.error?.code]).toEqual(["failed", 2, "missing_secret"]);
  expect(unset.error?.message).toBe("Not set: ORDERS_SUPERUSER_PASSWORD");
  const lab = await h.run(MAKE, { target: { ...target, cluster: "lab" } }, "demo/two");
  expect([lab.status, lab.exit, lab.error?.code]).toEqual(["failed", 1, "step_refused"]);
});

test("a run that died before the entry was written takes nothing back when it fails", async () => {
  await h.killedIn(MAKE, "make");
  h.journal.db.run("UPDATE step SET status = 'open', result = NULL WHERE path = 'reserve'");
  h.journal.db.run("DELETE FROM step WHERE path = 'make'");
  rmSync(file());
  // They are made after it.
  rmSync(join(state, "secrets"), { recursive: true });
  h.target = {
    cluster: "orders",
    use: () => Promise.reject(new PgdbaError("no_target", "There is no cluster named orders")),
  };
  expect(await h.resume(MAKE)).toMatchObject({ exit: 2, error: { code: "no_target" } });
});

const HAND_WRITTEN = `# Ask Ann.
ownership: connected
system_identifier: "77"
postgres: {host: db1, user: u} # the VIP
`;

test("a run that died while it recorded takes back what was there before it began", async () => {
  mkdirSync(join(state, "clusters"), { recursive: true });
  writeFileSync(file(), HAND_WRITTEN);
  const runbook = `steps:
  - id: record
    cluster.record: {cluster_id: a, labels: [x]}
  - id: after
    fake.again: {}
`;
  await h.killedIn(runbook, "after");
  // As if it had died within the step: what it gave is not known.
  h.journal.db.run("UPDATE step SET status = 'open', result = NULL WHERE path = 'record'");
  expect(entry()).toMatchObject({ cluster_id: "a" });
  h.on["after"] = () => {
    throw new Error("broken");
  };
  expect((await h.resume(runbook)).status).toBe("undone");
  expect(readFileSync(file(), "utf8")).toBe(HAND_WRITTEN);
});

test("what a failed run recorded is put back, but not what somebody else has changed since", async () => {
  mkdirSync(join(state, "clusters"), { recursive: true });
  writeFileSync(file(), HAND_WRITTEN);
  h.on["check"] = () => {
    expect(entry()).toMatchObject({ cluster_id: "a", postgres: { host: "db2" } });
    writeFileSync(file(), readFileSync(file(), "utf8").replace("host: db2", "host: db3"));
    throw new Error("broken");
  };
  const ran = await h.run(`steps:
  - cluster.record: {cluster_id: a, postgres: {host: db2, user: u}, labels: [x]}
  - id: check
    fake.look: {}
`);
  expect(ran.status).toBe("undone");
  expect(readFileSync(file(), "utf8")).toBe(HAND_WRITTEN.replace("db1", "db3"));
});

/** As another run does it. */
const recordedBy = (run: string, parts: Parts) =>
  recordCluster(state, "orders", { run, parts, isFinished: false }, () => {});

test("a part that a later run has recorded as it is stays when the dead run that recorded it is taken back", async () => {
  mkdirSync(join(state, "clusters"), { recursive: true });
  writeFileSync(file(), HAND_WRITTEN);
  const monitoring = '{prometheus: "http://p:9090"}';
  const runbook = `steps:
  - id: record
    cluster.record: {labels: [x], monitoring: ${monitoring}}
  - id: after
    fake.again: {}
`;
  await h.killedIn(runbook, "after");
  await recordedBy("run-later", { monitoring: { prometheus: "http://p:9090" } });
  h.on["after"] = () => {
    throw new Error("broken");
  };
  expect((await h.resume(runbook)).status).toBe("undone");
  expect(entry()).toMatchObject({ monitoring: { prometheus: "http://p:9090" } });
  expect(entry()).not.toHaveProperty("labels");
  expect(entry()["recorded_by"]).toEqual({ monitoring: "run-later" });
});

test("a cluster that was finished, and that others have worked on since, is not taken back by the dead run that made it", async () => {
  await h.killedIn(MAKE, "check");
  const roles: ["postgres"] = ["postgres"];
  await recordedBy("run-later", {
    nodes: [
      { name: "pg1", roles },
      { name: "pg2", roles },
    ],
  });
  const before = entry();
  h.on["check"] = () => {
    throw new Error("broken");
  };
  await h.resume(MAKE);
  expect(entry()).toEqual(before);
  expect(existsSync(join(state, "secrets/orders/superuser"))).toBe(true);
});

test("another cluster's identity is refused, and nothing is changed", async () => {
  mkdirSync(join(state, "clusters"), { recursive: true });
  writeFileSync(file(), HAND_WRITTEN);
  const ran = await h.run(`steps:
  - cluster.record: {system_identifier: "78"}
`);
  expect([ran.status, ran.error?.code]).toEqual(["failed", "identity_mismatch"]);
  expect(readFileSync(file(), "utf8")).toBe(HAND_WRITTEN);
  const nobody = await h.run("steps:\n  - cluster.record: {version: 18}\n", {
    target: { name: "nobody", cluster: "nobody" },
  });
  expect(nobody.error?.code).toBe("no_target");
});

test("it is the cluster of the run, and no other can be named", async () => {
  const ran = await h.run("steps:\n  - cluster.reserve: {}\n");
  expect(ran.status).toBe("ok");
  expect(entry()).toMatchObject({ ownership: "managed", partial: "run-1" });
  const none = await h.run("steps:\n  - cluster.reserve: {}\n", { target: { cluster: null } });
  expect(none.error?.code).toBe("invalid_param");
  const other = h.run("steps:\n  - cluster.record: {name: prod, labels: []}\n");
  expect(await other.catch((error: PgdbaError) => error.code)).toBe("invalid_runbook");
});

test("a plan writes nothing, and a name that is taken is refused by it as well", async () => {
  const free = await h.run(MAKE, { plan: true });
  expect([free.exit, free.run.warnings]).toEqual([0, []]);
  expect(left()).toEqual([]);
  mkdirSync(join(state, "clusters"), { recursive: true });
  writeFileSync(file(), HAND_WRITTEN);
  const taken = await h.run(MAKE, { plan: true });
  expect([taken.exit, taken.error?.code, taken.error?.message]).toEqual([
    1,
    "step_refused",
    "There is already a cluster named orders",
  ]);
});

test("the entry stays as long as a node of it is there", async () => {
  h.on["make"] = () => {
    throw new Error("broken");
  };
  const target = {
    name: "orders",
    cluster: "orders",
    use: async () => ({ list: async () => [{ node: "pg1", labels: { run: "run-1" } }] }),
  };
  const ran = await h.run(MAKE, { target });
  expect([ran.status, ran.exit]).toEqual(["needs_operator", 6]);
  expect(JSON.stringify(ran.envelope)).toContain("pg1 is still there");
  expect(entry()).toHaveProperty("partial");
});
