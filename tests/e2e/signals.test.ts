import { afterAll, expect, test, setDefaultTimeout } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { clientOf } from "../support/postgres.ts";
import { clusterFile, sharedServer } from "./server.ts";
import {
  alive,
  at,
  cli,
  eventually,
  type Place,
  place,
  removePlaces,
  runbooks,
  runId,
  Running,
  statuses,
  stepTypes,
} from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const NOTE = (text: string) => `exec: {argv: [sh, -c, 'echo ${text} >> notes']}`;
const UNDOABLE = `  - id: made
    ${NOTE("made")}
    undo:
      - ${NOTE("unmade")}
`;
const guarded = (step: string) => `summary: s
risk: change
steps:
${UNDOABLE}  - id: guard
    block:
${step}
    always:
      - id: closing
        ${NOTE("closed")}
  - id: after
    ${NOTE("after")}
`;
const notes = (p: Place) =>
  existsSync(join(p.cwd, "notes"))
    ? readFileSync(join(p.cwd, "notes"), "utf8").trim().split("\n")
    : [];

/** What is waited for here lasts a minute; the rest is for a busy machine. */
const AT_ONCE_MS = 15_000;

const WAITS: Record<string, string> = {
  "a wait": "      - id: stuck\n        wait: {for: 60s}",
  "a read step with a child":
    "      - id: stuck\n        exec: {argv: [sleep, '60'], effect: read}",
  "until, between two looks":
    "      - id: stuck\n        set: {a: 1}\n        until: output.a == 2\n        every: 60s\n        timeout: 90s",
  "retry, between two attempts":
    "      - id: stuck\n        exec: {argv: ['false'], effect: read}\n        retry: {attempts: 3, backoff: 30s, on: 'true'}",
  "a loop": "      - id: stuck\n        foreach: [1, 2, 3]\n        wait: {for: 60s}",
};

for (const [index, [what, step]] of Object.entries(WAITS).entries()) {
  const signal = (["SIGINT", "SIGTERM", "SIGHUP"] as const)[index % 3]!;
  test.concurrent(`${signal} once in ${what}: cancelled, undone, closed, exit 130 at once; resume brings nothing back`, async () => {
    const p = place(runbooks({ "t/stop": guarded(step) }));
    const child = new Running(["t", "stop"], p);
    await child.said(what.startsWith("retry") ? /retry|again|attempt/i : "start stuck");
    await Bun.sleep(30);
    const began = performance.now();
    child.signal(signal);
    const ran = await child.done();
    expect(performance.now() - began).toBeLessThan(AT_ONCE_MS);
    expect(ran.exit).toBe(130);
    expect(ran.envelope.error?.code).toBe("interrupted");
    expect(ran.envelope.error?.message).toContain(signal);
    expect(statuses(ran)["stuck"]).toBe("cancelled");
    expect(notes(p)).toEqual(["made", "unmade", "closed"]);

    const shown = await cli(["runs", runId(ran)], p);
    expect(at(shown.envelope, "data", "status")).toBe("interrupted");
    const resumed = await cli(["resume", runId(ran)], p);
    expect(resumed.exit).toBe(2);
    expect(resumed.envelope.error).toMatchObject({
      code: "usage",
      message: expect.stringContaining("nothing to resume"),
      hint: "Start it anew: pgdba run t/stop",
    });
    expect(notes(p)).toEqual(["made", "unmade", "closed"]);
  });
}

test("SIGINT once in a change step: it ends, then the run unwinds", async () => {
  const p = place(
    runbooks({
      "t/stop": guarded(
        "      - id: busy\n        exec: {argv: [sh, -c, 'sleep 0.6; echo busy >> notes']}",
      ),
    }),
  );
  const child = new Running(["t", "stop"], p);
  await child.said("start busy");
  child.signal("SIGINT");
  const ran = await child.done();
  expect(ran.exit).toBe(130);
  expect(statuses(ran)["busy"]).toBe("ok");
  expect(notes(p)).toEqual(["made", "busy", "unmade", "closed"]);
});

test("SIGINT in the last step, a change: it ends and is taken back", async () => {
  const p = place(
    runbooks({
      "t/last": `summary: s\nrisk: change\nsteps:\n  - id: last\n    exec: {argv: [sh, -c, 'sleep 0.4; echo made >> notes']}\n    undo:\n      - ${NOTE("unmade")}\n`,
    }),
  );
  const child = new Running(["t", "last"], p);
  await child.said("start last");
  child.signal("SIGINT");
  const ran = await child.done();
  expect(ran.exit).toBe(130);
  expect(notes(p)).toEqual(["made", "unmade"]);
});

test("twice: every child is dead, the journal says unknown, exit 130 soon, nothing is undone; resume asks for an operator", async () => {
  const tree =
    "trap '' INT TERM; sleep 61 & echo $! > inner; sleep 62 & echo $$ > outer; wait; sleep 63";
  const p = place(
    runbooks({ "t/stop": guarded(`      - id: busy\n        exec: {argv: [sh, -c, "${tree}"]}`) }),
  );
  const child = new Running(["t", "stop"], p);
  await child.said("start busy");
  await eventually(
    () => existsSync(join(p.cwd, "inner")) && existsSync(join(p.cwd, "outer")),
    "the tree",
  );
  const pids = ["inner", "outer"].map((name) => Number(readFileSync(join(p.cwd, name), "utf8")));
  child.signal("SIGINT");
  await child.said("the run is undone");
  expect(pids.every(alive)).toBe(true);
  const began = performance.now();
  child.signal("SIGINT");
  const ran = await child.done();
  expect(performance.now() - began).toBeLessThan(AT_ONCE_MS);
  expect(ran.exit).toBe(130);
  expect(ran.envelope.error?.code).toBe("interrupted");
  expect(statuses(ran)["busy"]).toBe("unknown");
  await eventually(() => !pids.some(alive), "the tree is dead");
  expect(notes(p)).toEqual(["made"]);
  const shown = await cli(["runs", runId(ran)], p);
  const steps = at(shown.envelope, "data", "steps") as { path: string; status: string }[];
  expect(steps.find((step) => step.path === "busy")?.status).toBe("unknown");

  const asked = await cli(["resume", runId(ran)], p);
  expect(asked.exit).toBe(6);
  expect(asked.envelope.error?.code).toBe("needs_operator");
  expect(asked.envelope.error?.hint).toContain("--assume busy=done");
  // Once a person has looked, what is left is the unwinding: the run had been told to stop.
  const said = await cli(["resume", runId(ran), "--assume", "busy=done"], p);
  expect(said.exit).toBe(130);
  expect(notes(p)).toEqual(["made", "unmade", "closed"]);
});

test("twice with a step type that never ends: exit 130 soon, a third signal at once", async () => {
  const p = place({
    ...stepTypes({
      "t.deaf": `effect: "change", risk: "change", idempotent: false, run(ctx) { ctx.log("deaf"); return new Promise(() => {}) }`,
    }),
    ...runbooks({ "t/deaf": "summary: s\nrisk: change\nsteps:\n  - t.deaf: {}\n" }),
  });
  const twice = async (third: boolean) => {
    const child = new Running(["t", "deaf"], p);
    await child.said("deaf\n");
    child.signal("SIGINT");
    await child.said("the run is undone");
    const began = performance.now();
    child.signal("SIGTERM");
    // Of another kind, so that the system can't make one of both.
    if (third) child.signal("SIGINT");
    const ran = await child.done();
    expect(ran.exit).toBe(130);
    expect(ran.envelope.error?.code).toBe("interrupted");
    return { ran, ms: performance.now() - began };
  };
  const second = await twice(false);
  expect(second.ms).toBeLessThan(AT_ONCE_MS);
  const { ran } = await twice(true);
  // The second one still waits a moment for the step, and tells how the run ended; the third leaves without it.
  expect([second.ran, ran].map(({ envelope }) => envelope.error?.run !== undefined)).toEqual([
    true,
    false,
  ]);
  const id = /resume (\S+?)`/.exec(ran.envelope.error!.hint!)![1]!;
  expect((await cli(["resume", id], p)).envelope.error?.code).toBe("needs_operator");
});

test("SQL under way is cancelled on the server as well, a change by the second signal only", async () => {
  const server = await sharedServer();
  const sleep = (type: string) =>
    `summary: s\nrisk: change\nneeds: [postgres]\nsteps:\n  - id: stuck\n    ${type}: {sql: select pg_sleep(60)}\n`;
  const p = place({
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...runbooks({ "t/query": sleep("sql.query"), "t/execute": sleep("sql.execute") }),
  });
  const client = await clientOf(server);
  const asleep = async (): Promise<number> =>
    (
      await client.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()",
      )
    ).rows[0].n;
  for (const [name, status] of [
    ["query", "cancelled"],
    ["execute", "unknown"],
  ] as const) {
    const child = new Running(["t", name, "--cluster", "orders"], p, {
      env: { CLUSTER_PASSWORD: server.password },
    });
    while ((await asleep()) === 0) await Bun.sleep(20);
    const began = performance.now();
    child.signal("SIGINT");
    if (name === "execute") {
      await child.said("the run is undone");
      child.signal("SIGINT");
    }
    const ran = await child.done();
    expect(performance.now() - began).toBeLessThan(AT_ONCE_MS);
    expect([ran.exit, statuses(ran)["stuck"]]).toEqual([130, status]);
    // It ends with an error that nobody reads any more.
    for (const ends = Date.now() + AT_ONCE_MS; (await asleep()) > 0; await Bun.sleep(20))
      expect(Date.now()).toBeLessThan(ends);
  }
  await client.end();
});

test("SIGINT while a server does not answer ends at once, before anything was done", async () => {
  const asked = Promise.withResolvers<void>();
  const socket = { open: () => asked.resolve(), data() {} };
  const deaf = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
  const p = place(runbooks({ "t/stop": guarded("      - id: stuck\n        wait: {for: 60s}") }));
  try {
    const child = new Running(
      ["t", "stop", "--host", "127.0.0.1", "--port", String(deaf.port), "--user", "x"],
      p,
    );
    await asked.promise;
    const began = performance.now();
    child.signal("SIGINT");
    const ran = await child.done();
    expect(performance.now() - began).toBeLessThan(AT_ONCE_MS);
    expect([ran.exit, ran.envelope.error?.code]).toEqual([130, "interrupted"]);
    expect(notes(p)).toEqual([]);
  } finally {
    deaf.stop(true);
  }
});

test("a signal before anything began leaves nothing behind", async () => {
  const p = place(runbooks({ "t/stop": guarded("      - id: stuck\n        wait: {for: 60s}") }));
  const child = new Running(["t", "stop"], p);
  await Bun.sleep(25);
  child.signal("SIGINT");
  const { exit, stdout } = await child.ended();
  // Before the handlers are there the system ends the process, else the run is unwound.
  if (stdout !== "") expect(exit).toBe(130);
  expect(notes(p).filter((note) => note === "made").length).toBe(
    notes(p).filter((note) => note === "unmade").length,
  );
});

test("a runbook that watches ends well with Ctrl-C and SIGTERM: exit 0", async () => {
  const server = await sharedServer();
  const p = place({
    "home/clusters/orders.yaml": clusterFile(server, "managed"),
    ...runbooks({
      "t/watch":
        "summary: s\nrisk: change\nwatches: true\nsteps:\n  - id: loop\n    block: [{exec: {argv: [sh, -c, 'echo x >> notes']}}]\n    until: 1 == 2\n    every: 50ms\n",
    }),
  });
  const env = { CLUSTER_PASSWORD: server.password };
  const watch = new Running(["t", "watch", "--cluster", "orders"], p, { env });
  await eventually(() => notes(p).length > 3, "some rounds are made");
  watch.signal("SIGINT");
  expect(await watch.done()).toMatchObject({ exit: 0, envelope: { success: true, error: null } });
  const serve = new Running(["health", "serve", "--listen", "0", "--cluster", "orders"], p, {
    env,
  });
  await serve.said("listening on");
  serve.signal("SIGTERM");
  expect(await serve.done()).toMatchObject({ exit: 0, envelope: { success: true } });
});
