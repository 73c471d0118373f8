import { expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import type { AccessFor } from "../../../engine/types.ts";
import { type Can, type Nodes, type Opened, VERBS } from "../../../providers/nodes/contract.ts";
import { nodesFor } from "../../../providers/nodes/narrow.ts";

/** Notes what reaches it; it can all but what is named. */
function place(lacks: readonly string[] = []) {
  const calls: string[] = [];
  let asked = 0;
  const can = Object.fromEntries(
    VERBS.map((verb) => [
      verb,
      lacks.includes(verb) ? { can: false, why: `no ${verb} on paper` } : { can: true },
    ]),
  ) as Can;
  const notes = (prefix: string): object =>
    new Proxy(
      {},
      {
        get: (_, name: string) => {
          if (name === "jobs") return notes("jobs.");
          if (name === "cluster") return "c1";
          if (name === "can") return async () => (asked++, can);
          return async () => void calls.push(prefix + name);
        },
      },
    );
  const opened: Opened = { nodes: () => notes("") as Nodes, close: async () => {} };
  return { opened, calls, asked: () => asked };
}

const on = (more: Partial<AccessFor>): AccessFor => ({
  run: "r1",
  path: "p",
  effect: "read",
  hazards: [],
  signal: new AbortController().signal,
  ...more,
});

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "ok",
    (error: unknown) => (error as PgdbaError).code,
  );
}

const until = { id: "f", afterMs: 1000 };
const name = "r1/p";
/** Every verb, by the least that a step must declare for it. */
const READ: Record<string, (n: Nodes) => Promise<unknown>> = {
  list: (n) => n.list(),
  state: (n) => n.state("a"),
  logs: (n) => n.logs("a"),
  facts: (n) => n.facts("a"),
  watch: (n) => n.watch(() => {}, new AbortController().signal),
  death: (n) => n.death("a"),
  exec: (n) => n.exec("a", ["true"]),
  get: (n) => n.get("a", "/x", { local: "/y" }),
  armed: (n) => n.armed(),
  plan: (n) => n.plan({} as never),
  "jobs.find": (n) => n.jobs.find("a", name),
  "jobs.list": (n) => n.jobs.list("a"),
  "jobs.follow": (n) => n.jobs.follow("a", name),
};
const CHANGE: typeof READ = {
  provision: (n) => n.provision({} as never),
  start: (n) => n.start("a"),
  stop: (n) => n.stop("a", "fast"),
  renew: (n) => n.renew("a", {} as never),
  certify: (n) => n.certify("a", { authority: "ca" }),
  fence: (n) => n.fence("a"),
  thaw: (n) => n.thaw("a"),
  put: (n) => n.put("a", "/x", { content: "" }),
  arm: (n) => n.arm({ thaw: "a" }, until),
  disarm: (n) => n.disarm("f"),
  heal: (n) => n.heal(),
  lease: (n) => n.lease("me"),
  "jobs.start": (n) => n.jobs.start("a", name, ["true"]),
  "jobs.stop": (n) => n.jobs.stop("a", name),
  "jobs.forget": (n) => n.jobs.forget("a", name),
  deprovision: (n) => n.deprovision({ run: "r1" }),
};
const FAULT: typeof READ = {
  kill: (n) => n.kill("a", "process"),
  freeze: (n) => n.freeze("a"),
  partition: (n) => n.partition("a", { from: {}, direction: "both" }, until),
  fillDisk: (n) => n.fillDisk("a", { of: "data", leaveBytes: 0 }, until),
  slowNetwork: (n) => n.slowNetwork("a", { to: {}, delayMs: 1 }, until),
  slowDisk: (n) => n.slowDisk("a", { of: "data", bytesPerSecond: 1 }, until),
};

test("a step gets the verbs that it declares, and what it does not declare reaches no node", async () => {
  for (const [declared, allowed] of [
    [on({}), READ],
    [on({ effect: "change" }), { ...READ, ...CHANGE }],
    [on({ effect: "change", hazards: ["fault"] }), { ...READ, ...CHANGE, ...FAULT }],
  ] as const) {
    const { opened, calls } = place();
    const nodes = nodesFor(opened, declared);
    for (const [verb, call] of Object.entries({ ...READ, ...CHANGE, ...FAULT }))
      expect([verb, await codeOf(call(nodes))]).toEqual([
        verb,
        verb in allowed ? "ok" : "step_refused",
      ]);
    expect(calls.toSorted()).toEqual(Object.keys(allowed).toSorted());
  }
});

test("a run takes back what it made itself; to remove the cluster, or what another run made, needs the hazard", async () => {
  const { opened } = place();
  const change = nodesFor(opened, on({ effect: "change" }));
  const destroys = nodesFor(opened, on({ effect: "change", hazards: ["destroys"] }));
  for (const which of [undefined, { run: "r2" }]) {
    expect(await codeOf(change.deprovision(which))).toBe("step_refused");
    expect(await codeOf(destroys.deprovision(which))).toBe("ok");
  }
});

test("what the place lacks is refused with its reason before anything is done, for each verb", async () => {
  const called = new Set<string>();
  for (const verb of VERBS) {
    const { opened, calls, asked } = place([verb]);
    const nodes = nodesFor(opened, on({ effect: "change", hazards: ["fault", "destroys"] }));
    const errors: PgdbaError[] = [];
    const all = { ...READ, ...CHANGE, ...FAULT };
    const kills = {
      "kill node": (n: Nodes) => n.kill("a", "node"),
      "kill patroni": (n: Nodes) => n.kill("a", "patroni"),
      "kill power": (n: Nodes) => n.kill("a", "power"),
      scheduler: (n: Nodes) => n.provision({ nodes: [{ name: "s", roles: ["backup"] }] } as never),
      monitor: (n: Nodes) =>
        n.provision({ nodes: [{ name: "m", roles: ["monitoring"] }] } as never),
    };
    for (const call of Object.values({ ...all, ...kills }))
      await call(nodes).catch((error: unknown) => errors.push(error as PgdbaError));
    expect([verb, errors.length > 0, asked()]).toEqual([verb, true, 1]);
    for (const { code, message, nothingDone } of errors) {
      expect(code).toBe("unsupported");
      expect(message).toContain(`no ${verb} on paper`);
      expect(nothingDone).toBe(true);
    }
    for (const one of calls) called.add(one);
  }
  expect([...called].toSorted()).toEqual(Object.keys({ ...READ, ...CHANGE, ...FAULT }).toSorted());
});
