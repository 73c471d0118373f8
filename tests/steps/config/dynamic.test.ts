import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import apply from "../../../steps/config/apply.ts";
import restart from "../../../steps/patroni/restart.ts";
import { fakeContext } from "../../support/context.ts";
import { sharedServer } from "../../support/postgres.ts";
import { cleanUp, newDir } from "./server.ts";

/** What a REST API answers, by path; a real one is in tests/runbooks/config. */
let answers: Record<string, object>;
let patches = 0;
const api = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request) {
    if (request.method !== "GET") patches += 1;
    return Response.json(answers[new URL(request.url).pathname] ?? {});
  },
});
const url = `http://127.0.0.1:${api.port}`;
let stateDir: string;

beforeAll(async () => {
  stateDir = await newDir();
  await mkdir(join(stateDir, "clusters"));
  const server = await sharedServer();
  await writeFile(
    join(stateDir, "clusters", "c.yaml"),
    `ownership: connected
postgres: {host: 127.0.0.1, port: ${server.port}, user: postgres, password_env: PW, sslmode: disable}
patroni: {endpoints: ["${url}"]}
`,
  );
});
afterAll(async () => {
  await cleanUp();
  await api.stop(true);
});

async function onCluster<T>(work: (ctx: ReturnType<typeof fakeContext>) => Promise<T>): Promise<T> {
  const { password } = await sharedServer();
  const target = await resolveTarget({
    flags: { cluster: "c" },
    env: { PW: password },
    stateDir,
    onSecret: () => {},
  });
  try {
    return await work(Object.assign(fakeContext({ run: { stateDir } }), { target }));
  } finally {
    await target.close();
  }
}

const leader = {
  name: "a",
  role: "leader",
  state: "running",
  api_url: `${url}/patroni`,
  host: "127.0.0.1",
  port: 5432,
};
const settings = { settings: { work_mem: "8MB" } } as never;

test("another cluster's REST API is refused before it is written to", async () => {
  answers = {
    "/config": { loop_wait: 10 },
    "/cluster": { members: [leader] },
    "/patroni": { state: "running", database_system_identifier: "1" },
  };
  expect(await onCluster((ctx) => apply.run(ctx, settings)).catch((error) => error.code)).toBe(
    "identity_mismatch",
  );
  expect(patches).toBe(0);
});

test("a cluster without a leader is left alone", async () => {
  answers = { "/config": {}, "/cluster": { members: [{ ...leader, role: "replica" }] } };
  for (const work of [
    (ctx: any) => apply.run(ctx, settings),
    (ctx: any) => restart.run(ctx, {} as never),
  ]) {
    const error = await onCluster(work).catch((thrown) => thrown);
    expect([error.code, error.retryable]).toEqual(["step_refused", true]);
  }
  expect(patches).toBe(0);
});

test("who is to be restarted is chosen and ordered before anything is", async () => {
  const members = [
    leader,
    { ...leader, name: "b", role: "sync_standby" },
    { ...leader, name: "c", role: "replica" },
    { ...leader, name: "d", role: "replica", state: "stopped" },
  ];
  answers = { "/cluster": { members }, "/patroni": { state: "running", pending_restart: true } };
  const order = async (input: object) =>
    ((await onCluster((ctx) => restart.plan!(ctx, input as never))) as any).order.map(
      (one: any) => one.name,
    );
  expect(await order({})).toEqual(["c", "d", "b", "a"]);
  expect(await order({ members: ["a", "b"] })).toEqual(["b", "a"]);
  expect(
    await onCluster((ctx) => restart.plan!(ctx, { members: ["x"] } as never)).catch(
      (error) => error.code,
    ),
  ).toBe("invalid_param");
  expect(patches).toBe(0);
});

test("a member that has restarted since an earlier process began is awaited, and not restarted again", async () => {
  const members = [
    { name: "a", role: "leader", state: "running", api_url: `${url}/patroni` },
    { name: "b", role: "replica", state: "streaming", api_url: `${url}/patroni` },
  ];
  answers = {
    "/cluster": { members },
    "/patroni": {
      state: "running",
      postmaster_start_time: "2026-01-02 03:04:05+00:00",
      replication: [{ application_name: "b", state: "streaming" }],
    },
  };
  // Also where only members that wait for a restart are asked for: it waits for none any more.
  for (const only_pending of [false, true]) {
    const result = (await onCluster((ctx) => {
      ctx.note({ b: "2026-01-01 00:00:00+00:00" });
      return restart.run(ctx, { members: ["b"], only_pending } as never);
    })) as any;
    expect(result.restarted).toMatchObject([{ name: "b", role: "replica" }]);
  }
  expect(patches).toBe(0);
});

test("without a target there is nothing to restart", async () => {
  expect(await restart.run(fakeContext(), {} as never).catch((error) => error.code)).toBe(
    "no_target",
  );
});
