import { expect, test } from "bun:test";
import { cut, cutEvidence } from "../../../engine/shared/cut.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import { withHarness } from "../run/harness.ts";

test("a text is cut between two characters, and says how long it was", () => {
  expect(cut("short")).toBe("short");
  expect(cut("abcdef", 3)).toBe("abc … (cut: 6 characters)");
  expect(cut("ab\u{1f418}d", 3)).toBe("ab … (cut: 5 characters)");
});

test("the evidence of an error keeps its shape, and is told to be too large when it is", () => {
  expect(cutEvidence({ a: [1, null, true, "text"], b: {} })).toEqual({
    a: [1, null, true, "text"],
    b: {},
  });
  const long = "x".repeat(100_000);
  expect((cutEvidence({ long }) as { long: string }).long).toEndWith("… (cut: 100000 characters)");
  const many = Array.from({ length: 1000 }, () => long);
  expect(cutEvidence(many)).toEqual({ cut: "more than 4194304 characters" });
});

test("whatever a step says makes no large envelope, event or journal", () =>
  withHarness(async (h) => {
    const big = "x".repeat(5_000_000);
    h.on = {
      a: (ctx) => {
        ctx.log(big);
        ctx.warn(big);
        throw new PgdbaError("step_failed", big, { hint: big, data: { text: big } });
      },
    };
    const ran = await h.run("steps: [{id: a, fake.look: {}}]");
    expect(ran.error!.message).toEndWith("… (cut: 5000000 characters)");
    expect(JSON.stringify(ran.envelope).length).toBeLessThan(200_000);
    expect(JSON.stringify(h.events).length).toBeLessThan(200_000);
    expect(JSON.stringify(h.journal.steps("run-1")).length).toBeLessThan(200_000);
  }));
