import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Target } from "../../../engine/types.ts";
import { PATRONI_READS } from "../../../providers/patroni/client.ts";
import { clusterSource } from "../../../providers/target/cluster.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { clientOf, sharedServer, type TestServer } from "../../support/postgres.ts";
import { codeOf } from "../postgres/helpers.ts";
import { accessFor, postgresOf } from "../../support/target.ts";

let server: TestServer;
let dir: string;
const secrets: string[] = [];
const open: Target[] = [];

beforeAll(async () => {
  [server, dir] = await Promise.all([
    sharedServer(),
    mkdtemp(join(tmpdir(), "pgdba-patroni-target-")),
  ]);
  await mkdir(join(dir, "clusters"));
});
afterAll(async () => {
  for (const target of open) await target.close();
  await rm(dir, { recursive: true, force: true });
});

async function cluster(patroni: string): Promise<Target> {
  await writeFile(
    join(dir, "clusters", "c.yaml"),
    `ownership: connected
postgres: {host: 127.0.0.1, port: ${server.port}, user: postgres, password_env: PW, sslmode: disable}
${patroni}`,
  );
  const target = await resolveTarget({
    flags: { cluster: "c" },
    env: { PW: server.password, API: "api-secret" },
    stateDir: dir,
    onSecret: (value) => secrets.push(value),
  });
  open.push(target);
  return target;
}

test("the cluster's file names Patroni's REST API, and the target then has the capability", async () => {
  const target = await cluster(
    "patroni: {endpoints: ['http://db1:8008/', 'https://db2:8008'], user: admin, password_env: API}",
  );
  const source = await clusterSource("c", {
    flags: {},
    env: { PW: server.password, API: "api-secret" },
    stateDir: dir,
    onSecret: () => {},
  });
  expect(source!.patroni).toMatchObject({
    endpoints: ["http://db1:8008", "https://db2:8008"],
    user: "admin",
    password: "api-secret",
  });
  expect(secrets).toContain("api-secret");
  expect((await target.facts()).capabilities).toContain("patroni");
  const without = await cluster("");
  expect(await codeOf(without.use!("patroni", accessFor()))).toBe("capability_missing");
  expect((await without.facts()).capabilities).not.toContain("patroni");
});

test("a step that reads gets the verbs that are listed as reads, and any other is refused unsent", async () => {
  const target = await cluster("patroni: {endpoints: ['http://127.0.0.1:1']}");
  const reading = (await target.use!("patroni", accessFor("read"))) as Record<string, Function>;
  const changing = (await target.use!("patroni", accessFor())) as object;
  const refused: string[] = [];
  for (const verb of Object.keys(changing).filter((one) => !PATRONI_READS.includes(one as never)))
    if ((await codeOf(reading[verb]!({}, {}))) === "step_refused") refused.push(verb);
  expect(refused.toSorted()).toEqual([
    "cancelSwitchover",
    "failover",
    "patchConfig",
    "pause",
    "putConfig",
    "reinitialize",
    "reload",
    "restart",
    "resume",
    "switchover",
  ]);
});

test.each([
  ["patroni: 8008"],
  ["patroni: {}"],
  ["patroni: {endpoints: []}"],
  ["patroni: {endpoints: http://db1:8008}"],
  ["patroni: {endpoints: ['db1:8008']}"],
  ["patroni: {endpoints: ['http://admin:secret@db1:8008']}"],
  ["patroni: {endpoints: ['http://db1:8008/patroni']}"],
  ["patroni: {endpoints: ['http://db1:8008'], password: x}"],
])("%s is refused", async (patroni) => {
  expect(await codeOf(cluster(patroni))).toBe("invalid_config");
});

test("a variable that is not set is named", async () => {
  expect(
    (await (await cluster("patroni: {endpoints: ['http://db1:8008'], password_env: NOPE}")).facts())
      .why?.code,
  ).toBe("missing_secret");
});

async function end(pid: number): Promise<void> {
  const client = await clientOf(server);
  await client.query("SELECT pg_terminate_backend($1)", [pid]);
  await client.end();
}

test("when its session ends the lock goes on with a new one, unless another has taken it", async () => {
  const [mine, other] = [await cluster(""), await cluster("")];
  const connection = await postgresOf(mine);
  const lock = await mine.lock?.("run-1");
  if (lock === undefined || "heldBy" in lock) throw new Error("not taken");
  const before = (await connection.session()).info.pid;
  await end(before);
  // The server says goodbye before it lets the lock go: for a while the one in the way is our own.
  expect(await lock.held()).toBe("held");
  const session = await connection.session();
  expect(session.info.pid).not.toBe(before);
  expect(await other.lock?.("run-2")).toEqual({ heldBy: "run-1", word: "all" });

  await end(session.info.pid);
  // The server says goodbye before it lets the lock go.
  let theirs = await other.lock?.("run-2");
  const ends = performance.now() + 20_000;
  while (theirs !== undefined && "heldBy" in theirs && performance.now() < ends) {
    await Bun.sleep(10);
    theirs = await other.lock?.("run-2");
  }
  if (theirs === undefined || "heldBy" in theirs) throw new Error("not taken");
  expect(await codeOf(connection.session())).toBe("lock_lost");
  expect(await lock.held()).toMatchObject({ heldBy: "run-2" });
  expect(await codeOf(connection.session())).toBe("lock_lost");
  await theirs.release();
  // Nobody has it any more, and nobody had it in the meantime whom the journal's lease would not tell of.
  expect(await lock.held()).toBe("held");
  await lock.release();
});
