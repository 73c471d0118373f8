import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import http from "../../../steps/core/http-request.ts";
import { fakeContext } from "../../support/context.ts";
import { failure } from "./failure.ts";

const dir = mkdtempSync(join(tmpdir(), "pgdba-http-"));
const seen: string[] = [];
let server: ReturnType<typeof Bun.serve>;
let other: ReturnType<typeof Bun.serve>;
let base = "";

beforeAll(() => {
  other = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      seen.push(request.headers.get("authorization") ?? "none");
      return new Response("other");
    },
  });
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const url = new URL(request.url);
      const at = url.pathname;
      if (at === "/echo") {
        return Response.json({
          method: request.method,
          query: [...url.searchParams],
          authorization: request.headers.get("authorization"),
          type: request.headers.get("content-type"),
          body: await request.text(),
        });
      }
      if (at.startsWith("/status/")) return new Response("why", { status: Number(at.slice(8)) });
      if (at === "/text") return new Response("plain");
      if (at === "/badjson")
        return new Response("{", { headers: { "content-type": "application/problem+json" } });
      if (at === "/zip") {
        const body = Bun.gzipSync(new Uint8Array(5_000_000));
        return new Response(body, { headers: { "content-encoding": "gzip" } });
      }
      if (at === "/here") return Response.redirect("/text", 302);
      if (at === "/loop") return Response.redirect("/loop", 302);
      if (at === "/away") return Response.redirect(`http://127.0.0.1:${other.port}/`, 302);
      if (at === "/slow") await Bun.sleep(5000);
      return new Response("late");
    },
  });
  base = `http://127.0.0.1:${server.port}`;
});
afterAll(async () => {
  await Promise.all([server.stop(true), other.stop(true)]);
  rmSync(dir, { recursive: true, force: true });
});

const request = (input: object, ctx = fakeContext()) => http.run(ctx, input) as Promise<any>;

describe("what is sent and what comes back", () => {
  test("query, headers and JSON body", async () => {
    const output = await request({
      method: "POST",
      url: `${base}/echo?a=1`,
      query: { b: "x&y=ü", n: 2 },
      body: { deep: [1, null] },
    });
    expect(output).toMatchObject({
      status: 200,
      headers: { "content-type": "application/json;charset=utf-8" },
    });
    expect(output.duration_ms).toBeGreaterThanOrEqual(0);
    expect(output.json).toEqual({
      method: "POST",
      query: [
        ["a", "1"],
        ["b", "x&y=ü"],
        ["n", "2"],
      ],
      authorization: null,
      type: "application/json",
      body: '{"deep":[1,null]}',
    });
  });

  test("a header from the environment is registered as a secret", async () => {
    const ctx = fakeContext({ env: { MY_AUTH: "Bearer hunter22" } });
    const output = await request(
      { url: `${base}/echo`, headers_env: { Authorization: "MY_AUTH" } },
      ctx,
    );
    expect(output.json.authorization).toBe("Bearer hunter22");
    expect(ctx.recorded.secrets).toEqual(["Bearer hunter22"]);
    const missing = request({ url: `${base}/echo`, headers_env: { Authorization: "NOT_SET" } });
    expect(await failure(missing)).toMatchObject({ code: "missing_secret" });
  });

  test("text, none, and JSON on demand", async () => {
    expect(await request({ url: `${base}/text` })).toMatchObject({ text: "plain" });
    expect(await request({ url: `${base}/text`, parse: "none" })).not.toHaveProperty("text");
    expect((await failure(request({ url: `${base}/text`, parse: "json" }))).code).toBe(
      "http_failed",
    );
    expect((await failure(request({ url: `${base}/badjson` }))).code).toBe("http_failed");
    expect(await request({ url: `${base}/badjson`, parse: "text" })).toMatchObject({ text: "{" });
  });

  test("an answer beyond the limit, also one that unpacks beyond it", async () => {
    expect((await failure(request({ url: `${base}/text`, max_bytes: 4 }))).code).toBe(
      "limit_exceeded",
    );
    expect(await request({ url: `${base}/text`, max_bytes: 5 })).toMatchObject({ text: "plain" });
    expect((await failure(request({ url: `${base}/zip` }))).code).toBe("limit_exceeded");
  });
});

describe("failures", () => {
  test.each([
    [404, false],
    [500, false],
    [429, true],
    [502, true],
    [503, true],
    [504, true],
  ])("status %i", async (status, retryable) => {
    const url = `${base}/status/${status}`;
    expect(await failure(request({ url }))).toMatchObject({
      code: "http_failed",
      retryable,
      data: { status, body: "why" },
    });
    expect(await request({ url, ok_status: [status] })).toMatchObject({ status, text: "why" });
  });

  test("200 fails when another status is wanted", async () => {
    expect((await failure(request({ url: `${base}/text`, ok_status: [503] }))).code).toBe(
      "http_failed",
    );
  });

  test("nobody listens: retryable for every method, as nothing was sent", async () => {
    const free = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const url = `http://127.0.0.1:${free.port}/`;
    await free.stop(true);
    for (const method of ["GET", "POST"]) {
      expect(await failure(request({ url, method }))).toMatchObject({
        code: "connection_failed",
        retryable: true,
      });
    }
  });

  test("a connection that breaks off: only what may be sent twice is retryable", async () => {
    const rude = Bun.listen({
      port: 0,
      hostname: "127.0.0.1",
      socket: { data: (socket) => void socket.terminate() },
    });
    const url = `http://127.0.0.1:${rude.port}/`;
    for (const [method, retryable] of [
      ["PUT", true],
      ["POST", false],
    ] as const) {
      expect(await failure(request({ url, method }))).toMatchObject({
        code: "connection_failed",
        retryable,
      });
    }
    rude.stop(true);
  });

  test("a timeout of its own, and the step's abort", async () => {
    const slow = await failure(request({ url: `${base}/slow`, timeout: "50ms" }));
    expect(slow).toMatchObject({ code: "timeout", retryable: true });
    const ctx = fakeContext();
    const reason = new PgdbaError("interrupted", "stop");
    const running = failure(request({ url: `${base}/slow` }, ctx));
    await Bun.sleep(20);
    ctx.abort(reason);
    expect(await running).toBe(reason);
  });

  test("other schemes, credentials in the URL, and header injection", async () => {
    expect((await failure(request({ url: "file:///etc/hostname" }))).code).toBe("invalid_param");
    const error = await failure(request({ url: "http://user:hunter22@127.0.0.1/" }));
    expect(error.code).toBe("secret_exposed");
    expect(error.message).not.toContain("hunter22");
    const injected = request({ url: `${base}/echo`, headers: { A: "b\r\nAuthorization: x" } });
    expect((await failure(injected)).code).toBe("http_failed");
  });
});

describe("redirects", () => {
  test("are followed within the origin, a few times, by reading requests", async () => {
    expect(await request({ url: `${base}/here` })).toMatchObject({ status: 200, text: "plain" });
    expect(await failure(request({ url: `${base}/loop` }))).toMatchObject({
      data: { status: 302 },
    });
    expect(await failure(request({ url: `${base}/here`, method: "POST" }))).toMatchObject({
      data: { status: 302 },
    });
  });

  test("never lead to another host", async () => {
    const ctx = fakeContext({ env: { AUTH: "Bearer hunter22" } });
    const error = await failure(
      request({ url: `${base}/away`, headers_env: { Authorization: "AUTH" } }, ctx),
    );
    expect(error).toMatchObject({ code: "http_failed", data: { status: 302 } });
    expect(error.hint).toContain(`http://127.0.0.1:${other.port}/`);
    expect(seen).toEqual([]);
  });
});

test("a certificate is verified: authority and name", async () => {
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  const made = Bun.spawnSync(
    [
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=db.example",
      "-addext",
      "subjectAltName=DNS:db.example",
      "-keyout",
      key,
      "-out",
      cert,
    ],
    { stderr: "ignore" },
  );
  expect(made.exitCode).toBe(0);
  const secure = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { key: Bun.file(key), cert: Bun.file(cert) },
    fetch: () => new Response("secure"),
  });
  const url = `https://127.0.0.1:${secure.port}/`;
  const unknown = await failure(request({ url }));
  expect(unknown).toMatchObject({ code: "connection_failed", retryable: false });
  expect(unknown.hint).toContain("ca_file");
  expect(await failure(request({ url, tls: { ca_file: cert } }))).toMatchObject({
    code: "connection_failed",
  });
  const wrong = request({ url, tls: { ca_file: cert, server_name: "other.example" } });
  expect(await failure(wrong)).toMatchObject({ code: "connection_failed", retryable: false });
  const right = await request({ url, tls: { ca_file: cert, server_name: "db.example" } });
  expect(right.text).toBe("secure");
  expect((await failure(request({ url, tls: { ca_file: join(dir, "none.pem") } }))).code).toBe(
    "io_failed",
  );
  writeFileSync(join(dir, "junk.pem"), "junk");
  expect((await failure(request({ url, tls: { ca_file: join(dir, "junk.pem") } }))).code).toBe(
    "invalid_param",
  );
  const plain = await failure(request({ url: base.replace("http:", "https:") }));
  expect(plain).toMatchObject({ code: "connection_failed", retryable: false });
  await secure.stop(true);
});

test("effect, idempotence, plan and lint follow the method", async () => {
  const effect = http.effect as (input: object) => string;
  const idempotent = http.idempotent as (input: object) => boolean;
  const methods = [undefined, "HEAD", "POST", "PUT", "PATCH", "DELETE"];
  const inputs = methods.map((method) => (method ? { url: base, method } : { url: base }));
  expect(inputs.map(effect)).toEqual(["read", "read", "change", "change", "change", "change"]);
  expect(inputs.map(idempotent)).toEqual([true, true, false, true, false, true]);
  const plan = await http.plan!(fakeContext(), {
    url: `${base}/x`,
    method: "POST",
    query: { a: "1" },
    body: { b: 2 },
  });
  expect(plan).toEqual({ method: "POST", url: `${base}/x?a=1`, sends: { b: 2 } });
  expect(http.lint!({ url: base, body: {} })).toMatchObject([{ rule: "http-body" }]);
  expect(http.lint!({ url: base, method: "POST", body: {} })).toEqual([]);
  expect(http.outputFor!({ url: base, parse: "json" })!.required).toContain("json");
});
