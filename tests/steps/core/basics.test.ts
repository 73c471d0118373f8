import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "../../../engine/clock.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Library, LibraryEntry } from "../../../engine/types.ts";
import assertStep from "../../../steps/core/assert.ts";
import run from "../../../steps/core/run.ts";
import set from "../../../steps/core/set.ts";
import template from "../../../steps/core/template-render.ts";
import wait from "../../../steps/core/wait.ts";
import { fakeContext, manualClock } from "../../support/context.ts";
import { failure } from "./failure.ts";

const dir = mkdtempSync(join(tmpdir(), "pgdba-basics-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("assert", () => {
  const vars = { params: { max: 10 }, steps: { lag: { output: { bytes: 42 } } } };

  test("passes when all hold, one or a list", async () => {
    const holds = { that: "params.max == 10", message: "no" };
    expect(await assertStep.run(fakeContext({ vars }), holds)).toEqual({ checked: 1 });
    expect(await assertStep.run(fakeContext({ vars }), [holds, holds])).toEqual({ checked: 2 });
  });

  test("the hint of the first that does not hold is the error's", async () => {
    const error = await failure(
      assertStep.run(fakeContext({ vars }), [
        { that: "params.max == 10", message: "fine", hint: "not this one" },
        { that: "params.max > 10", message: "low", hint: "Give --max above {{params.max}}." },
        { that: "params.max > 99", message: "too small", hint: "nor this" },
      ]),
    );
    expect(error.hint).toBe("Give --max above 10.");
  });

  test("explains every failure, the first one decides", async () => {
    const error = await failure(
      assertStep.run(fakeContext({ vars }), [
        { that: "params.max == 10", message: "fine" },
        { that: "steps.lag.output.bytes <= params.max", message: "lag above {{params.max}}" },
        { that: "params.max > 99", message: "too small" },
      ]),
    );
    expect(error.code).toBe("assertion_failed");
    expect(error.message).toBe("lag above 10; also: too small");
    expect(error.hint).toContain("what the message names");
    const data = error.data as { trace: string; failed: { message: string; trace: string }[] };
    expect(data.failed.map(({ message }) => message)).toEqual(["lag above 10", "too small"]);
    expect(data.trace).toContain("steps.lag.output.bytes");
    expect(data.trace).toContain("42");
    expect(data.trace).toContain("params.max > 99");
  });

  test("a message that can't be rendered does not hide the failure", async () => {
    const error = await failure(
      assertStep.run(fakeContext({ vars }), {
        that: "params.max > 99",
        message: "see {{nowhere}}",
      }),
    );
    expect(error).toMatchObject({ code: "assertion_failed", message: "see {{nowhere}}" });
  });

  test("what is neither true nor false, or wrong, is an error of its own", async () => {
    for (const that of ["params.max", "params.nowhere == 1"]) {
      const error = await failure(assertStep.run(fakeContext({ vars }), { that, message: "x" }));
      expect(error.code).toBe("expression_failed");
    }
  });
});

describe("set", () => {
  test("evaluates texts and keeps other scalars", async () => {
    const input = {
      double: "params.n * 2",
      label: "'a'",
      list: "[1, params.n]",
      three: 3,
      off: false,
      none: null,
    };
    const output = await set.run(fakeContext({ vars: { params: { n: 21 } } }), input);
    expect(output).toEqual({
      double: 42,
      label: "a",
      list: [1, 21],
      three: 3,
      off: false,
      none: null,
    });
  });

  test("the names of its output are closed", () => {
    expect(set.outputFor!({ a: "1 + 1", b: 2, c: 0.5 })).toEqual({
      type: "object",
      properties: { a: {}, b: { type: "integer" }, c: { type: "number" } },
      required: ["a", "b", "c"],
      additionalProperties: false,
    });
  });

  test("a name that no expression can say is found", () => {
    expect(set.lint!({ ok_1: "1", "not-ok": "1" })).toMatchObject([
      { path: ["not-ok"], rule: "set-name" },
    ]);
  });
});

describe("wait", () => {
  test("lets the time pass, and none in a plan", async () => {
    const clock = manualClock();
    expect(await wait.run(fakeContext({ clock }), { for: "1m30s" })).toEqual({ waited_ms: 90_000 });
    expect(await wait.run(fakeContext({ clock, run: { plan: true } }), { for: "1h" })).toEqual({
      waited_ms: 0,
    });
    expect(clock.sleeps).toEqual([90_000]);
  });

  test("ends at once when cancelled", async () => {
    const ctx = fakeContext({ clock: systemClock });
    const started = performance.now();
    const waiting = failure(wait.run(ctx, { for: "1h" }));
    ctx.abort(new PgdbaError("interrupted", "stop"));
    expect((await waiting).code).toBe("interrupted");
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  test("refuses what is no duration", async () => {
    expect((await failure(wait.run(fakeContext(), { for: "soon" }))).code).toBe("invalid_param");
  });
});

test("run calls the runbook, by name or with parameters", async () => {
  const calls: unknown[] = [];
  const ctx = fakeContext({
    call: async (...call) => {
      calls.push(call);
      return { worst: "ok" };
    },
  });
  expect(await run.run(ctx, "health/check")).toEqual({ worst: "ok" });
  expect(await run.run(ctx, { runbook: "health/check", params: { n: 1 } })).toEqual({
    worst: "ok",
  });
  expect(calls).toEqual([
    ["health/check", {}],
    ["health/check", { n: 1 }],
  ]);
});

describe("template.render", () => {
  function put(path: string, text: string): string {
    const file = join(dir, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }
  const entry: LibraryEntry = {
    name: "setup/db",
    kind: "runbook",
    layer: "project",
    file: put("layer/runbooks/setup/db.yaml", ""),
    overrides: [],
  };
  const library: Library = {
    entries: () => [entry],
    find: (name) => (name === entry.name ? entry : undefined),
    load: () => Promise.reject(new Error("not asked for")),
  };
  const ctx = fakeContext({ library, run: { runbook: "setup/db" }, vars: { params: { n: 5 } } });
  put("secret.txt", "outside");
  put("layer/runbooks/setup/own.hbs", "own {{params.n}}");
  put("layer/templates/shared.hbs", "shared {{x}}");
  symlinkSync(join(dir, "secret.txt"), join(dir, "layer/templates/link.hbs"));

  test("inline, with more variables over those of the step, once", async () => {
    const rendered = await template.run(ctx, {
      template: "{{params.n}} {{x}}",
      vars: { x: "{{params.n}} <&>" },
    });
    expect(rendered).toEqual({ text: "5 {{params.n}} <&>" });
  });

  test("a missing variable is an error", async () => {
    expect((await failure(template.run(ctx, { template: "{{nowhere}}" }))).code).toBe(
      "expression_failed",
    );
  });

  test("from a file beside the runbook or in templates", async () => {
    expect(await template.run(ctx, { file: "own.hbs" })).toEqual({ text: "own 5" });
    expect(await template.run(ctx, { file: "shared.hbs", vars: { x: 1 } })).toEqual({
      text: "shared 1",
    });
    const missing = await failure(template.run(ctx, { file: "nowhere.hbs" }));
    expect(missing.code).toBe("io_failed");
    expect(missing.hint).toContain(join(dir, "layer/templates"));
  });

  test.each(["../../../secret.txt", "link.hbs", "/etc/hostname", "a\0b"])(
    "%j does not lead out",
    async (file) => {
      expect((await failure(template.run(ctx, { file }))).code).toBe("step_refused");
    },
  );

  test("lint wants exactly one source", () => {
    expect(template.lint!({ template: "a" })).toEqual([]);
    expect(template.lint!({ template: "a", file: "b" })).toHaveLength(1);
    expect(template.lint!({})).toHaveLength(1);
  });
});
