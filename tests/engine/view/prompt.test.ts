import { expect, test } from "bun:test";
import { PassThrough } from "node:stream";
import { confirm } from "../../../engine/view/prompt.ts";
import { onTerminal } from "./pty.ts";

test("never asks without a terminal", async () => {
  const stderr = new PassThrough();
  expect(await confirm({ stdin: new PassThrough(), stderr, question: "Go on?" })).toBe(false);
  expect(stderr.read()).toBeNull();
});

test.each([
  ["y\r", undefined, "true"],
  ["Yes\r", undefined, "true"],
  ["\r", undefined, "false"],
  ["yep\r", undefined, "false"],
  ["\x04", undefined, "false"],
  ["\x03", undefined, "interrupted"],
  ["lab\r", "lab", "true"],
  ["y\r", "lab", "false"],
  ["LAB\r", "lab", "false"],
])("answer %j, expecting %p, is %s", async (send, word, answer) => {
  const run = await onTerminal(
    "pty-confirm.ts",
    ["Drop \x1b[2Jit?", ...(word === undefined ? [] : [word])],
    { send },
  );
  expect(run.stdout).toBe(answer);
  expect(run.code).toBe(0);
  expect(run.stderr).toContain("Drop \\x1b[2Jit?");
});
