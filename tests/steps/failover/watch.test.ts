/** The store, the members and the nodes are stand-ins here: a dead leader in every variety takes real containers, which are tried elsewhere. */
import { expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import type { LeaderKey } from "../../../providers/dcs/contract.ts";
import type { Death, NodeEvent } from "../../../providers/nodes/contract.ts";
import watch from "../../../steps/failover/watch.ts";
import { silence } from "../../../steps/failover/watch/silence.ts";
import { fakeContext } from "../../support/context.ts";

const ALIVE: Death = { proven: false, why: "it runs" };
const DEAD: Death = { proven: true, how: "the container has ended" };
const key = (more: Partial<LeaderKey> = {}): LeaderKey => ({
  holder: "pg1",
  revision: "7",
  ttlSeconds: 18,
  ...more,
});

function world() {
  const state = {
    key: key() as LeaderKey | null | Error,
    deaths: { pg1: ALIVE, pg2: ALIVE } as Record<string, Death>,
    config: { ttl: 20, loop_wait: 5 } as Record<string, unknown>,
    answers: true,
    leases: [] as string[],
    heldBy: undefined as string | undefined,
    remover: null as string | null,
    looks: 0,
    nodes: ["pg1", "pg2"],
    tell: (_event: NodeEvent) => {},
  };
  const parts: Record<string, unknown> = {
    nodes: {
      list: async () => state.nodes,
      can: async () => ({ watch: { can: true } }),
      watch: (on: (event: NodeEvent) => void, signal: AbortSignal) =>
        new Promise<void>((done) => {
          state.tell = on;
          signal.addEventListener("abort", () => done(), { once: true });
        }),
      death: async (node: string) => {
        state.looks += 1;
        return state.deaths[node] ?? ALIVE;
      },
      leased: async (what: string) => (what === "removal" ? state.remover : null),
      lease: async (holder: string, what: string) => {
        if (state.heldBy !== undefined) return { heldBy: state.heldBy };
        state.leases.push(`${what} ${holder}`);
        return { epoch: 1, held: async () => "held", release: async () => {} };
      },
    },
    dcs: {
      leader: async () => {
        if (state.key instanceof Error) throw state.key;
        return state.key;
      },
      save: async () => ({ "/service/test/config": JSON.stringify(state.config) }),
    },
    patroni: {
      members: async () => [{ name: "pg1", api: "http://pg1" }],
      status: async () => {
        if (!state.answers) throw new PgdbaError("timeout", "no answer");
        return {};
      },
    },
  };
  const ctx = fakeContext({ target: { name: "test", use: async (what: string) => parts[what] } });
  return { state, ctx };
}

const settled = async (promise: Promise<unknown>, ms: number) =>
  Promise.race([promise, Bun.sleep(ms).then(() => "waits")]);

test("an event wakes it, and a proof ends it with the key as it is then", async () => {
  const { state, ctx } = world();
  const watching = watch.run(ctx, {});
  expect(await settled(watching, 50)).toBe("waits");
  state.deaths["pg1"] = DEAD;
  const begun = performance.now();
  state.tell({ node: "pg1", running: "failed", at: "" });
  expect(await watching).toEqual({
    node: "pg1",
    proven: true,
    how: "the container has ended",
    ttl_seconds: 18,
  });
  expect(performance.now() - begun).toBeLessThan(800);
  expect(ctx.recorded.unchanged).toBe(1);
  expect(state.leases).toEqual([`guard run ${ctx.run.id}`]);
});

test("an event that never comes is made good by looking once a second", async () => {
  const { state, ctx } = world();
  const watching = watch.run(ctx, {});
  await Bun.sleep(20);
  state.deaths["pg1"] = DEAD;
  expect(await settled(watching, 20_000)).toMatchObject({ node: "pg1" });
});

test("nothing is done for a standby, without a leader key, on a paused cluster, and without a store", async () => {
  const { state, ctx } = world();
  const watching = watch.run(ctx, {});
  const look = async () => {
    state.tell({ node: "pg1", running: "failed", at: "" });
    return settled(watching, 60);
  };
  state.deaths["pg2"] = DEAD;
  expect(await look()).toBe("waits");
  state.deaths["pg1"] = DEAD;
  state.key = null;
  expect(await look()).toBe("waits");
  state.key = new PgdbaError("connection_failed", "no quorum");
  expect(await look()).toBe("waits");
  state.key = key();
  state.config = { ttl: 20, loop_wait: 5, pause: true };
  expect(await look()).toBe("waits");
  expect(await look()).toBe("waits");
  const said = ctx.recorded.logs.map(({ message }) => message);
  // Each once, however often it looked.
  expect(said).toEqual([
    "The leader can't be looked at: no quorum",
    "pg1 leads no more, but the cluster is paused",
  ]);
  state.config = { ttl: 20, loop_wait: 5 };
  expect(await look()).toMatchObject({ node: "pg1", proven: true });
});

test("a leader that is silent is nothing without fence, and with it only when its key is late too", async () => {
  const { state, ctx } = world();
  state.answers = false;
  state.key = key({ ttlSeconds: 5 });
  const without = watch.run(ctx, {});
  state.tell({ node: "pg1", running: "running", at: "" });
  expect(await settled(without, 60)).toBe("waits");
  ctx.abort(new Error("over"));
  await expect(without).rejects.toThrow("over");

  const fencing = world();
  fencing.state.answers = false;
  const watching = watch.run(fencing.ctx, { fence: true });
  for (let n = 0; n < 3; n++) {
    await Bun.sleep(20);
    fencing.state.tell({ node: "pg1", running: "running", at: "" });
  }
  expect(await settled(watching, 60)).toBe("waits");
  fencing.state.key = key({ ttlSeconds: 5 });
  fencing.state.tell({ node: "pg1", running: "running", at: "" });
  expect(await watching).toMatchObject({ node: "pg1", proven: false, ttl_seconds: 5 });
});

test("a cluster that was destroyed is guarded no more", async () => {
  const { state, ctx } = world();
  state.key = new PgdbaError("connection_failed", "nobody answers");
  const watching = watch.run(ctx, {});
  expect(await settled(watching, 60)).toBe("waits");
  state.nodes = [];
  state.tell({ node: "pg1", running: "absent", at: "" });
  await expect(watching).rejects.toMatchObject({ code: "no_target" });
});

test("a cluster that a run removes has no dead leader, and is guarded no more when it is gone", async () => {
  const { state, ctx } = world();
  const watching = watch.run(ctx, {});
  const look = async () => {
    state.tell({ node: "pg1", running: "failed", at: "" });
    return settled(watching, 60);
  };
  state.remover = "run 42";
  state.deaths["pg1"] = DEAD;
  expect(await look()).toBe("waits");
  expect(await look()).toBe("waits");
  expect(ctx.recorded.logs.map(({ message }) => message)).toEqual([
    "test is being removed or stopped on purpose, by run 42",
  ]);
  state.key = new PgdbaError("connection_failed", "nobody answers");
  state.nodes = [];
  state.tell({ node: "pg1", running: "absent", at: "" });
  await expect(watching).rejects.toMatchObject({ code: "no_target" });
});

test("a second guard is refused with the first one's name", async () => {
  const { state, ctx } = world();
  state.heldBy = "run 42";
  await expect(watch.run(ctx, {})).rejects.toMatchObject({
    code: "lock_held",
    message: "test is guarded already, by run 42",
  });
});

test("silence: late by more than a hiccup, and twice without an answer", () => {
  const times = { ttl: 20, loopWait: 5 };
  const of = (ttlSeconds: number | null, unanswered = 2) =>
    silence({ ttlSeconds, unanswered }, times);
  expect([of(20), of(15), of(13)]).toEqual([null, null, null]);
  expect(of(12)).toBe("its Patroni does not answer, and its key, of 20 s, was not renewed for 8 s");
  expect([of(1, 1), of(null)]).toEqual([null, null]);
});
