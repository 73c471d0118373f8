import { afterAll, expect, test } from "bun:test";
import { patroniClient } from "../../../providers/patroni/client.ts";
import { codeOf } from "../postgres/helpers.ts";

type Handler = (request: Request) => Response | Promise<Response>;
const servers: { stop(force: boolean): Promise<void> }[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop(true))));

function serve(handler: Handler): string {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: handler });
  servers.push(server);
  return `http://127.0.0.1:${server.port}`;
}

const CLOSED = "http://127.0.0.1:1";

test("asks the first endpoint that answers, and the next when one has lost the store", async () => {
  const lost = serve(() => new Response("", { status: 503 }));
  const good = serve(() => Response.json({ ttl: 30 }));
  const client = await patroniClient({ endpoints: [CLOSED, lost, good] });
  expect(await client.config()).toEqual({ ttl: 30 });
  expect(await codeOf((await patroniClient({ endpoints: [CLOSED] })).config())).toBe(
    "connection_failed",
  );
  expect(await codeOf((await patroniClient({ endpoints: [lost] })).config())).toBe("http_failed");
});

test("an answer without end is given up at once, also one that unpacks into one", async () => {
  const page = "x".repeat(1024 * 1024);
  let sent = 0;
  const endless = serve(
    () =>
      new Response(
        new ReadableStream({ pull: (stream) => (sent++, stream.enqueue(Buffer.from(page))) }),
      ),
  );
  const packed = Bun.gzipSync(page.repeat(20));
  const bomb = serve(() => new Response(packed, { headers: { "content-encoding": "gzip" } }));
  for (const url of [endless, bomb]) {
    const client = await patroniClient({ endpoints: [url] });
    expect(await codeOf(client.config())).toBe("limit_exceeded");
  }
  expect(sent).toBeLessThan(200);
});

test("sends credentials with what changes something, and only there", async () => {
  const seen: [string, string | null][] = [];
  const url = serve((request) => {
    seen.push([request.method, request.headers.get("authorization")]);
    return Response.json({});
  });
  const client = await patroniClient({ endpoints: [url], user: "admin", password: "s:ecret" });
  await client.config();
  await client.patchConfig({ postgresql: { parameters: { work_mem: null } } });
  await client.restart(url, 1000);
  await client.cancelSwitchover();
  const basic = `Basic ${btoa("admin:s:ecret")}`;
  expect(seen).toEqual([
    ["GET", null],
    ["GET", null],
    ["PATCH", basic],
    ["POST", basic],
    ["GET", null],
    ["DELETE", basic],
  ]);
});

test("a patch is repeated when another writer was first, but not for ever", async () => {
  let calls = 0;
  const bodies: unknown[] = [];
  const url = serve(async (request) => {
    if (request.method === "GET") return Response.json({});
    bodies.push(await request.json());
    return ++calls === 3 ? Response.json({ done: true }) : new Response("", { status: 409 });
  });
  const patch = { loop_wait: 5 };
  expect(await (await patroniClient({ endpoints: [url] })).patchConfig(patch)).toEqual({
    done: true,
  });
  expect(bodies).toEqual([patch, patch, patch]);
  const busy = serve(({ method }) =>
    method === "GET" ? Response.json({}) : new Response("", { status: 409 }),
  );
  expect(await codeOf((await patroniClient({ endpoints: [busy] })).patchConfig(patch))).toBe(
    "http_failed",
  );
});

test("members are read as each version gives them, and reached where the registry says", async () => {
  const url = serve(() =>
    Response.json({
      members: [
        {
          name: "b",
          role: "replica",
          state: "streaming",
          api_url: "https://b:8008/patroni",
          host: "b",
          port: 5433,
          lag: "unknown",
          receive_lsn: "unknown",
          receive_lag: "unknown",
          replay_lsn: "0/5000060",
          replay_lag: 0,
          tags: { nofailover: true },
        },
        {
          name: "a",
          role: "leader",
          state: "running",
          api_url: "http://a:8008",
          host: "a",
          timeline: 3,
          pending_restart: true,
          scheduled_restart: { schedule: "2026-01-01T00:00:00+00:00" },
        },
      ],
      pause: true,
      scheduled_switchover: { at: "2026-01-01T00:00:00+00:00", from: "a" },
      scope: "x",
    }),
  );
  const client = await patroniClient({ endpoints: [url], members: { b: "http://127.0.0.1:2" } });
  const nothing = { tags: {}, pending_restart_reason: {}, scheduled_restart: null, timeline: null };
  const a = {
    ...nothing,
    name: "a",
    role: "leader",
    state: "running",
    api: "http://a:8008",
    host: "a",
    port: 5432,
    timeline: 3,
    pending_restart: true,
    lag: null,
    receive_lsn: null,
    receive_lag: null,
    replay_lsn: null,
    replay_lag: null,
    scheduled_restart: { schedule: "2026-01-01T00:00:00+00:00" },
  };
  const b = {
    ...nothing,
    name: "b",
    role: "replica",
    state: "streaming",
    host: "b",
    port: 5433,
    api: "http://127.0.0.1:2",
    tags: { nofailover: true },
    pending_restart: false,
    lag: "unknown" as const,
    receive_lsn: null,
    receive_lag: "unknown" as const,
    replay_lsn: "0/5000060",
    replay_lag: 0,
  };
  expect(await client.cluster()).toEqual({
    members: [a, b],
    leader: "a",
    pause: true,
    scheduled_switchover: { at: "2026-01-01T00:00:00+00:00", from: "a", to: null },
  });
});

test("a member that answers and does not take a pause is named, and so is one that is silent", async () => {
  // A stub: a real member takes it, or is silent.
  const url = serve((request) => {
    const { pathname, origin } = new URL(request.url);
    const member = (name: string) => ({
      name,
      role: "replica",
      api_url: name === "c" ? CLOSED : `${origin}/${name}`,
    });
    if (pathname === "/cluster") return Response.json({ members: ["a", "b", "c"].map(member) });
    if (pathname === "/config") return Response.json({ loop_wait: 0.05 });
    return Response.json({ state: "running", pause: pathname === "/a/patroni" });
  });
  const client = await patroniClient({ endpoints: [url] });
  expect(await client.pause()).toEqual({
    pause: true,
    already: false,
    behind: ["b"],
    silent: ["c"],
  });
});

test("says what is wrong: no JSON, no permission, no answer, a missing CA", async () => {
  const html = serve(() => new Response("<html>"));
  expect(await codeOf((await patroniClient({ endpoints: [html] })).config())).toBe("http_failed");
  const closed = serve(({ method }) =>
    method === "GET" ? Response.json({}) : new Response("no auth header received", { status: 401 }),
  );
  const denied = await (
    await patroniClient({ endpoints: [closed] })
  )
    .patchConfig({ ttl: 30 })
    .catch((error) => error);
  expect([denied.code, denied.data, denied.retryable]).toEqual([
    "http_failed",
    { status: 401 },
    false,
  ]);
  expect(denied.hint).toContain("patroni.password_env");
  const slow = serve(async () => {
    await Bun.sleep(5000);
    return new Response("");
  });
  const client = await patroniClient({ endpoints: [slow] });
  expect(await codeOf(client.restart(slow, 50))).toBe("timeout");
  expect(await codeOf(patroniClient({ endpoints: [slow], cafile: "/nonexistent.pem" }))).toBe(
    "invalid_config",
  );
});

test("a signal ends it with its own reason", async () => {
  const url = serve(async () => {
    await Bun.sleep(5000);
    return new Response("");
  });
  const stop = new AbortController();
  const reading = (await patroniClient({ endpoints: [url, url] }))
    .config(stop.signal)
    .catch((error) => error);
  stop.abort(new Error("enough"));
  expect((await reading).message).toBe("enough");
});
