import { expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Json } from "../../../engine/types.ts";
import compare from "../../../steps/nodes/compare.ts";
import prepare from "../../../steps/nodes/prepare.ts";
import renew from "../../../steps/nodes/renew.ts";
import { fakeContext } from "../../support/context.ts";

const account = (user: string) => ({ user, password: user });
const spec = {
  version: 18,
  superuser: account("postgres"),
  replication: account("replicator"),
  nodes: [
    { name: "pg1", roles: ["postgres" as const] },
    { name: "pg2", roles: ["postgres" as const] },
  ],
  place: { images: { etcd: "own/etcd:1" }, data_size: "2g" },
};

/** A place with two nodes, of which pg2 has an old image. */
function place({ running = "running", late = false } = {}) {
  const done: string[] = [];
  const state = { running, isOld: true };
  const nodes = {
    compare: async ({ nodes: all }: any) =>
      all.map(({ name }: any) => ({
        node: name,
        differs: name === "pg2" && state.isOld ? ["image b instead of a"] : [],
      })),
    prepare: async (_spec: unknown, options: unknown) => {
      done.push(`prepare ${JSON.stringify(options)}`);
      return [{ role: "postgres", from: "b", changed: true }];
    },
    state: async () => ({ running: state.running, services: [] }),
    async renew(node: string) {
      done.push(`renew ${node}`);
      if (node === "pg2") state.isOld = false;
      if (!late) return;
      state.running = "starting";
      throw new PgdbaError("timeout", "it took no connections", { hint: "Look." });
    },
    async start(node: string, { timeoutMs }: { timeoutMs: number }) {
      done.push(`start ${node} ${timeoutMs}`);
      state.running = "running";
    },
  };
  const context = (noted?: Json) =>
    fakeContext({
      target: { name: "orders", use: async () => nodes },
      ...(noted === undefined ? {} : { noted }),
    } as never);
  return { done, state, context };
}

test("a node that is as the spec says is left alone, unless it is asked for", async () => {
  const { done, context } = place();
  const ctx = context();
  expect(await renew.run(ctx, { node: "pg1", spec })).toEqual({
    node: "pg1",
    renewed: false,
    differed: [],
  });
  expect([done, ctx.recorded.unchanged, ctx.recorded.notes]).toEqual([[], 1, []]);
  expect(await renew.run(context(), { node: "pg1", spec, anew: true })).toMatchObject({
    renewed: true,
  });
  expect(done).toEqual(["renew pg1", "start pg1 300000"]);
});

test("one that differs is made anew, which a plan only tells", async () => {
  const { done, context } = place();
  const differs = ["image b instead of a"];
  expect(await renew.plan!(context(), { node: "pg2", spec })).toEqual({
    node: "pg2",
    renewed: true,
    differs,
  });
  expect(done).toEqual([]);
  const ctx = context();
  expect(await renew.run(ctx, { node: "pg2", spec, timeout: "10s" })).toEqual({
    node: "pg2",
    renewed: true,
    differed: differs,
  });
  expect(done).toEqual(["renew pg2", "start pg2 10000"]);
  expect(ctx.recorded.notes).toEqual([{ was: "running", differed: differs }]);
});

test("one that had been stopped stays down; one that takes long to start is waited for", async () => {
  const stopped = place({ running: "stopped" });
  await renew.run(stopped.context(), { node: "pg2", spec });
  expect(stopped.done).toEqual(["renew pg2"]);
  const late = place({ late: true });
  expect(await renew.run(late.context(), { node: "pg2", spec })).toMatchObject({ renewed: true });
  expect(late.done).toEqual(["renew pg2", "start pg2 300000"]);
  // Nobody could tell whether this one was made anew.
  await expect(
    renew.run(place({ late: true }).context(), { node: "pg1", spec, anew: true }),
  ).rejects.toMatchObject({ code: "timeout" });
});

test("after a crash it goes on from where it is: not begun, made and not started, or done", async () => {
  const noted = { was: "running", differed: ["image b instead of a"] };
  const { done, state, context } = place({ running: "stopped" });
  expect(await renew.probe!(context(), { node: "pg2", spec })).toEqual({ state: "not_done" });
  expect(await renew.probe!(context(noted), { node: "pg2", spec })).toEqual({ state: "not_done" });
  state.isOld = false;
  expect(await renew.probe!(context(noted), { node: "pg2", spec })).toEqual({ state: "not_done" });
  // The crash had stopped it: it is started, and not taken for one that was down before.
  expect(await renew.run(context(noted), { node: "pg2", spec })).toEqual({
    node: "pg2",
    renewed: true,
    differed: noted.differed,
  });
  expect(done).toEqual(["start pg2 300000"]);
  expect(await renew.probe!(context(noted), { node: "pg2", spec })).toEqual({
    state: "done",
    output: { node: "pg2", renewed: true, differed: noted.differed },
  });
  expect(await renew.probe!(context(noted), { node: "pg2", spec, anew: true })).toEqual({
    state: "not_done",
  });
});

test("images are laid on the place of the spec, and what differs is told of each node", async () => {
  const { context } = place();
  const images = { postgres: "own/postgres:2" };
  expect(await compare.run(context(), { spec, images })).toEqual({
    nodes: [
      { node: "pg1", roles: ["postgres"], differs: [] },
      { node: "pg2", roles: ["postgres"], differs: ["image b instead of a"] },
    ],
    spec: {
      ...spec,
      place: { images: { etcd: "own/etcd:1", postgres: "own/postgres:2" }, data_size: "2g" },
    },
  });
  expect(await compare.run(context(), { spec, images: null })).toMatchObject({ spec });
});

test("what nodes are made from is had ready before, and a plan makes nothing", async () => {
  const { done, context } = place();
  expect(await prepare.plan!(context(), { spec, anew: true })).toEqual({
    roles: ["postgres"],
    anew: true,
  });
  expect(done).toEqual([]);
  expect(await prepare.run(context(), { spec, anew: true })).toEqual({
    prepared: [{ role: "postgres", from: "b", changed: true }],
  });
  expect(done).toEqual(['prepare {"anew":true}']);
});
