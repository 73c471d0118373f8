import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pgbouncerMissing } from "../../support/pgbouncer.ts";
import { type Followed, portOf, startFollowed, startFollower } from "./support.ts";

describe.skipIf(pgbouncerMissing() !== null)("the follower of a PgBouncer", () => {
  let at: Followed;
  let ports: [number, number];
  const lead = (which: 0 | 1, timeline: number) => {
    const [next, other] = [at.members[which], at.members[which === 0 ? 1 : 0]];
    other.says = "replica";
    Object.assign(next, { says: "primary", timeline });
    return at.until(
      ({ route, clients }) =>
        route?.member === next.name && route.timeline === timeline && clients === "go on",
    );
  };

  const cutsOneByOne = async () => {
    const [row] = await at.console("SHOW VERSION");
    return Number(/1\.(\d+)/.exec(String(row?.["version"]))?.[1]) >= 24;
  };

  beforeAll(async () => {
    at = await startFollowed();
    ports = [at.members[0].server.port, at.members[1].server.port];
    await at.until(
      ({ route, members, clients }) =>
        route?.member === "pg1" && members.length === 2 && clients !== "unknown",
    );
  }, 300_000);
  afterAll(async () => at.stop());

  test("tells the route, and only who has the password; it is in no log and no file of its own", async () => {
    const { body } = await at.ask("GET", "/status");
    expect(body).toMatchObject({
      route: { member: "pg1", host: "127.0.0.1", port: ports[0], timeline: 1 },
      paused: null,
      clients: "go on",
      members: [
        { name: "pg1", primary: true, why: null },
        { name: "pg2", primary: false, why: "is up and does not lead (replica)" },
      ],
    });
    expect(await at.ask("GET", "/status", undefined, "wrong")).toEqual({
      status: 401,
      body: { error: "unauthorized" },
    });
    expect((await fetch(`${at.url}/pause`, { method: "POST" })).status).toBe(401);
    expect(JSON.stringify(at.follower.context.recorded.logs)).not.toContain(at.pooler.admin);
    expect(at.follower.context.recorded.secrets).toContain(at.pooler.admin);
    expect(readFileSync(join(at.pooler.base, "route.ini"), "utf8")).not.toContain(at.pooler.admin);
    expect((await at.ask("GET", "/elsewhere")).status).toBe(404);
    expect((await at.ask("GET", "/pause")).status).toBe(405);
    expect((await at.ask("POST", "/pause", { holder: "x", cap_ms: -1, wait_ms: 5 })).status).toBe(
      400,
    );
    expect((await at.ask("POST", "/resume", {})).status).toBe(400);
  });

  test("a switchover under a pause: no client notices more than that it waits", async () => {
    const client = await at.client();
    expect(await portOf(client)).toBe(ports[0]);
    const paused = await at.ask("POST", "/pause", {
      holder: "run-1",
      cap_ms: 20_000,
      wait_ms: 5000,
    });
    expect(paused).toMatchObject({ status: 200, body: { paused: { holder: "run-1" } } });
    const waiting = portOf(client);
    expect(
      await at.ask("POST", "/pause", { holder: "run-2", cap_ms: 1000, wait_ms: 50 }),
    ).toMatchObject({
      status: 423,
      body: { error: "held", holder: "run-1" },
    });
    expect((await at.ask("POST", "/resume", { holder: "run-2" })).status).toBe(423);
    at.members[0].says = "replica";
    await at.until(({ route }) => route === null);
    at.members[1].timeline = 2;
    at.members[1].says = "promoting";
    // Asked to let them go, it waits for a primary that takes writes.
    const resumed = at.ask("POST", "/resume", { holder: "run-1" });
    await at.until(
      ({ members }) => members[1].why === "has the leader key, and is replica, running",
    );
    expect(Bun.peek.status(resumed)).toBe("pending");
    at.members[1].says = "primary";
    expect(await resumed).toMatchObject({
      status: 200,
      body: { paused: null, clients: "go on", route: { member: "pg2", timeline: 2 } },
    });
    expect(await waiting).toBe(ports[1]);
    await client.end();
    await lead(0, 3);
  });

  test("a pause until a member takes over ends when that one takes writes on a later timeline, and not before", async () => {
    const client = await at.client();
    expect(await portOf(client)).toBe(ports[0]);
    const now = (await at.until(({ route }) => route?.member === "pg1")).route.timeline;
    const asked = { holder: "run-1", cap_ms: 60_000, wait_ms: 5000, until_primary: "pg2" };
    const bad = await at.ask("POST", "/pause", { ...asked, until_primary: "" });
    expect(bad.status).toBe(400);
    expect(await at.ask("POST", "/pause", asked)).toMatchObject({
      status: 200,
      body: { paused: { holder: "run-1", until_primary: "pg2" } },
    });
    const waiting = portOf(client);
    // Asked once more by the same one, it is still the timeline of the first time that counts.
    expect((await at.ask("POST", "/pause", asked)).status).toBe(200);
    const isHeld = async () => {
      const { paused, clients } = await at.until(() => true);
      expect([paused?.holder, clients]).toEqual(["run-1", "wait"]);
      expect(Bun.peek.status(waiting)).toBe("pending");
    };
    // One that claims the role on the timeline of the old primary has not been promoted.
    Object.assign(at.members[1], { says: "primary", timeline: now });
    at.members[0].says = "replica";
    await at.until(({ route }) => route?.member === "pg2");
    await isHeld();
    Object.assign(at.members[1], { says: "promoting", timeline: now + 1 });
    await at.until(({ route }) => route === null);
    await isHeld();
    expect((await at.ask("POST", "/resume", { holder: "run-2" })).status).toBe(423);
    at.members[1].says = "primary";
    expect(await waiting).toBe(ports[1]);
    expect(await at.until(() => true)).toMatchObject({ paused: null, clients: "go on" });
    // Its holder comes later and finds nothing to do.
    expect((await at.ask("POST", "/resume", { holder: "run-1" })).status).toBe(200);
    // Another one than the one that is waited for: its holder must say that clients may go there.
    const other = { ...asked, until_primary: "pg3" };
    expect((await at.ask("POST", "/pause", other)).status).toBe(200);
    Object.assign(at.members[0], { says: "primary", timeline: now + 2 });
    at.members[1].says = "replica";
    await at.until(({ route }) => route?.member === "pg1");
    expect((await at.until(() => true)).paused).toMatchObject({ holder: "run-1" });
    expect((await at.ask("POST", "/resume", other)).status).toBe(200);
    await client.end();
    // The cap ends it as any other.
    await at.ask("POST", "/pause", { ...other, cap_ms: 300 });
    await at.until(({ paused, clients }) => paused === null && clients === "go on");
    await lead(0, 3);
  });

  test("a transaction that does not end: clients go on, and it says how many are open", async () => {
    const [busy, other] = [await at.client(), await at.client()];
    await busy.query("BEGIN");
    await busy.query("SELECT 1");
    const asked = { holder: "run-1", cap_ms: 5000, wait_ms: 150 };
    expect(await at.ask("POST", "/pause", asked)).toEqual({
      status: 409,
      body: { error: "transactions_open", open: 1 },
    });
    expect(await portOf(other)).toBe(ports[0]);
    await busy.query("COMMIT");
    // What was cut short leaves nothing behind.
    expect((await at.ask("POST", "/pause", asked)).status).toBe(200);
    expect((await at.ask("POST", "/resume", asked)).status).toBe(200);
    await busy.end();
    await other.end();
  });

  test("of a PgBouncer that stands still nobody says that no transaction is open", async () => {
    const busy = await at.client();
    await busy.query("BEGIN");
    const asked = { holder: "run-1", cap_ms: 5000, wait_ms: 600 };
    const answer = at.ask("POST", "/pause", asked);
    await at.until(({ clients }) => clients !== "go on");
    await at.pooler.freeze(true);
    try {
      expect(await answer).toMatchObject({ status: 503, body: { error: "unreachable" } });
    } finally {
      await at.pooler.freeze(false);
    }
    await at.until(({ pgbouncer, clients }) => pgbouncer && clients === "go on");
    await busy.end().catch(() => {});
  });

  test("at its cap a pause ends by itself, asked again it lasts longer, and to end it twice is no error", async () => {
    const asked = { holder: "run-1", cap_ms: 300, wait_ms: 200 };
    expect((await at.ask("POST", "/pause", asked)).status).toBe(200);
    const longer = await at.ask("POST", "/pause", { ...asked, cap_ms: 60_000 });
    expect(longer.body.paused.left_ms).toBeGreaterThan(10_000);
    await at.ask("POST", "/pause", asked);
    const client = await at.client();
    expect(await portOf(client)).toBe(ports[0]);
    expect((await at.ask("GET", "/status")).body).toMatchObject({ paused: null, clients: "go on" });
    expect((await at.ask("POST", "/resume", { holder: "run-1" })).status).toBe(200);
    await client.end();
  });

  test("of two that claim to lead, the one on the newest timeline; one that comes back with an older one gets nobody", async () => {
    const client = await at.client();
    Object.assign(at.members[1], { says: "primary", timeline: 4 });
    await at.until(({ route }) => route?.member === "pg2");
    expect(await portOf(client)).toBe(ports[1]);
    at.members[1].says = "silent";
    await at.until(({ members }) => members[1].why?.startsWith("does not answer"));
    const status = await at.until(({ members }) => members[0].primary);
    expect(status.route).toMatchObject({ member: "pg2" });
    at.members[0].says = "replica";
    at.members[1].says = "primary";
    await at.until(({ members }) => members[1].primary);
    await client.end();
    await lead(0, 5);
  });

  test("clients that hang at a primary that stands still are cut off when another leads, and come back there", async () => {
    const [hung, idle] = [await at.client(), await at.client()];
    const { rows } = await hung.query("SELECT pg_backend_pid() AS pid");
    const pid = (rows[0] as { pid: number }).pid;
    // Of the server's processes that one alone stands still, so that the others can use it.
    await hung.query("BEGIN");
    process.kill(pid, "SIGSTOP");
    try {
      const answer = hung.query("SELECT 1").then(
        () => "an answer",
        () => "cut off",
      );
      at.members[0].says = "silent";
      Object.assign(at.members[1], { says: "primary", timeline: 6 });
      expect(await answer).toBe("cut off");
      await at.until(({ route }) => route?.member === "pg2");
      // Before 1.24 PgBouncer can cut off none but all clients of a database.
      const isNew = await cutsOneByOne();
      expect(await portOf(idle).catch(() => "cut off")).toBe(isNew ? ports[1] : "cut off");
      const again = await at.client();
      expect(await portOf(again)).toBe(ports[1]);
      await again.end();
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await idle.end().catch(() => {});
    await lead(0, 7);
  });

  test("after a ttl without a primary nobody is let through, whoever hangs is cut off; they go on with the next primary", async () => {
    const hung = await at.client();
    await hung.query("BEGIN");
    const { rows } = await hung.query("SELECT pg_backend_pid() AS pid");
    const pid = (rows[0] as { pid: number }).pid;
    process.kill(pid, "SIGSTOP");
    try {
      const cut = hung.query("SELECT 1").then(
        () => "an answer",
        () => "cut off",
      );
      at.ttl.s = 2;
      // Learnt from the other one, too.
      at.members[0].says = "silent";
      const kept = await at.until(({ members }) => members[0].why?.startsWith("does not answer"));
      expect(kept.route).toMatchObject({ member: "pg1" });
      expect(await cut).toBe("cut off");
      const status = await at.until(({ route, clients }) => route === null && clients === "wait");
      expect(status).toMatchObject({ why: "no member has led for 2 s" });
    } finally {
      process.kill(pid, "SIGCONT");
    }
    const waiting = at.client().then(portOf);
    await at.until(({ pgbouncer }) => pgbouncer);
    expect(Bun.peek.status(waiting)).toBe("pending");
    Object.assign(at.members[1], { says: "primary", timeline: 8 });
    expect(await waiting).toBe(ports[1]);
    at.ttl.s = 30;
    await lead(0, 9);
  });

  test("a primary that says it does not lead gets nobody from then on", async () => {
    at.members[0].says = "stopped";
    const status = await at.until(({ route, clients }) => route === null && clients === "wait");
    expect(status).toMatchObject({ why: "pg1 is not up (stopped)" });
    at.members[0].says = "primary";
    await at.until(({ clients }) => clients === "go on");
  });

  test("a PgBouncer that is restarted is not paused, whoever held it, and has its route again", async () => {
    expect(
      (await at.ask("POST", "/pause", { holder: "run-1", cap_ms: 60_000, wait_ms: 5000 })).status,
    ).toBe(200);
    await at.pooler.restart();
    await at.until(({ paused, clients }) => paused === null && clients === "go on");
    const client = await at.client();
    expect(await portOf(client)).toBe(ports[0]);
    await client.end();
  });

  test("a follower that is told to stop lets clients go first; one that begins finds them held back and lets them go", async () => {
    expect(
      (await at.ask("POST", "/pause", { holder: "run-1", cap_ms: 60_000, wait_ms: 5000 })).status,
    ).toBe(200);
    await at.follower.end();
    expect(await at.follower.ended).toMatchObject({ code: "interrupted" });
    const client = await at.client();
    expect(await portOf(client)).toBe(ports[0]);
    // As after kill -9 of one that held them back.
    await at.console("PAUSE");
    const waiting = portOf(client);
    await at.restart();
    expect(await waiting).toBe(ports[0]);
    expect((await at.until(() => true)).paused).toBeNull();
    await client.end();
  });

  test("a route that PgBouncer does not take is told, and clients wait until it does", async () => {
    const ini = join(at.pooler.base, "ini");
    const whole = readFileSync(ini, "utf8");
    await writeFile(ini, whole.replace(/^%include.*$/m, `[databases]\n* = host=127.0.0.1 port=2`));
    try {
      const client = await at.client();
      await client.query("SELECT 1");
      Object.assign(at.members[1], { says: "primary", timeline: 10 });
      at.members[0].says = "replica";
      // It is still the one that PgBouncer has.
      await at.until(({ route, clients }) => clients === "wait" && route?.member === "pg1");
      await client.end();
    } finally {
      await writeFile(ini, whole);
    }
    await at.until(({ route, clients }) => route?.member === "pg2" && clients === "go on");
    await lead(0, 11);
  });

  test("after a new route PgBouncer connects there without waiting for long, and then waits as its file says", async () => {
    const retry = async () => {
      const config = await at.console("SHOW CONFIG");
      return Number(config.find(({ key }) => key === "server_login_retry")?.["value"]);
    };
    while ((await retry()) !== 1) await Bun.sleep(20);
    Object.assign(at.members[1], { says: "primary", timeline: 12 });
    while ((await retry()) !== 0.01) await Bun.sleep(5);
    while ((await retry()) !== 1) await Bun.sleep(20);
    await lead(0, 13);
    // Each haste lasts three seconds, that of the test before included.
  }, 300_000);

  test("what somebody else pauses on the console is told, and let go when asked for; what somebody else lets go is held again", async () => {
    const tells = await at.console("SHOW STATE").then(
      () => true,
      () => false,
    );
    // Before 1.19 PgBouncer does not tell it.
    if (!tells) return;
    await at.console("PAUSE");
    const status = await at.until(({ clients }) => clients === "wait");
    expect(status).toMatchObject({
      paused: null,
      why: "somebody else paused PgBouncer on its console",
    });
    const client = at.client();
    expect((await at.ask("POST", "/resume", { holder: "operator" })).status).toBe(200);
    const asked = { holder: "run-1", cap_ms: 60_000, wait_ms: 5000 };
    await (await client).end();
    await at.ask("POST", "/pause", asked);
    await at.console("RESUME");
    const paused = async () =>
      (await at.console("SHOW STATE")).some(
        ({ key, value }) => key === "paused" && value === "yes",
      );
    while (!(await paused())) await Bun.sleep(20);
    await at.ask("POST", "/resume", asked);
  });

  test("before any member has led, clients wait for it instead of being refused; a second follower is", async () => {
    const fresh = await startFollowed({ leaderless: true });
    try {
      await fresh.until(({ clients }) => clients === "wait");
      const waiting = fresh.client().then(async (client) => {
        const port = await portOf(client);
        await client.end();
        return port;
      });
      const second = startFollower(fresh.config);
      expect(await second.ended).toMatchObject({ code: "io_failed" });
      expect(Bun.peek.status(waiting)).toBe("pending");
      fresh.members[0].says = "primary";
      expect(await waiting).toBe(ports[0]);
    } finally {
      await fresh.stop();
    }
  });

  test("a configuration that can't be used is refused, and says where", async () => {
    const file = join(at.pooler.base, "bad.json");
    const good = JSON.parse(readFileSync(at.config, "utf8"));
    const bad = [
      ["{", "is not JSON"],
      [{ ...good, members: [] }, "members"],
      [{ ...good, members: [good.members[0], good.members[0]] }, "names the member pg1 twice"],
      [{ ...good, route: { file: "x", databases: { "*": { password: "x" } } } }, "password"],
      [
        { ...good, route: { file: "x", databases: { "*": { pool_size: "1 host=evil" } } } },
        "pool_size",
      ],
      [{ ...good, console: { ...good.console, password_file: "/nowhere" } }, "/nowhere"],
    ] as const;
    for (const [content, said] of bad) {
      await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
      const error = (await startFollower(file).ended) as Error;
      expect(error.message).toContain(said);
    }
    await writeFile(join(at.pooler.base, "empty"), "\n");
    const empty = {
      ...good,
      console: { ...good.console, password_file: join(at.pooler.base, "empty") },
    };
    await writeFile(file, JSON.stringify(empty));
    expect(await startFollower(file).ended).toMatchObject({ code: "missing_secret" });
  });
});
