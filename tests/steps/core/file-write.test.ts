import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fileWrite from "../../../steps/core/file-write.ts";
import { lineDiff } from "../../../steps/core/files/line-diff.ts";
import { fileState, replaceFile } from "../../../steps/core/files/replace-file.ts";
import { withHarness } from "../../engine/run/harness.ts";
import { fakeContext } from "../../support/context.ts";
import { failure } from "./failure.ts";

const dir = mkdtempSync(join(tmpdir(), "pgdba-file-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
function place(content?: string, mode = 0o644): { folder: string; path: string } {
  const folder = join(dir, String(++count));
  mkdirSync(folder);
  const path = join(folder, "f.conf");
  if (content !== undefined) {
    writeFileSync(path, content);
    chmodSync(path, mode);
  }
  return { folder, path };
}
const text = (path: string) => readFileSync(path, "utf8");
const mode = (path: string) => statSync(path).mode & 0o777;
const sha = (content: string) => createHash("sha256").update(content).digest("hex");

describe("run", () => {
  test("creates a file, and leaves nothing else behind", async () => {
    const { folder, path } = place();
    const ctx = fakeContext({ cwd: folder });
    const output = await fileWrite.run(ctx, { path: "f.conf", content: "ü\n" });
    expect(output).toEqual({ path, bytes: 3, changed: true, previous_digest: null });
    expect([text(path), mode(path), ctx.recorded.unchanged]).toEqual(["ü\n", 0o644, 0]);
    await ctx.close();
    expect(readdirSync(folder)).toEqual(["f.conf"]);
  });

  test("replaces content but keeps mode and owner, unless a mode is given", async () => {
    const { folder, path } = place("old", 0o600);
    const ctx = fakeContext();
    const output = await fileWrite.run(ctx, { path, content: "new" });
    expect(output).toMatchObject({ changed: true, previous_digest: sha("old") });
    expect([text(path), mode(path)]).toEqual(["new", 0o600]);
    await fileWrite.run(fakeContext({ step: { path: "other" } }), {
      path,
      content: "new",
      mode: "0640",
    });
    expect(mode(path)).toBe(0o640);
    await ctx.close();
    expect(readdirSync(folder).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  test("the same content and mode is no change and not written", async () => {
    const { folder, path } = place("same", 0o640);
    const inode = lstatSync(path).ino;
    const ctx = fakeContext();
    const output = await fileWrite.run(ctx, { path, content: "same", mode: "0640" });
    expect(output).toMatchObject({ changed: false, previous_digest: sha("same") });
    expect(ctx.recorded.unchanged).toBe(1);
    expect([lstatSync(path).ino, readdirSync(folder)]).toEqual([inode, ["f.conf"]]);
  });

  test("refuses links, also dangling ones, and folders", async () => {
    const { folder, path } = place("target");
    const link = join(folder, "link");
    symlinkSync(path, link);
    symlinkSync(join(folder, "nowhere"), join(folder, "dangling"));
    for (const refused of [link, join(folder, "dangling"), folder]) {
      expect(
        (await failure(fileWrite.run(fakeContext(), { path: refused, content: "x" }))).code,
      ).toBe("step_refused");
    }
    expect(text(path)).toBe("target");
    expect(existsSync(join(folder, "nowhere"))).toBe(false);
  });

  test("a missing folder is an error that says so, or made on request", async () => {
    const { folder } = place();
    const path = join(folder, "a/b/f");
    const error = await failure(fileWrite.run(fakeContext(), { path, content: "x" }));
    expect(error).toMatchObject({ code: "io_failed", data: { errno: "ENOENT" } });
    expect(error.hint).toContain("create_dirs");
    await fileWrite.run(fakeContext(), { path, content: "x", create_dirs: true });
    expect(text(path)).toBe("x");
  });
});

describe("a write that failed before it changed anything", () => {
  test("is not taken back, and the run just failed", () =>
    withHarness(async (h) => {
      const { folder, path } = place("a file");
      symlinkSync("loop", join(folder, "loop"));
      const paths: Record<string, string> = {
        ENAMETOOLONG: join(folder, "n".repeat(300)),
        // The name itself fits, and that of the copy beside it does not.
        "ENAMETOOLONG ": join(folder, "n".repeat(250)),
        ENOTDIR: join(path, "below"),
        ELOOP: join(folder, "loop/below"),
        ENOENT: join(folder, "missing/f"),
      };
      for (const [errno, at] of Object.entries(paths)) {
        const ran = await h.run(
          `steps: [{id: before, fake.act: {}}, {id: w, file.write: {path: ${at}, content: x}}]`,
        );
        expect({
          errno,
          code: ran.error?.code,
          message: ran.error?.message,
          exit: ran.exit,
        }).toEqual({
          errno,
          code: "io_failed",
          message: `${at}: ${errno.trim()}`,
          exit: 5,
        });
        expect(
          await h.run(`steps: [{id: w, file.write: {path: ${at}, content: x}}]`),
        ).toMatchObject({
          exit: 1,
          status: "failed",
          run: { warnings: [] },
        });
      }
      expect(readdirSync(folder).toSorted()).toEqual(["f.conf", "loop"]);
    }));

  test("leaves no copy behind that a later attempt would take for the file before it", async () => {
    const { folder, path } = place("old");
    const marks = () => readdirSync(folder).filter((name) => name !== "f.conf");
    const before = (await fileState(path))!;
    const names = {
      temporary: join(folder, "no/such"),
      previous: `${path}.kept`,
      absent: `${path}.absent`,
    };
    const next = { content: "new", mode: 0o644, createDirs: false };
    expect(await failure(replaceFile(path, next, before, names))).toMatchObject({
      code: "io_failed",
      nothingDone: true,
    });
    expect([text(path), marks()]).toEqual(["old", []]);
  });
});

describe("a file that holds a secret", () => {
  const holding = () => {
    const ctx = fakeContext();
    ctx.secret("hunter2-and-more");
    return ctx;
  };
  const content = "password = hunter2-and-more\n";

  test.each([
    ["as it is", content],
    ["in base64", Buffer.from(content).toString("base64")],
    ["in upper-case hex", Buffer.from("hunter2-and-more").toString("hex").toUpperCase()],
  ])("is for its owner alone: %s", async (_, text) => {
    const { path } = place();
    await fileWrite.run(holding(), { path, content: text });
    expect(mode(path)).toBe(0o600);
  });

  test("is closed where it was open, and left as it was where others had no way in", async () => {
    for (const [before, after] of [
      [0o644, 0o600],
      [0o755, 0o700],
      [0o640, 0o640],
      [0o600, 0o600],
    ] as const) {
      const { path } = place("old", before);
      await fileWrite.run(holding(), { path, content });
      expect({ before, mode: mode(path) }).toEqual({ before, mode: after });
    }
  });

  test("has the mode that was asked for, with a warning when that lets everybody in", async () => {
    const { path } = place();
    const ctx = holding();
    await fileWrite.run(ctx, { path, content, mode: "0644" });
    expect(mode(path)).toBe(0o644);
    expect(ctx.recorded.warnings).toEqual([expect.stringContaining("holds a secret")]);
    const quiet = holding();
    await fileWrite.run(quiet, { path, content, mode: "0640" });
    expect(quiet.recorded.warnings).toEqual([]);
  });

  test("any other file is open as ever", async () => {
    const { path } = place();
    await fileWrite.run(holding(), { path, content: "nothing\n" });
    expect(mode(path)).toBe(0o644);
  });
});

describe("undo", () => {
  test("brings back content, mode and inode; twice is once", async () => {
    const { folder, path } = place("old", 0o600);
    const inode = lstatSync(path).ino;
    const ctx = fakeContext();
    const input = { path, content: "new", mode: "0644" };
    const output = await fileWrite.run(ctx, input);
    for (let i = 0; i < 2; i++) await fileWrite.undo!(ctx, input, output);
    expect([text(path), mode(path), lstatSync(path).ino]).toEqual(["old", 0o600, inode]);
    await ctx.close();
    expect(readdirSync(folder)).toEqual(["f.conf"]);
  });

  test("removes a file that was not there", async () => {
    const { folder, path } = place();
    const ctx = fakeContext();
    const input = { path, content: "new" };
    await fileWrite.run(ctx, input);
    for (let i = 0; i < 2; i++) await fileWrite.undo!(ctx, input, undefined);
    await ctx.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("leaves alone what the step did not change", async () => {
    const { path } = place("same");
    const ctx = fakeContext();
    await fileWrite.run(ctx, { path, content: "same" });
    await fileWrite.undo!(ctx, { path, content: "same" }, undefined);
    expect(text(path)).toBe("same");
  });

  test("leaves what somebody else wrote meanwhile, and says where the old content is", async () => {
    for (const before of ["old", undefined]) {
      const { folder, path } = place(before);
      const ctx = fakeContext();
      const input = { path, content: "new" };
      const output = await fileWrite.run(ctx, input);
      writeFileSync(path, "by hand");
      const error = await failure(fileWrite.undo!(ctx, input, output));
      expect(error).toMatchObject({ code: "undo_failed" });
      const kept = readdirSync(folder).filter((name) => name !== "f.conf");
      expect(kept).toHaveLength(1);
      expect(error.hint).toContain(kept[0]!);
      await ctx.close();
      expect(text(path)).toBe("by hand");
      // A person has put it right, and the undo is tried again.
      if (before === undefined) rmSync(path);
      else writeFileSync(path, before);
      await fileWrite.undo!(fakeContext(), input, output);
      expect(readdirSync(folder)).toEqual(before === undefined ? [] : ["f.conf"]);
    }
  });

  test("brings back a file that was removed meanwhile", async () => {
    const { path } = place("old");
    const ctx = fakeContext();
    const input = { path, content: "new" };
    await fileWrite.run(ctx, input);
    rmSync(path);
    await fileWrite.undo!(ctx, input, undefined);
    expect(text(path)).toBe("old");
  });

  test("two steps on one file go back one by one", async () => {
    const { path } = place("one");
    const first = fakeContext({ step: { path: "a" } });
    const second = fakeContext({ step: { path: "b" } });
    await fileWrite.run(first, { path, content: "two" });
    await fileWrite.run(second, { path, content: "three" });
    await fileWrite.undo!(second, { path, content: "three" }, undefined);
    expect(text(path)).toBe("two");
    await fileWrite.undo!(first, { path, content: "two" }, undefined);
    expect(text(path)).toBe("one");
  });

  test("a second attempt keeps the copy of the first", async () => {
    const { path } = place("old");
    await fileWrite.run(fakeContext(), { path, content: "half way" });
    await fileWrite.run(fakeContext({ step: { attempt: 2 } }), { path, content: "new" });
    await fileWrite.undo!(fakeContext(), { path, content: "new" }, undefined);
    expect(text(path)).toBe("old");
  });

  test("kill -9 of the process that wrote it loses nothing", async () => {
    const { folder, path } = place("old");
    const at = (file: string) => JSON.stringify(join(import.meta.dir, "../../..", file));
    const script = `
      const { fakeContext } = await import(${at("tests/support/context.ts")});
      const { default: step } = await import(${at("steps/core/file-write.ts")});
      await step.run(fakeContext(), ${JSON.stringify({ path, content: "new" })});
      process.kill(process.pid, "SIGKILL");`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      stdout: "ignore",
      stderr: "inherit",
    });
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    expect(text(path)).toBe("new");
    const ctx = fakeContext();
    const input = { path, content: "new" };
    expect(await fileWrite.probe!(ctx, input)).toEqual({
      state: "done",
      output: { path, bytes: 3, changed: true, previous_digest: sha("old") },
    });
    await fileWrite.undo!(ctx, input, undefined);
    await ctx.close();
    expect([text(path), readdirSync(folder)]).toEqual(["old", ["f.conf"]]);
    expect(await fileWrite.probe!(ctx, input)).toEqual({ state: "not_done" });
  });
});

describe("plan", () => {
  test("shows the lines and writes nothing", async () => {
    const { folder, path } = place("a\nb\nc\n");
    expect(await fileWrite.plan!(fakeContext(), { path, content: "a\nB\nc\n" })).toEqual({
      path,
      action: "replace",
      mode: "0644",
      previous_mode: "0644",
      digest: sha("a\nB\nc\n"),
      previous_digest: sha("a\nb\nc\n"),
      diff: "-b\n+B",
    });
    expect([text(path), readdirSync(folder)]).toEqual(["a\nb\nc\n", ["f.conf"]]);
    expect(await fileWrite.plan!(fakeContext(), { path, content: "a\nb\nc\n" })).toMatchObject({
      action: "none",
    });
    const fresh = join(folder, "fresh");
    expect(await fileWrite.plan!(fakeContext(), { path: fresh, content: "x\n" })).toMatchObject({
      action: "create",
      diff: "+x",
    });
  });

  test("does not show what not everyone may read", async () => {
    const { path } = place("password = hunter22\n", 0o600);
    const plan = await fileWrite.plan!(fakeContext(), { path, content: "x\n", mode: "0644" });
    expect(plan).toMatchObject({ action: "replace", diff: null });
    expect(JSON.stringify(plan)).not.toContain("hunter22");
  });
});

describe("lineDiff", () => {
  test.each([
    ["", "", ""],
    ["a\n", "a\n", ""],
    ["", "a\n", "+a"],
    ["a\nb\n", "b\n", "-a"],
    ["a\nx\nb\ny\nc\n", "a\nX\nb\nY\nc\n", "-x\n+X\n…\n-y\n+Y"],
    ["a\n", "a", "+\\ no newline at the end"],
  ])("%j to %j", (before, after, expected) => {
    expect(lineDiff(before, after)).toBe(expected);
  });

  test("is limited, and quick with large texts", () => {
    const many = (prefix: string) =>
      Array.from({ length: 20_000 }, (_, i) => `${prefix}${i}\n`).join("");
    const out = lineDiff(many("a"), many("b")).split("\n");
    expect(out).toHaveLength(51);
    expect(out.at(-1)).toBe("… 39950 more lines");
  });
});
