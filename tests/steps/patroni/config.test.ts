import { expect, test } from "bun:test";
import type { JsonObject } from "../../../engine/types.ts";
import config from "../../../steps/patroni/config.ts";
import { fakeContext } from "../../support/context.ts";

const read = (said: JsonObject) =>
  config.run(fakeContext({ target: { use: async () => ({ config: async () => said }) } }), {});

test("times and the synchronous mode are told, with Patroni's own values where nothing is said", async () => {
  expect(await read({})).toMatchObject({
    ttl: 30,
    loop_wait: 10,
    retry_timeout: 10,
    synchronous_mode: "off",
  });
  for (const [said, mode] of [
    [{ synchronous_mode: true }, "on"],
    [{ synchronous_mode: "on" }, "on"],
    [{ synchronous_mode: "quorum" }, "quorum"],
    [{ synchronous_mode: true, synchronous_mode_strict: true }, "strict"],
    [{ synchronous_mode: false, synchronous_mode_strict: true }, "off"],
  ] as const)
    expect(await read({ ttl: 20, ...said })).toMatchObject({ ttl: 20, synchronous_mode: mode });
});
