import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { PROVIDERS, providers } from "../../../providers/nodes/_registry.ts";
import { openNodes } from "../../../providers/nodes/open.ts";

const at = {
  cluster: "c",
  stateDir: "/nonexistent/pgdba",
  env: {},
  place: {},
  secret: async () => "",
};

test("each provider is registered under the name of its folder, and has a test of the contract", async () => {
  expect(PROVIDERS.length).toBeGreaterThan(0);
  for (const name of PROVIDERS) {
    expect((await providers[name]()).default.name).toBe(name);
    expect(readdirSync(join(import.meta.dir, name))).toContain("contract.test.ts");
  }
});

test("a provider that is not there is refused, with those that are", async () => {
  const error = await openNodes("dokcer", at).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "invalid_config", nothingDone: true });
  expect((error as { hint: string }).hint).toContain("embedded");
});

test("a name that would lead out of the state folder opens nothing", async () => {
  for (const cluster of ["..", "a/b", "", "/etc"]) {
    const error = await openNodes("embedded", { ...at, cluster }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "invalid_config" });
  }
});
