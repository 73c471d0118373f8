import { afterAll, beforeAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { authorityIn, issue, makeAuthority } from "../../../../providers/certificates/authority.ts";
import type { FollowConfig } from "../../../../steps/pgbouncer/follow/config.ts";
import type { Follower } from "../../../../steps/pgbouncer/follow/follower.ts";
import { listen } from "../../../../steps/pgbouncer/follow/serve.ts";

const authority = authorityIn(makeAuthority("test"));
const newPem = (): string => issue(authority, "localhost", ["127.0.0.1"]).pem;
const printOf = (pem: string): string => new X509Certificate(pem).fingerprint256;

let folder: string;
let certificate: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pgdba-serve-"));
  certificate = join(folder, "server.pem");
});
afterAll(() => rm(folder, { recursive: true }));

function freePort(): number {
  const one = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  one.stop(true);
  return one.port;
}

const configOf = (port: number) =>
  ({
    console: { user: "admin", password: "secret" },
    listen: { host: "127.0.0.1", port, certificate },
  }) as FollowConfig;

/** The certificate that is shown there; null where nobody answers. */
function shownAt(port: number): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  socket.once("secureConnect", () => resolve(socket.getPeerCertificate().fingerprint256));
  socket.once("error", () => resolve(null));
  return promise.finally(() => socket.destroy());
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const ends = Date.now() + 20_000; Date.now() < ends; await Bun.sleep(10))
    if (await holds()) return;
  throw new Error("it did not come to that");
}

test("a new certificate is taken, and one that can't be used leaves the follower with the former", async () => {
  const [first, second] = [newPem(), newPem()];
  await writeFile(certificate, first);
  const logs: string[] = [];
  const port = freePort();
  const server = listen({} as Follower, configOf(port), (text) => logs.push(text), 10);
  try {
    expect(await shownAt(port)).toBe(printOf(first));
    await writeFile(certificate, first.slice(0, -200));
    await until(() => logs.some((text) => text.includes("can't be used")));
    expect(await shownAt(port)).toBe(printOf(first));
    await writeFile(certificate, second);
    await until(async () => (await shownAt(port)) === printOf(second));
    expect(logs.at(-1)).toBe("listening with a new certificate");
  } finally {
    await server.stop();
  }
});

test("without a certificate that can be used it does not begin, and says which file is meant", async () => {
  await writeFile(certificate, "nothing");
  expect(() => listen({} as Follower, configOf(0), () => {})).toThrow(certificate);
});
