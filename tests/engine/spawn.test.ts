import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { killAllChildren, type ProcessOptions, spawnProcess } from "../../engine/spawn.ts";

const dir = mkdtempSync(join(tmpdir(), "pgdba-spawn-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Prints each argument, then the value of $VALUE, as JSON. */
const ECHO = [
  process.execPath,
  "-e",
  "console.log(JSON.stringify([...process.argv.slice(1), process.env.VALUE ?? null]))",
  "--",
];

function spawn(argv: string[], options: Partial<ProcessOptions> = {}) {
  return spawnProcess(argv, {
    baseEnv: { PATH: process.env.PATH },
    signal: new AbortController().signal,
    ...options,
  });
}

async function failure(promise: Promise<unknown>): Promise<PgdbaError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PgdbaError);
  return error as PgdbaError;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie has ended too; only its parent has not asked yet.
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function waitFor<T>(probe: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (const ends = performance.now() + 30_000; performance.now() < ends;) {
    const value = await probe();
    if (value !== undefined) return value;
    await Bun.sleep(10);
  }
  throw new Error("it never came");
}

async function pids(file: string, count: number): Promise<number[]> {
  return waitFor(async () => {
    const found = (
      await Bun.file(file)
        .text()
        .catch(() => "")
    )
      .split("\n")
      .filter(Boolean)
      .map(Number);
    return found.length === count ? found : undefined;
  });
}

const HOSTILE = [
  "",
  "-oProxyCommand=touch /tmp/x",
  "two\nlines",
  `'; echo "no" #`,
  "$(id) `id` $HOME * ~",
  "ünïcode \u{1f418}",
  "\\! \t tab",
];

describe("what reaches the program", () => {
  test("arguments and environment values arrive byte for byte", async () => {
    const { stdout } = await spawn([...ECHO, ...HOSTILE], { env: { VALUE: HOSTILE.join("|") } });
    expect(JSON.parse(stdout)).toEqual([...HOSTILE, HOSTILE.join("|")]);
  });

  test("nothing but the given environment is inherited, own variables over it", async () => {
    const { stdout } = await spawn(["env"], {
      baseEnv: { PATH: process.env.PATH, A: "1", B: undefined },
      env: { A: "2" },
    });
    expect(stdout.trim().split("\n").toSorted()).toEqual(["A=2", `PATH=${process.env.PATH}`]);
  });

  test("stdin is fed whole, and is empty without it", async () => {
    const big = "x".repeat(3_000_000);
    expect((await spawn(["wc", "-c"], { stdin: big })).stdout.trim()).toBe("3000000");
    expect((await spawn(["wc", "-c"])).stdout.trim()).toBe("0");
  });

  test("a program that does not read its stdin is no error", async () => {
    expect((await spawn(["true"], { stdin: "x".repeat(3_000_000) })).exit_code).toBe(0);
  });

  test("it runs in cwd", async () => {
    expect((await spawn(["pwd"], { cwd: dir })).stdout.trim()).toBe(dir);
  });
});

describe("what comes back", () => {
  test("exit code, signal and both streams", async () => {
    const result = await spawn(["sh", "-c", "echo out; echo err >&2; exit 3"]);
    expect(result).toEqual({
      exit_code: 3,
      signal: null,
      stdout: "out\n",
      stderr: "err\n",
      truncated: false,
    });
    const killed = await spawn(["sh", "-c", "kill -9 $$"]);
    expect(killed.exit_code).toBeNull();
    expect(killed.signal).toBe("SIGKILL");
  });

  test("of stdout the head is kept, of stderr the tail, and no character is cut in half", async () => {
    const script = "printf 'äää%s' tail; printf 'head%s' 12345 >&2";
    const result = await spawn(["sh", "-c", script], { maxBytes: 5 });
    expect(result).toMatchObject({ stdout: "ää", stderr: "12345", truncated: true });
    expect(await spawn(["printf", "12345"], { maxBytes: 5 })).toMatchObject({
      stdout: "12345",
      truncated: false,
    });
  });

  test("the tail of many small writes is right", async () => {
    const { stderr } = await spawn(["sh", "-c", "seq 1 20000 >&2"], { maxBytes: 12 });
    expect(stderr).toBe("19999\n20000\n");
  });

  test("a flood is read to its end in bounded memory", async () => {
    // Measured in a process of its own: the test runner's memory is not ours to judge.
    const script = `
      const { spawnProcess } = await import(${JSON.stringify(join(import.meta.dir, "../../engine/spawn.ts"))});
      const options = { baseEnv: process.env, signal: new AbortController().signal };
      await spawnProcess(["true"], options);
      const before = process.memoryUsage().rss;
      let peak = before;
      const timer = setInterval(() => { peak = Math.max(peak, process.memoryUsage().rss); }, 10);
      const argv = ["sh", "-c", "head -c 700000000 /dev/zero; head -c 300000000 /dev/zero >&2"];
      const result = await spawnProcess(argv, options);
      clearInterval(timer);
      console.log(JSON.stringify({ grown: peak - before, code: result.exit_code, truncated: result.truncated,
        kept: [result.stdout.length, result.stderr.length] }));`;
    const { stdout } = await spawn([process.execPath, "-e", script]);
    const { grown, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({ code: 0, truncated: true, kept: [1 << 20, 1 << 20] });
    expect(grown).toBeLessThan(250_000_000);
  });

  test("a daemon left behind that holds the pipes is not waited for", async () => {
    const started = performance.now();
    const { stdout, exit_code } = await spawn(["sh", "-c", "sleep 30 & echo $!"]);
    process.kill(Number(stdout), "SIGKILL");
    expect(exit_code).toBe(0);
    expect(performance.now() - started).toBeLessThan(15_000);
  });
});

describe("refusals", () => {
  test("a command that is not there", async () => {
    const error = await failure(spawn(["pgdba-no-such-program"]));
    expect(error).toMatchObject({
      code: "command_failed",
      message: "command not found: pgdba-no-such-program",
    });
    expect(error.hint).toContain("PATH");
    expect(error.data).toEqual({ errno: "ENOENT" });
  });

  test("a missing directory is told apart from a missing command", async () => {
    const error = await failure(spawn(["true"], { cwd: join(dir, "nowhere") }));
    expect(error.message).toBe(`no such directory: ${join(dir, "nowhere")}`);
  });

  test("a file that may not be executed", async () => {
    const file = join(dir, "plain.txt");
    writeFileSync(file, "text", { mode: 0o644 });
    expect(await failure(spawn([file]))).toMatchObject({
      code: "command_failed",
      data: { errno: "EACCES" },
    });
  });

  test("a command line that is too long", async () => {
    expect(await failure(spawn(["true", "x".repeat(3_000_000)]))).toMatchObject({
      data: { errno: "E2BIG" },
    });
  });

  test("an empty argv, NUL bytes and impossible variable names", async () => {
    expect((await failure(spawn([]))).code).toBe("invalid_param");
    expect((await failure(spawn(["echo", "a\0b"]))).code).toBe("invalid_param");
    expect((await failure(spawn(["env"], { env: { A: "a\0b" } }))).code).toBe("invalid_param");
    expect((await failure(spawn(["env"], { env: { "A=B": "c" } }))).code).toBe("invalid_param");
  });

  test("a secret in argv, without repeating it", async () => {
    const marker = join(dir, "ran");
    const error = await failure(
      spawn(["touch", marker, "x=hunter22"], { forbid: (text) => text.includes("hunter22") }),
    );
    expect(error.code).toBe("secret_exposed");
    expect(error.message + error.hint).not.toContain("hunter22");
    expect(await Bun.file(marker).exists()).toBe(false);
  });
});

describe("abort", () => {
  test("an aborted signal starts nothing", async () => {
    const marker = join(dir, "never");
    const reason = new PgdbaError("interrupted", "stop");
    const refused = await failure(spawn(["touch", marker], { signal: AbortSignal.abort(reason) }));
    expect(refused).toMatchObject({ code: "interrupted", message: "stop", nothingDone: true });
    expect(await Bun.file(marker).exists()).toBe(false);
  });

  test("a tree that listens to SIGTERM ends at once, with the signal's reason", async () => {
    let quickest = Infinity;
    // Less than the two seconds after which it would be killed; a busy machine may be late, but not each time.
    for (let n = 0; n < 5 && quickest > 1500; n++) {
      const file = join(dir, `polite-${n}`);
      const controller = new AbortController();
      const running = failure(
        spawn(["sh", "-c", `echo $$ >> ${file}; sh -c 'echo $$ >> ${file}; sleep 60'; true`], {
          signal: controller.signal,
        }),
      );
      const tree = await pids(file, 2);
      const reason = new PgdbaError("timeout", "too slow");
      const started = performance.now();
      controller.abort(reason);
      expect(await running).toBe(reason);
      quickest = Math.min(quickest, performance.now() - started);
      expect(tree.filter(alive)).toEqual([]);
    }
    expect(quickest).toBeLessThan(1500);
  });

  test("a tree that ignores SIGTERM is killed soon after, also when its leader went first", async () => {
    const file = join(dir, "stubborn");
    const controller = new AbortController();
    const stubborn = `trap '' TERM; echo $$ >> ${file}; while :; do sleep 0.2; done`;
    const running = failure(
      spawn(["sh", "-c", 'sh -c "$0" & sh -c "$0" & wait', stubborn], {
        signal: controller.signal,
      }),
    );
    const tree = await pids(file, 2);
    const started = performance.now();
    controller.abort(new PgdbaError("interrupted", "stop"));
    expect((await running).code).toBe("interrupted");
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(tree.filter(alive)).toEqual([]);
  });

  test("killAllChildren ends every tree at once", async () => {
    const file = join(dir, "all");
    const script = `trap '' TERM; echo $$ >> ${file}; sh -c "trap '' TERM; echo \\$\\$ >> ${file}; sleep 60; true"; true`;
    const running = [spawn(["sh", "-c", script]), spawn(["sh", "-c", script])];
    const trees = await pids(file, 4);
    killAllChildren();
    for (const result of await Promise.all(running)) expect(result.signal).toBe("SIGKILL");
    await waitFor(() => (trees.some(alive) ? undefined : true));
  });
});

test("a program that does nothing costs little", async () => {
  for (let i = 0; i < 20; i++) await spawn(["true"]);
  const times: number[] = [];
  for (let i = 0; i < 50; i++) {
    const started = performance.now();
    await spawn(["true"]);
    times.push(performance.now() - started);
  }
  // About a millisecond on an idle machine; whoever asked in rounds whether it has ended would take ten or more, each time.
  expect(Math.min(...times)).toBeLessThan(8);
});
