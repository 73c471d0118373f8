import { afterAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { join } from "node:path";
import type { JsonObject } from "../../../engine/types.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import { Cache } from "../../../steps/health/serve/cache.ts";
import { answer, type Checked, type Probes } from "../../../steps/health/serve/probes.ts";
import { manualClock } from "../../support/context.ts";
import { clientOf, sharedServer, startServer } from "../../support/postgres.ts";
import { freeze, serving, stopServing } from "./serving.ts";

describe("the cache", () => {
  const counted = () => {
    const clock = manualClock();
    let gate = Promise.withResolvers<void>();
    let runs = 0;
    const cache = new Cache(
      async () => {
        const number = ++runs;
        await gate.promise;
        if (number === 3) throw new PgdbaError("connection_failed", "gone");
        return number;
      },
      { clock, ttlMs: 30_000, graceMs: 0, maxAgeMs: 300_000 },
    );
    const finish = async () => {
      gate.resolve();
      await Bun.sleep(0);
      gate = Promise.withResolvers();
    };
    return { clock, cache, finish, runs: () => runs };
  };

  test("asks once however many wait, again only behind a stale answer, and waits when that is too old", async () => {
    const { clock, cache, finish, runs } = counted();
    const waiting = Array.from({ length: 100 }, () => cache.get());
    await finish();
    expect(
      new Set((await Promise.all(waiting)).map((entry) => "value" in entry && entry.value)),
    ).toEqual(new Set([1]));
    expect(runs()).toBe(1);

    clock.advance(29_000);
    expect(await cache.get()).toMatchObject({ value: 1, ageMs: 29_000 });
    expect(runs()).toBe(1);

    clock.advance(2000);
    for (let n = 0; n < 10; n++)
      expect(await cache.get()).toMatchObject({ value: 1, ageMs: 31_000 });
    expect(runs()).toBe(2);
    await finish();
    expect(await cache.get()).toMatchObject({ value: 2, ageMs: 0 });

    clock.advance(300_001);
    const late = cache.get();
    expect(runs()).toBe(3);
    await finish();
    expect(await late).toMatchObject({ error: { code: "connection_failed" } });
  });

  test("an answer that could not be had is asked for again soon", async () => {
    const clock = manualClock();
    let runs = 0;
    const work = async () => {
      runs += 1;
      if (runs === 1) throw new PgdbaError("connection_failed", "gone");
      return runs;
    };
    const cache = new Cache(work, { clock, ttlMs: 30_000, graceMs: 0, maxAgeMs: 300_000 });
    expect(await cache.get()).toMatchObject({ error: { code: "connection_failed" } });
    clock.advance(4000);
    expect(await cache.get()).toMatchObject({ error: { code: "connection_failed" } });
    expect(runs).toBe(1);
    clock.advance(2000);
    await cache.get();
    await Bun.sleep(0);
    expect(await cache.get()).toMatchObject({ value: 2 });
  });

  test("who asks rarely gets the new answer, and the stale one only when the new one takes too long", async () => {
    const clock = manualClock();
    let wait = () => Bun.sleep(0);
    let runs = 0;
    const work = async () => {
      const number = ++runs;
      await wait();
      return number;
    };
    const cache = new Cache(work, { clock, ttlMs: 1000, graceMs: 2_000, maxAgeMs: 300_000 });
    expect(await cache.get()).toMatchObject({ value: 1 });
    wait = () => Bun.sleep(20);
    clock.advance(7900);
    expect(await Promise.all([cache.get(), cache.get()])).toMatchObject([
      { value: 2, ageMs: 0 },
      { value: 2, ageMs: 0 },
    ]);
    const slow = Promise.withResolvers<void>();
    wait = () => slow.promise;
    clock.advance(2000);
    expect(await cache.get()).toMatchObject({ value: 2, ageMs: 2000 });
    // Not each of them waits anew while the same answer is made.
    clock.advance(2000);
    const begun = performance.now();
    expect(await cache.get()).toMatchObject({ value: 2, ageMs: 4000 });
    expect(performance.now() - begun).toBeLessThan(1_500);
    slow.resolve();
    await Bun.sleep(0);
    expect(await cache.get()).toMatchObject({ value: 3 });
  });
});

test("without a sign of life readyz waits for no health check, be it asked for before or not", async () => {
  const clock = manualClock();
  let signs = 0;
  let checks = 0;
  let goodSigns = 0;
  const times = { clock, ttlMs: 1, graceMs: 0, maxAgeMs: 1 };
  const probes: Probes = {
    ready: new Cache<Checked>(() => {
      checks += 1;
      return new Promise(() => {});
    }, times),
    alive: new Cache(
      async () => {
        clock.advance(10);
        if (++signs > goodSigns) throw new PgdbaError("connection_failed", "gone");
        return { role: "primary" as const, full: false };
      },
      { ...times, ttlMs: -1 },
    ),
    failOn: "critical",
    waiting: 0,
    maxWaiting: 2,
    patienceMs: 60_000,
    watchMs: 50,
  };
  const ask = async () => {
    const begun = performance.now();
    const response = await answer(probes, new Request("http://x/readyz"));
    expect(performance.now() - begun).toBeLessThan(20_000);
    return [response.status, await response.json()];
  };
  expect(await ask()).toMatchObject([503, { ready: false, error: "connection_failed" }]);
  expect(checks).toBe(0);
  [signs, goodSigns] = [0, 2];
  clock.advance(10);
  expect(await ask()).toMatchObject([503, { ready: false, error: "connection_failed" }]);
  expect([checks, signs]).toEqual([1, 3]);
});

test("requests beyond the bound are turned away, and one that waits too long is told so", async () => {
  const never = new Cache<Checked>(() => new Promise(() => {}), {
    clock: manualClock(),
    ttlMs: 1,
    graceMs: 0,
    maxAgeMs: 1,
  });
  const probes: Probes = {
    ready: never,
    alive: never as never,
    failOn: "critical",
    waiting: 0,
    maxWaiting: 2,
    patienceMs: 50,
    watchMs: 10,
  };
  const ask = async () => {
    const response = await answer(probes, new Request("http://x/readyz"));
    return [response.status, ((await response.json()) as JsonObject)["error"]];
  };
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([
    [503, "timeout"],
    [503, "timeout"],
    [503, "too_many_requests_waiting"],
  ]);
  expect(probes.waiting).toBe(0);
});

afterAll(stopServing);

const LEVEL = { "connections-used": { warning: 0, critical: 200 } };

test("healthz and readyz say how it is, in JSON, to GET and HEAD", async () => {
  const server = await sharedServer();
  const { url } = await serving(server, { only: ["connections-used"], thresholds: LEVEL });
  const ready = await fetch(`${url}/readyz`);
  expect(ready.status).toBe(200);
  expect(ready.headers.get("content-type")).toBe("application/json");
  expect(ready.headers.get("cache-control")).toBe("no-store");
  expect(await ready.json()).toMatchObject({
    ready: true,
    failing: [],
    summary: { worst: "warning", warning: 1, checks: 1 },
    server: { role: "primary" },
    checked_at: expect.stringMatching(/Z$/),
    age_seconds: expect.any(Number),
  });
  const alive = await fetch(`${url}/healthz`);
  expect([alive.status, await alive.json()]).toMatchObject([200, { alive: true, role: "primary" }]);

  const head = await fetch(`${url}/readyz`, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
  const post = await fetch(`${url}/readyz`, { method: "POST", body: "x" });
  expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
  expect((await fetch(`${url}/../etc/passwd`)).status).toBe(404);
  expect(url).toStartWith("http://127.0.0.1:");
});

/** The answer to bytes as they are, until the server closes the connection or the whole answer is there. */
function exchange(url: string, parts: string[]): Promise<string> {
  const { hostname, port } = new URL(url);
  const { promise, resolve } = Promise.withResolvers<string>();
  let said = "";
  const socket = connect(Number(port), hostname, async () => {
    for (const part of parts) {
      socket.write(part, "latin1");
      await Bun.sleep(5);
    }
  });
  socket.on("data", (bytes) => {
    said += bytes.toString("latin1");
    const [head, body] = said.split("\r\n\r\n");
    const length = /^content-length: (\d+)/im.exec(head ?? "")?.[1];
    if (length !== undefined && (body ?? "").length >= Number(length)) socket.destroy();
  });
  socket.on("error", () => {});
  socket.on("close", () => resolve(said));
  return promise;
}

test("what load balancers send is answered, and what is no request gets 400 or its like, never 500", async () => {
  const server = await sharedServer();
  const { url } = await serving(server, { only: ["connections-used"], thresholds: LEVEL });
  const host = "Host: db1.example:8432\r\n";
  const asked: [request: string | string[], status: number][] = [
    ["GET /healthz HTTP/1.0\r\n\r\n", 200],
    ["GET /readyz?x=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200],
    ["OPTIONS /healthz HTTP/1.0\r\n\r\n", 200],
    ["HEAD /healthz HTTP/1.0\r\n\r\n", 200],
    ["GET http://db1:8432/healthz HTTP/1.0\r\n\r\n", 200],
    ["GET /nothing HTTP/1.0\r\n\r\n", 404],
    ["OPTIONS / HTTP/1.0\r\n\r\n", 404],
    ["GET //healthz HTTP/1.0\r\n\r\n", 404],
    [`GET /healthz HTTP/1.1\r\n${host}\r\n`, 200],
    [`GET /healthz?a=b#c HTTP/1.1\r\n${host}\r\n`, 200],
    [`GET http://db1.example/readyz HTTP/1.1\r\n${host}\r\n`, 200],
    ["GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", 200],
    ["GET /healthz HTTP/1.1\r\nHost: db:99999\r\n\r\n", 200],
    ["GET /healthz HTTP/1.1\r\nHost: a b<>\r\n\r\n", 200],
    [["GET /hea", "lthz HT", "TP/1.0\r\nX-Slow: ", "1\r\n", "\r\n"], 200],
    [`GET /%zz HTTP/1.1\r\n${host}\r\n`, 404],
    [`POST /healthz HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\nx`, 405],
    ["GET /healthz HTTP/1.1\r\n\r\n", 400],
    ["\x16\x03\x01\x02\x00\x01\r\n\r\n", 400],
    ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /healthz HTTP/1.1\r\n\r\n", 400],
    [`GET /healthz HTTP/1.1\r\n${host}X: ${"x".repeat(100_000)}\r\n\r\n`, 431],
  ];
  const got = await Promise.all(asked.map(([request]) => exchange(url, [request].flat())));
  const answers = asked.map(([request], n): [string | string[], number] => [
    request,
    Number(got[n]!.split(" ")[1]),
  ]);
  expect(answers).toEqual(asked);
  expect(got[0]).toContain('{"alive":true,');
});

test("fail_on decides what is not ready, and names the checks", async () => {
  const server = await sharedServer();
  const { url } = await serving(server, {
    only: ["connections-used", "fsync-off"],
    thresholds: LEVEL,
    fail_on: "warning",
  });
  const response = await fetch(`${url}/readyz`);
  expect(response.status).toBe(503);
  const body = (await response.json()) as { ready: boolean; failing: string[] };
  expect(body.ready).toBe(false);
  expect(body.failing[0]).toBe("fsync-off");
  // Sessions that other tests have left idle are named as a cause of the second.
  expect(body.failing).toContain("connections-used");
  expect(body.failing.filter((name) => name !== "connections-idle")).toHaveLength(2);
});

test("however many ask, the server sees two connections and the answer is the same", async () => {
  const server = await sharedServer();
  const { url } = await serving(server, { skip: ["fsync-off", "full-page-writes-off"] });
  const bodies = new Set<unknown>();
  for (let round = 0; round < 4; round++) {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        Promise.all([fetch(`${url}/readyz`), fetch(`${url}/healthz`)]),
      ),
    );
    for (const [ready, alive] of answers) {
      bodies.add(((await ready.json()) as JsonObject)["checked_at"]);
      expect(alive.status).toBe(200);
    }
  }
  expect(bodies.size).toBe(1);
  const client = await clientOf(server);
  const { rows } = await client.query(
    "select count(*)::int as n from pg_stat_activity where application_name = 'pgdba/run-1'",
  );
  await client.end();
  // Those of the tests above are still open.
  expect(rows[0].n).toBeLessThanOrEqual(6);
});

test("a server that has gone since the last health check is not ready, however fresh that is", async () => {
  const server = await startServer();
  const { url } = await serving(server, { only: ["connections-used"] });
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  await server.stop();
  // The sign of life is good for a second.
  await Bun.sleep(1100);
  const gone = await fetch(`${url}/readyz`);
  expect([gone.status, await gone.json()]).toMatchObject([
    503,
    { ready: false, error: "connection_failed" },
  ]);
}, 300_000);

test("a server that goes away is not alive and not ready, and one that comes back is", async () => {
  const server = await startServer();
  const { url, ctx, ended } = await serving(server, {
    ttl: "1ms",
    max_age: "1ms",
    only: ["connections-used"],
  });
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  await server.stop();
  // The sign of life, which both probes ask for, is good for a second.
  await Bun.sleep(1100);
  const gone = await fetch(`${url}/readyz`);
  expect([gone.status, await gone.json()]).toMatchObject([
    503,
    { ready: false, error: "connection_failed" },
  ]);
  const dead = await fetch(`${url}/healthz`);
  expect([dead.status, await dead.json()]).toMatchObject([
    503,
    { alive: false, error: "connection_failed" },
  ]);

  ctx.abort(new PgdbaError("interrupted", "enough"));
  expect(await ended).toMatchObject({ code: "interrupted" });
  expect(await fetch(`${url}/healthz`).catch(() => "refused")).toBe("refused");
}, 300_000);

test("a server that takes no new connections is not alive, one with too many is, but not ready", async () => {
  const server = await startServer({
    settings: { max_connections: 6, superuser_reserved_connections: 0, reserved_connections: 0 },
  });
  const { url } = await serving(server, { ttl: "1m", only: ["connections-used"] });
  const ask = async (probe: string) => {
    const response = await fetch(`${url}/${probe}`);
    return [response.status, await response.json()];
  };
  expect(await ask("healthz")).toMatchObject([200, { alive: true, connections_full: false }]);
  const clients: Awaited<ReturnType<typeof clientOf>>[] = [];
  for (let more = true; more;) {
    const client = await clientOf(server).catch(() => null);
    if (client === null) more = false;
    else clients.push(client);
  }
  await Bun.sleep(1100);
  expect(await ask("healthz")).toMatchObject([
    200,
    { alive: true, role: "primary", connections_full: true },
  ]);
  expect(await ask("readyz")).toMatchObject([503, { ready: false, error: "connections_full" }]);
  for (const client of clients) await client.end();
  await Bun.sleep(1100);
  expect(await ask("healthz")).toMatchObject([200, { connections_full: false }]);
  // The kernel still takes connections for it, and what stands already still answers.
  const pid = Number(
    (await Bun.file(join(server.dataDir, "postmaster.pid")).text()).split("\n")[0],
  );
  process.kill(pid, "SIGSTOP");
  try {
    await Bun.sleep(1100);
    expect(await ask("healthz")).toMatchObject([503, { alive: false, error: "connection_failed" }]);
  } finally {
    process.kill(pid, "SIGCONT");
    await server.stop();
  }
}, 300_000);

test("when all of its processes are stopped readyz says so as healthz does, and is ready again with it", async () => {
  const server = await startServer();
  const { url } = await serving(server, { ttl: "1ms", max_age: "1ms", only: ["connections-used"] });
  const ask = async (probe: string) => {
    const response = await fetch(`${url}/${probe}`);
    const { error } = (await response.json()) as JsonObject;
    return { status: response.status, error };
  };
  expect(await ask("readyz")).toMatchObject({ status: 200 });
  const goOn = await freeze(server);
  try {
    // The first comes within the second that the last sign of life is good for: a health check is already waited for when the next
    // sign fails. Without a sign nobody waits for the check, which would end with `timeout`.
    const gone = { status: 503, error: "connection_failed" };
    let first = await ask("readyz");
    // A check that the server answered just before it stood still may come first.
    if (first.status === 200) first = await ask("readyz");
    expect(first).toEqual(gone);
    expect(await Promise.all([ask("healthz"), ask("readyz")])).toEqual([gone, gone]);
  } finally {
    goOn();
  }
  // The check that hung may end with an error of its own; whoever asks again is told how it is now.
  while ((await ask("readyz")).status !== 200) await Bun.sleep(50);
  await server.stop();
}, 300_000);

test("a probe that comes rarely is told how it is, not how it was at the probe before", async () => {
  const server = await startServer();
  const { url } = await serving(server, {
    ttl: "100ms",
    only: ["connections-used"],
    thresholds: { "connections-used": { warning: 5, critical: 10 } },
    fail_on: "warning",
  });
  const ask = async () => (await fetch(`${url}/readyz`)).status;
  expect(await ask()).toBe(200);
  const clients = await Promise.all(Array.from({ length: 30 }, () => clientOf(server)));
  await Bun.sleep(300);
  expect(await ask()).toBe(503);
  await Promise.all(clients.map((client) => client.end()));
  await Bun.sleep(300);
  expect(await ask()).toBe(200);
  await server.stop();
}, 300_000);

test("a port that is taken, and a threshold that does not exist, are said at once", async () => {
  const server = await sharedServer();
  const { url } = await serving(server, { only: ["connections-used"] });
  const port = Number(new URL(url).port);
  const refused = (input: JsonObject) =>
    serving(server, { only: ["connections-used"], ...input }).catch((error: unknown) => error);
  expect(await refused({ port })).toMatchObject({
    code: "io_failed",
    data: { errno: "EADDRINUSE" },
  });
  expect(await refused({ only: ["no-such"] })).toMatchObject({ code: "invalid_param" });
});
