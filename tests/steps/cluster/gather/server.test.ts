import { expect, test } from "bun:test";
import { PgdbaError } from "../../../../engine/errors.ts";
import { answerOf } from "../../../../steps/cluster/gather/server.ts";
import { codeOf } from "../../../providers/postgres/helpers.ts";

const failing = (code: "missing_secret" | "connection_failed") =>
  Promise.reject(new PgdbaError(code, "why", { hint: "h" }));

test("a place that does not answer is told; a password that is missing here says nothing of the cluster", async () => {
  expect(await answerOf(Promise.resolve(1), 1000)).toEqual({ value: 1, why: null, code: null });
  expect(await answerOf(failing("connection_failed"), 1000)).toEqual({
    value: null,
    why: "why",
    code: "connection_failed",
  });
  expect(await answerOf(new Promise(() => {}), 1)).toMatchObject({ value: null, code: "timeout" });
  expect(await codeOf(answerOf(failing("missing_secret"), 1000))).toBe("missing_secret");
});
