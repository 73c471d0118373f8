import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Target } from "../../../engine/types.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { accessFor, postgresOf } from "../../support/target.ts";
import { codeOf } from "../postgres/helpers.ts";

setDefaultTimeout(300_000);

const dir = mkdtempSync(join(tmpdir(), "pgdba-place-"));
chmodSync(dir, 0o711);
const open: Target[] = [];
const all = {
  ...accessFor("change", "20260101-000000-abcdef"),
  hazards: ["fault", "destroys"] as const,
};

function register(more = ""): void {
  mkdirSync(join(dir, "clusters"), { recursive: true });
  writeFileSync(
    join(dir, "clusters", "small.yaml"),
    `ownership: managed
provider: embedded
secrets: {superuser: {env: SU}, replication: {env: SU}, rewind: {env: SU}}
${more}`,
  );
}

async function resolve(cluster = "small"): Promise<Target> {
  const target = await resolveTarget({
    flags: { cluster },
    env: { SU: "su" },
    stateDir: dir,
    onSecret: () => {},
  });
  open.push(target);
  return target;
}

let target: Target;
let nodes: Nodes;

beforeAll(async () => {
  // A free name: there is nothing to ask, and nothing to use.
  const free = await resolve();
  expect(await free.facts()).toMatchObject({ state: "absent", capabilities: [] });
  expect(await codeOf(free.use!("nodes", all))).toBe("no_target");
  register("partial: 20260101-000000-abcdef\n");
  target = free;
});
afterAll(async () => {
  await nodes.deprovision();
  for (const one of open) await one.close();
  rmSync(dir, { recursive: true, force: true });
});

test("a cluster is absent, partial and up, as it is made, and its state is what its nodes say", async () => {
  expect(await target.refresh!()).toMatchObject({
    state: "partial",
    partialBy: "20260101-000000-abcdef",
    why: { code: "no_target" },
    capabilities: ["nodes"],
    facts: { can: { start: true, partition: false } },
  });
  nodes = (await target.use!("nodes", all)) as Nodes;
  await nodes.provision({
    version: 18,
    settings: { fsync: "off", shared_buffers: "16MB" },
    superuser: { user: "postgres", password: "superuser" },
    replication: { user: "replicator", password: "replication" },
    accounts: { rewind: { user: "rewinder", password: "rewind" } },
    nodes: [{ name: "a", roles: ["postgres"] }],
  });
  const [node] = await nodes.list();
  const { host, port } = node!.reach!;
  register(
    `postgres: {host: ${host}, port: ${port}, user: postgres, password_secret: superuser, sslmode: disable}
nodes: [{name: a, roles: [postgres], address: {host: ${host}, port: ${port}}}]
`,
  );
  const up = await target.refresh!();
  expect([up.state, up.why]).toEqual(["up", undefined]);
  expect(up.capabilities).toEqual(expect.arrayContaining(["postgres", "primary", "nodes"]));
  expect(up.facts).toMatchObject({ role: "primary", can: { start: true } });
  const { rows } = await (await postgresOf(target)).query("select 1 as one");
  expect(rows).toEqual([{ one: 1 }]);
});

test("one whose nodes say that nothing runs is down, and up again when one runs", async () => {
  await nodes.stop("a", "fast");
  const down = await (await resolve()).facts();
  expect([down.why?.message, down.why?.hint]).toEqual([
    "small is down: PostgreSQL runs on none of its nodes (a stopped)",
    "Start it: pgdba cluster start --cluster small",
  ]);
  expect([down.state, down.why?.code, down.capabilities]).toEqual([
    "down",
    "connection_failed",
    ["member", "nodes"],
  ]);
  expect(down.facts).toMatchObject({ can: { start: true } });
  await nodes.start("a");
  // The session that ended with the server is opened again.
  const { rows } = await (await postgresOf(target)).query("select 2 as two");
  expect(rows).toEqual([{ two: 2 }]);
});

test("a step that reads may look at nodes, and no more", async () => {
  const read = (await target.use!("nodes", accessFor("read"))) as Nodes;
  expect((await read.list()).map(({ node }) => node)).toEqual(["a"]);
  expect(await codeOf(read.stop("a", "fast"))).toBe("step_refused");
});
