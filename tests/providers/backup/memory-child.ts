/** Streams far more than it may hold, each way that a backup takes, and tells by how many MB its memory has grown since each began. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnProcess } from "../../../engine/spawn.ts";
import { compressed, counter, decompressed } from "../../../providers/backup/frames.ts";
import { makeRepository, openRepository } from "../../../providers/repository/open.ts";
import { type Line, remoteRepository } from "../../../providers/repository/remote.ts";
import { peakMemory } from "../../support/peak-memory.ts";

const BYTES = 256 * 1024 * 1024;
const block = crypto.getRandomValues(new Uint8Array(64 * 1024));
async function* content(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < BYTES; at += block.length) yield block.slice();
}
async function readAll(bytes: AsyncIterable<Uint8Array> | null): Promise<void> {
  let read = 0;
  for await (const part of bytes!) read += part.length;
  if (read !== BYTES) throw new Error(`${read} bytes were read`);
}

const root = mkdtempSync(join(tmpdir(), "pgdba-memory-"));
const place = { kind: "directory", path: join(root, "repository") } as const;
const { signal } = new AbortController();
const grown: Record<string, number> = {};

function line(): Line & { pid: number } {
  const main = join(import.meta.dir, "../../../engine/main.ts");
  const child = Bun.spawn([process.execPath, main, "work", "serve"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  void child.stdin.write(`${JSON.stringify({ place })}\n`);
  return {
    pid: child.pid,
    async send(bytes) {
      child.stdin.write(bytes);
      await child.stdin.flush();
    },
    receive(take) {
      void (async () => {
        for await (const bytes of child.stdout) take(bytes);
      })();
    },
    done: child.exited.then(String),
    async close() {
      await child.stdin.end();
      await child.exited;
    },
  };
}

try {
  await makeRepository(place);
  const repository = await openRepository(place);
  const measured = async (what: string, work: () => Promise<unknown>) => {
    const before = peakMemory();
    await work();
    grown[what] = Math.round((peakMemory() - before) / 1024);
  };
  await repository.create("warm", compressed(content(), counter(), 1), { signal });
  await measured("stored", () => repository.create("plain", content(), { signal }));
  await measured("compressed", () =>
    repository.create("frames", compressed(content(), counter(), 1), { signal }),
  );
  await measured("decompressed", async () =>
    readAll(decompressed((await repository.read("frames", { signal }))!, "frames")),
  );
  await measured("through a program", async () => {
    let read = 0;
    await spawnProcess(["cat"], {
      baseEnv: { PATH: "/usr/bin:/bin" },
      cwd: "/",
      signal,
      stdin: content(),
      onStdout: (bytes) => void (read += bytes.length),
    });
    if (read !== BYTES) throw new Error(`${read} bytes came through`);
  });
  const there = line();
  const remote = await remoteRepository(there);
  await measured("to a node", () => remote.create("remote", content(), { signal }));
  await measured("from a node", async () => readAll(await remote.read("remote", { signal })));
  const status = readFileSync(`/proc/${there.pid}/status`, "utf8");
  grown["on the node"] = Math.round(Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / 1024);
  await remote.close();
  console.log(JSON.stringify(grown));
} finally {
  rmSync(root, { recursive: true, force: true });
}
