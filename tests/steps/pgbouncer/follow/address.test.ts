import { expect, test } from "bun:test";
import { isIP } from "node:net";
import { addressOf } from "../../../../steps/pgbouncer/follow/address.ts";

test("an address stays, a name becomes one, and one that nobody knows stays", async () => {
  expect(await addressOf("10.9.8.7", undefined)).toBe("10.9.8.7");
  expect(await addressOf("::1", undefined)).toBe("::1");
  expect(isIP(await addressOf("localhost", undefined))).not.toBe(0);
  expect(await addressOf("nosuch.invalid", undefined)).toBe("nosuch.invalid");
});

test("the address of before holds while the resolver does not tell another", async () => {
  const fails = () => Promise.reject(new Error("no answer"));
  const hangs = () => Promise.withResolvers<never>().promise;
  const tells = (...all: string[]) => Promise.resolve(all.map((address) => ({ address })));
  expect(await addressOf("pg1", "10.9.8.7", fails)).toBe("10.9.8.7");
  expect(await addressOf("pg1", "10.9.8.7", hangs)).toBe("10.9.8.7");
  expect(await addressOf("pg1", "10.9.8.7", () => tells())).toBe("10.9.8.7");
  // The order of several means nothing.
  expect(await addressOf("pg1", "10.9.8.7", () => tells("10.9.8.6", "10.9.8.7"))).toBe("10.9.8.7");
  expect(await addressOf("pg1", "10.9.8.7", () => tells("10.9.8.6"))).toBe("10.9.8.6");
  expect(await addressOf("pg1", "pg1", fails)).toBe("pg1");
});
