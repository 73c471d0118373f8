import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { makeRepository } from "../../../providers/repository/open.ts";
import { type Line, remoteRepository } from "../../../providers/repository/remote.ts";
import { repositoryContract } from "./contract.ts";

const base = mkdtempSync(join(tmpdir(), "pgdba-remote-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const place = { kind: "directory", path: join(base, "repo") } as const;
const MAIN = join(import.meta.dir, "../../../engine/main.ts");

/** A real `pgdba work serve`. */
function lineTo(order: object): Line & { kill(): void } {
  const child = Bun.spawn([process.execPath, MAIN, "work", "serve"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  void child.stdin.write(`${JSON.stringify(order)}\n`);
  void child.stdin.flush();
  return {
    async send(bytes) {
      child.stdin.write(bytes);
      await child.stdin.flush();
    },
    receive(take) {
      void (async () => {
        for await (const bytes of child.stdout) take(bytes);
      })().catch(() => {});
    },
    done: child.exited.then((code) => `it ended with ${code}`),
    async close() {
      await child.stdin.end();
      await child.exited;
    },
    kill: () => child.kill("SIGKILL"),
  };
}

repositoryContract({
  kind: "a folder that another process reaches",
  async begin() {
    await makeRepository(place);
    return () => remoteRepository(lineTo({ place }));
  },
  async end() {
    expect(readdirSync(join(place.path, ".pgdba-repository"))).toEqual([]);
  },
});

test("a line that breaks is told by all that waits, and nothing is half made", async () => {
  const line = lineTo({ place });
  const repository = await remoteRepository(line);
  await repository.create("line/large", new Uint8Array(20_000_000));
  const reading = (async () => {
    for await (const _part of (await repository.read("line/large"))!) line.kill();
  })();
  await expect(reading).rejects.toMatchObject({ code: "repository_failed", retryable: true });
  for (const attempt of [
    () => repository.stat("line/large"),
    () => repository.read("line/large"),
    () => repository.create("line/other", new Uint8Array(3)),
  ])
    await expect(attempt()).rejects.toMatchObject({ code: "repository_failed", retryable: true });
});

test("a source that fails, or a signal, leaves nothing on the other side", async () => {
  const repository = await remoteRepository(lineTo({ place }));
  const stop = new AbortController();
  const slow = async function* () {
    yield new Uint8Array(1000);
    stop.abort(new PgdbaError("interrupted", "enough"));
    await new Promise(() => {});
  };
  await expect(
    repository.create("left/one", slow(), { signal: stop.signal }),
  ).rejects.toMatchObject({ code: "interrupted" });
  await repository.close();
  expect(readdirSync(join(place.path, ".pgdba-repository"))).toEqual([]);
});

test("why it can't be opened there is told here", async () => {
  renameSync(place.path, `${place.path}-away`);
  await expect(remoteRepository(lineTo({ place }))).rejects.toMatchObject({
    code: "repository_failed",
  });
  renameSync(`${place.path}-away`, place.path);
});
