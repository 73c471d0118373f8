import { expect, test } from "bun:test";
import certify from "../../../steps/nodes/certify.ts";
import { fakeContext } from "../../support/context.ts";

test("the node gets its certificate by the cluster's authority, and a plan gives none", async () => {
  const asked: unknown[] = [];
  const nodes = {
    certify: async (...what: unknown[]) => {
      asked.push(what);
      return { notAfter: "2028-01-01T00:00:00.000Z" };
    },
    state: async () => ({ running: "stopped", services: [] }),
  };
  const ctx = fakeContext({ target: { name: "orders", use: async () => nodes } });
  const input = { node: "pg1", tls: { authority: "ca", names: ["db.example.com"] } };
  expect(await certify.plan!(ctx, input)).toEqual({ node: "pg1", now: "stopped" });
  expect(asked).toEqual([]);
  expect(await certify.run(ctx, input)).toEqual({
    node: "pg1",
    not_after: "2028-01-01T00:00:00.000Z",
  });
  expect(asked).toEqual([["pg1", input.tls]]);
});
