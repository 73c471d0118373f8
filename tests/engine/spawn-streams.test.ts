import { expect, test } from "bun:test";
import { type ProcessOptions, spawnProcess } from "../../engine/spawn.ts";

function spawn(argv: string[], options: Partial<ProcessOptions> = {}) {
  return spawnProcess(argv, {
    baseEnv: { PATH: process.env.PATH },
    signal: new AbortController().signal,
    ...options,
  });
}

async function* parts(count: number, bytes: number) {
  for (let n = 0; n < count; n++) yield new Uint8Array(bytes).fill(65 + (n % 26));
}

const MB = 1 << 20;

test("bytes go in and come out as they are, whole, and nothing of them is kept", async () => {
  const hash = new Bun.CryptoHasher("sha256");
  const expected = new Bun.CryptoHasher("sha256");
  for await (const part of parts(20, MB + 1)) expected.update(part);
  const result = await spawn(["cat"], {
    stdin: parts(20, MB + 1),
    onStdout: (bytes) => void hash.update(bytes),
  });
  expect(hash.digest("hex")).toBe(expected.digest("hex"));
  expect(result).toMatchObject({ exit_code: 0, stdout: "", truncated: false });
});

test("a slow taker slows down the program, and the program its input", async () => {
  let given = 0;
  const part = new Uint8Array(MB);
  // One buffer for all, so that memory tells of what is kept, and not of what waits to be collected.
  async function* input() {
    while (given < 300) {
      given++;
      yield part;
    }
  }
  let first: PromiseWithResolvers<void> | undefined = Promise.withResolvers<void>();
  const before = process.memoryUsage().rss;
  let taken = 0;
  const done = spawn(["cat"], {
    stdin: input(),
    async onStdout(bytes) {
      taken += bytes.length;
      await first?.promise;
    },
  });
  // All pipes are full when nothing is asked for any more.
  for (let last = -1; last !== given || given === 0; await Bun.sleep(100)) last = given;
  expect(given).toBeLessThan(20);
  first.resolve();
  first = undefined;
  await done;
  expect([given, taken]).toEqual([300, 300 * MB]);
  // In a large runner other tests leave garbage behind; all of it at once would be 300 MB more.
  Bun.gc(true);
  expect(process.memoryUsage().rss - before).toBeLessThan(280 * MB);
});

test("what a program wrote is handed out to its end also when that takes longer than the program", async () => {
  let text = "";
  const { stderr } = await spawn(["sh", "-c", "echo one; echo two >&2; sleep 0.05; echo three"], {
    async onStdout(bytes) {
      await Bun.sleep(700);
      text += new TextDecoder().decode(bytes);
    },
  });
  expect([text, stderr]).toEqual(["one\nthree\n", "two\n"]);
});

test("a sink that throws ends the program, and its error is the result", async () => {
  const begun = performance.now();
  const thrown = await spawn(["sh", "-c", "echo x; exec sleep 60"], {
    onStdout() {
      throw new Error("the disk is full");
    },
  }).catch((error: unknown) => error);
  expect(String(thrown)).toBe("Error: the disk is full");
  expect(performance.now() - begun).toBeLessThan(10_000);
});

test("an input that throws ends the program, and its error is the result", async () => {
  async function* broken() {
    yield new Uint8Array([65]);
    throw new Error("the source is gone");
  }
  const thrown = await spawn(["cat"], { stdin: broken() }).catch((error: unknown) => error);
  expect(String(thrown)).toBe("Error: the source is gone");
});

test("a program that wants no more of its input ends well, and the source is told", async () => {
  let returned = false;
  async function* endless() {
    try {
      for (;;) yield new Uint8Array(MB);
    } finally {
      returned = true;
    }
  }
  const { stdout, exit_code } = await spawn(["head", "-c", "3"], { stdin: endless() });
  expect([stdout.length, exit_code]).toEqual([3, 0]);
  for (const ends = performance.now() + 20_000; !returned && performance.now() < ends;)
    await Bun.sleep(10);
  expect(returned).toBe(true);
});

test("an abort ends it also while a sink or an input hangs", async () => {
  async function* hanging() {
    yield new Uint8Array([65]);
    await new Promise(() => {});
  }
  const stop = new AbortController();
  const done = spawn(["cat"], {
    stdin: hanging(),
    async onStdout() {
      stop.abort(new Error("told to stop"));
      await new Promise(() => {});
    },
    signal: stop.signal,
  }).catch((error: unknown) => error);
  expect(String(await done)).toBe("Error: told to stop");
});
