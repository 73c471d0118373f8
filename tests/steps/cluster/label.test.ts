import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { Harness } from "../../engine/run/harness.ts";

let h: Harness;
const file = () => join(h.dir, "state/clusters/orders.yaml");
const ENTRY = `# Ask Ann.
ownership: connected
labels: [production, emea]
postgres: {host: db1, user: u} # the VIP
`;
beforeEach(() => {
  h = new Harness();
  h.target = { name: "orders", cluster: "orders" };
  mkdirSync(join(h.dir, "state/clusters"), { recursive: true });
  writeFileSync(file(), ENTRY);
});
afterEach(() => h.close());

const labels = () => parse(readFileSync(file(), "utf8")).labels;
const step = (input: string): string => `steps:
  - id: label
    cluster.label: ${input}
  - id: after
    fake.act: {}
`;

test("labels are added and taken away, comments stay, and nothing changes twice", async () => {
  const ran = await h.run(step("{add: [gold, emea], remove: [nowhere]}"));
  expect(ran.status).toBe("ok");
  expect(labels()).toEqual(["production", "emea", "gold"]);
  expect(readFileSync(file(), "utf8")).toContain("# the VIP");
  const before = readFileSync(file(), "utf8");
  expect((await h.run(step("{add: [gold]}"))).status).toBe("ok");
  expect(readFileSync(file(), "utf8")).toBe(before);
  expect((await h.run(step("{remove: [emea], add: [emea]}"))).error?.code).toBe("invalid_param");
});

test("production goes only by the cluster's name, and not as a part of another change", async () => {
  for (const input of ["{remove: [production]}", "{remove: [production], unprotect: shop}"]) {
    const { error } = await h.run(step(input));
    expect([error?.code, error?.hint]).toEqual([
      "step_refused",
      expect.stringContaining("--unprotect=orders"),
    ]);
  }
  const record = await h.run("steps:\n  - cluster.record: {labels: [emea]}\n");
  expect(record.error?.code).toBe("step_refused");
  expect(labels()).toEqual(["production", "emea"]);
  expect((await h.run(step("{remove: [production, emea], unprotect: orders}"))).status).toBe("ok");
  expect(labels()).toBeUndefined();
});

test("a run that fails puts back what it changed, and leaves what somebody else did meanwhile", async () => {
  h.on["after"] = () => {
    writeFileSync(file(), readFileSync(file(), "utf8").replace("gold", "gold, silver"));
    throw new Error("broken");
  };
  expect((await h.run(step("{add: [gold], remove: [emea]}"))).status).toBe("undone");
  expect(labels()).toEqual(["production", "silver", "emea"]);
});
