import { expect, test } from "bun:test";
import { isIP } from "node:net";
import { addressOf } from "../../../../steps/pgbouncer/follow/address.ts";

test("an address stays, a name becomes one, and one that nobody knows stays", async () => {
  expect(await addressOf("10.9.8.7")).toBe("10.9.8.7");
  expect(await addressOf("::1")).toBe("::1");
  expect(isIP(await addressOf("localhost"))).not.toBe(0);
  expect(await addressOf("nosuch.invalid")).toBe("nosuch.invalid");
});
