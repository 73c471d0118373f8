import { beforeAll, describe, expect, test } from "bun:test";
import pause from "../../../steps/pgbouncer/pause.ts";
import { pgbouncerMissing } from "../../support/pgbouncer.ts";
import { type Followed, onPooler, portOf, sharedFollowed } from "./support.ts";

describe.skipIf(pgbouncerMissing() !== null)("pgbouncer.pause", () => {
  let at: Followed;
  const paused = async () => (await at.ask("GET", "/status")).body.paused;
  beforeAll(async () => {
    at = await sharedFollowed();
  }, 300_000);

  test("holds clients back until it is taken back, and can tell that it does", async () => {
    const context = onPooler(at, "change");
    expect(await pause.probe!(context, {})).toEqual({ state: "not_done" });
    expect(await pause.plan!(context, {})).toEqual({
      would_pause: ["pool1"],
      now: [{ instance: "pool1", holder: null }],
    });
    const output = await pause.run(context, { cap: "60s" });
    expect(output).toEqual({ paused: ["pool1"], holder: "run-1" });
    expect((await paused()).left_ms).toBeGreaterThan(50_000);
    expect(await pause.probe!(context, {})).toEqual({ state: "done", output });
    const waiting = at.client().then(async (client) => {
      const port = await portOf(client);
      await client.end();
      return port;
    });
    // Once more is the same as once: the cap begins anew.
    await pause.run(context, { cap: "90s" });
    expect((await paused()).left_ms).toBeGreaterThan(80_000);
    expect(Bun.peek.status(waiting)).toBe("pending");
    await pause.undo!(context, {}, output);
    expect(await waiting).toBe(at.members[0].server.port);
    expect(await paused()).toBeNull();
    await pause.undo!(context, {}, output);
    expect(context.recorded.unchanged).toBe(1);
  });

  test("until a member takes over: clients go on there by themselves, and nothing is left to be taken back", async () => {
    const [from, to] = at.members;
    const before = from.timeline;
    const context = onPooler(at, "change");
    await pause.run(context, { cap: "60s", until_primary: "pg2" });
    expect(await paused()).toMatchObject({ holder: "run-1", until_primary: "pg2" });
    const waiting = at.client().then(async (client) => {
      const port = await portOf(client);
      await client.end();
      return port;
    });
    from.says = "replica";
    Object.assign(to, { says: "primary", timeline: before + 1 });
    expect(await waiting).toBe(to.server.port);
    expect(await paused()).toBeNull();
    await pause.undo!(context, { until_primary: "pg2" }, undefined);
    expect(context.recorded.unchanged).toBe(1);
    to.says = "replica";
    Object.assign(from, { says: "primary", timeline: before + 2 });
    await at.until(({ route, clients }) => route?.member === "pg1" && clients === "go on");
  });

  test("says how many transactions did not end, and clients go on", async () => {
    const busy = await at.client();
    await busy.query("BEGIN");
    await busy.query("SELECT 1");
    const failed = pause.run(onPooler(at, "change"), { wait: "100ms" });
    expect(await failed.catch((error: unknown) => error)).toMatchObject({
      code: "timeout",
      data: { instance: "pool1", open: 1 },
      nothingDone: true,
    });
    await busy.query("COMMIT");
    expect(await paused()).toBeNull();
    await busy.end();
  });

  test("whoever comes second is told who was first, and takes nothing away from him", async () => {
    await pause.run(onPooler(at, "change"), { holder: "first" });
    const second = onPooler(at, "change");
    const refused = pause.run(second, { holder: "second" });
    expect(await refused.catch((error: unknown) => error)).toMatchObject({
      code: "step_refused",
      message: "first holds back the clients of pool1",
      data: { holder: "first" },
    });
    await pause.undo!(second, { holder: "second" }, undefined);
    expect(await paused()).toMatchObject({ holder: "first" });
    await pause.undo!(second, { holder: "first" }, undefined);
  });

  test("all or none: where one can't be paused, the others go on", async () => {
    const dead = Bun.serve({ port: 0, fetch: () => new Response() });
    const url = `http://127.0.0.1:${dead.port}`;
    await dead.stop(true);
    const context = onPooler(at, "change", { pool2: url });
    const failed = pause.run(context, {});
    expect(await failed.catch((error: unknown) => error)).toMatchObject({
      code: "connection_failed",
    });
    // Nothing is left to be taken back.
    expect(context.recorded.unchanged).toBe(1);
    expect(await paused()).toBeNull();
  });

  test("taken back where a follower can't be asked, the others go on, and it is told when that one lets go", async () => {
    await pause.run(onPooler(at, "change"), {});
    const context = onPooler(at, "change", { pool2: "http://127.0.0.1:1" });
    await pause.undo!(context, {}, undefined);
    expect(await paused()).toBeNull();
    expect(context.recorded.warnings).toEqual([
      "The followers of pool2 could not be asked: if they hold clients back, they let them go by themselves after 30s",
    ]);
  });

  test("is refused where nobody would let clients go, in a step that reads, and beyond what a follower takes", async () => {
    const bare = pause.run(onPooler(at, "change", { pool2: undefined }), {});
    expect(await bare.catch((error: unknown) => error)).toMatchObject({
      code: "step_refused",
      message: "pool2 has no follower: nothing would let its clients go",
    });
    expect(await paused()).toBeNull();
    const reads = pause.run(onPooler(at, "read"), {});
    expect(await reads.catch((error: unknown) => error)).toMatchObject({ code: "step_refused" });
    const long = pause.run(onPooler(at, "change"), { cap: "1h" });
    expect(await long.catch((error: unknown) => error)).toMatchObject({ code: "invalid_param" });
    const unknown = pause.run(onPooler(at, "change"), { instances: ["pool9"] });
    expect(await unknown.catch((error: unknown) => error)).toMatchObject({
      code: "invalid_param",
      hint: "There are: pool1.",
    });
  });
});
