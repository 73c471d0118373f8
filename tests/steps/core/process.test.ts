import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import exec from "../../../steps/core/exec.ts";
import shell from "../../../steps/core/shell.ts";
import { fakeContext } from "../../support/context.ts";
import { failure } from "./failure.ts";

const dir = mkdtempSync(join(tmpdir(), "pgdba-process-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const HOSTILE = [
  "-oProxyCommand=touch pwned",
  "two\nlines\n",
  `'; touch pwned; echo "`,
  "$(touch pwned) `touch pwned`",
  "* ~ \\ \t",
  "",
];
const ECHO = [process.execPath, "-e", "console.log(JSON.stringify(process.argv.slice(1)))", "--"];

describe("exec", () => {
  test("hostile values arrive as one argument each, numbers as text", async () => {
    const output = (await exec.run(fakeContext(), {
      argv: [...ECHO, ...HOSTILE, 5432],
      parse: "json",
    })) as any;
    expect(output.json).toEqual([...HOSTILE, "5432"]);
    expect(output).toMatchObject({ exit_code: 0, stderr: "", truncated: false });
  });

  test("env, cwd and stdin; lines", async () => {
    const output = await exec.run(fakeContext(), {
      argv: ["sh", "-c", 'pwd; echo "$A"; cat'],
      env: { A: 1 },
      cwd: dir,
      stdin: "in\n",
      parse: "lines",
    });
    expect(output).toMatchObject({ lines: [dir, "1", "in"] });
  });

  test("a failing exit code is an error with the last lines of stderr", async () => {
    const script = "echo out; seq 1 9 >&2; exit 3";
    const error = await failure(exec.run(fakeContext(), { argv: ["sh", "-c", script] }));
    expect(error.code).toBe("command_failed");
    expect(error.message).toBe("sh failed with exit code 3: 5\n6\n7\n8\n9");
    expect(error.data).toEqual({ exit_code: 3, signal: null, stderr: "5\n6\n7\n8\n9" });
    expect(
      await exec.run(fakeContext(), { argv: ["sh", "-c", script], ok_exit_codes: [0, 3] }),
    ).toMatchObject({
      exit_code: 3,
    });
  });

  test("a signal is an error whatever codes are fine", async () => {
    const error = await failure(exec.run(fakeContext(), { argv: ["sh", "-c", "kill -9 $$"] }));
    expect(error).toMatchObject({ code: "command_failed", message: "sh was killed by SIGKILL" });
  });

  test("output that can't be parsed, or not all of it", async () => {
    expect(
      (await failure(exec.run(fakeContext(), { argv: ["echo", "{"], parse: "json" }))).code,
    ).toBe("command_failed");
    const cut = exec.run(fakeContext(), { argv: ["seq", "100"], parse: "lines", max_bytes: 10 });
    expect((await failure(cut)).code).toBe("limit_exceeded");
  });

  test("a secret in argv is refused, in env it is fine", async () => {
    const ctx = fakeContext();
    ctx.secret("hunter22");
    const error = await failure(exec.run(ctx, { argv: ["echo", "password=hunter22"] }));
    expect(error.code).toBe("secret_exposed");
    const output = await exec.run(ctx, {
      argv: ["sh", "-c", 'printf %s "$P" | wc -c'],
      env: { P: "hunter22" },
    });
    expect(output).toMatchObject({ stdout: "8\n" });
  });

  test("says what it would do, and its effect as written", async () => {
    const input = { argv: ["rm", "-rf", "x"], cwd: "/srv", env: { TOKEN: "t" } };
    expect(await exec.plan!(fakeContext(), input)).toEqual({
      argv: ["rm", "-rf", "x"],
      cwd: "/srv",
      env: ["TOKEN"],
    });
    const effect = exec.effect as (input: object) => string;
    const idempotent = exec.idempotent as (input: object) => boolean;
    expect([effect(input), effect({ ...input, effect: "read" })]).toEqual(["change", "read"]);
    expect([idempotent(input), idempotent({ ...input, idempotent: true })]).toEqual([false, true]);
  });

  test("the output schema follows `parse`", () => {
    expect(Object.keys(exec.outputFor!({ argv: ["a"] })!.properties!)).not.toContain("json");
    expect(exec.outputFor!({ argv: ["a"], parse: "json" })!.required).toContain("json");
    expect(exec.outputFor!({ argv: ["a"], parse: "lines" })!.required).toContain("lines");
  });
});

describe("shell", () => {
  test("hostile values in the environment are data", async () => {
    for (const value of HOSTILE) {
      const output = await shell.run(fakeContext({ cwd: dir }), {
        script: 'printf "%s" "$value" | cat',
        env: { value },
      });
      expect(output).toMatchObject({ exit_code: 0, stdout: value, stderr: "" });
    }
    expect(await Bun.file(join(dir, "pwned")).exists()).toBe(false);
  });

  test("the script reaches the shell as written", async () => {
    const script = "cat <<'EOF'\n$HOME ${x} `y` \\n 'q' \"d\"\nEOF\n";
    expect(await shell.run(fakeContext(), { script })).toMatchObject({
      stdout: "$HOME ${x} `y` \\n 'q' \"d\"\n",
    });
  });

  test.each([
    ["a failing command", "false; echo reached"],
    ["a failing part of a pipe", "false | cat; echo reached"],
    ["an unset variable", 'echo "$nowhere"; echo reached'],
  ])("bash stops at %s", async (_what, script) => {
    expect((await failure(shell.run(fakeContext(), { script }))).code).toBe("command_failed");
  });

  test("sh stops at a failing command and an unset variable", async () => {
    for (const script of ["false; echo reached", 'echo "$nowhere"; echo reached']) {
      expect((await failure(shell.run(fakeContext(), { script, shell: "sh" }))).code).toBe(
        "command_failed",
      );
    }
    // Were it bash, `pipefail` would end it.
    expect(
      await shell.run(fakeContext(), { script: "false | cat; echo reached", shell: "sh" }),
    ).toMatchObject({
      stdout: "reached\n",
    });
  });

  test("a secret written into the script is refused with the error of spawn", async () => {
    const ctx = fakeContext();
    ctx.secret("hunter22");
    expect((await failure(shell.run(ctx, { script: "echo hunter22" }))).code).toBe(
      "secret_exposed",
    );
  });

  test("exit codes, parsing and the limit", async () => {
    expect(await shell.run(fakeContext(), { script: "exit 4", ok_exit_codes: [4] })).toMatchObject({
      exit_code: 4,
    });
    expect(await shell.run(fakeContext(), { script: "echo '[1]'", parse: "json" })).toMatchObject({
      json: [1],
    });
    expect(await shell.run(fakeContext(), { script: "seq 100000", max_bytes: 3 })).toMatchObject({
      stdout: "1\n2",
      truncated: true,
    });
  });
});

describe.each(["exec", "shell"])("abort of %s", (name) => {
  test("kills the tree", async () => {
    const file = join(dir, `${name}-tree`);
    const ctx = fakeContext();
    const script = tree(file);
    const running = failure(
      name === "exec" ? exec.run(ctx, { argv: ["sh", "-c", script] }) : shell.run(ctx, { script }),
    );
    let pids: number[] = [];
    for (const ends = performance.now() + 30_000; pids.length < 2 && performance.now() < ends;) {
      await Bun.sleep(10);
      pids = (
        await Bun.file(file)
          .text()
          .catch(() => "")
      )
        .split("\n")
        .filter(Boolean)
        .map(Number);
    }
    expect(pids).toHaveLength(2);
    const started = performance.now();
    ctx.abort(new PgdbaError("timeout", "too slow"));
    expect((await running).code).toBe("timeout");
    expect(performance.now() - started).toBeLessThan(20_000);
    for (const pid of pids) {
      const status = await Bun.file(`/proc/${pid}/status`)
        .text()
        .catch(() => "State:\tZ");
      expect(status).toMatch(/State:\tZ/);
    }
  });
});

function tree(file: string): string {
  return `echo $$ >> '${file}'; sh -c "echo \\$\\$ >> '${file}'; sleep 60; true"; true`;
}
