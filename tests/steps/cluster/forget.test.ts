import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Harness } from "../../engine/run/harness.ts";

let h: Harness;
let clusters: string;
beforeEach(() => {
  h = new Harness();
  clusters = join(h.dir, "state", "clusters");
  mkdirSync(clusters, { recursive: true });
});
afterEach(() => h.close());

const SERVER = "postgres: {host: db1, user: u}\n";
const write = (name: string, text: string) => writeFileSync(join(clusters, `${name}.yaml`), text);
const there = (name: string) => existsSync(join(clusters, `${name}.yaml`));
const forget = (name: string, force = false) => {
  h.target = { name, cluster: name };
  return h.run(
    `steps:\n  - id: forget\n    cluster.forget: {force: ${force}}\n  - id: later\n    fake.look: {}\n`,
  );
};

test("a cluster that pgdba did not make is forgotten, and what is kept is said", async () => {
  const text = `# Ask Ann.\nownership: connected\nlabels: [production]\n${SERVER}`;
  write("orders", text);
  let kept = "";
  h.on["later"] = (ctx) => {
    kept = String(ctx.evaluate("steps.forget.output.kept"));
    return null;
  };
  expect((await forget("orders")).status).toBe("ok");
  expect(there("orders")).toBe(false);
  expect(readFileSync(join(kept, "cluster.yaml"), "utf8")).toBe(text);
});

test("so is what a run left unfinished", async () => {
  write("orders", "ownership: managed\npartial: run-0\n");
  expect((await forget("orders")).status).toBe("ok");
  expect(there("orders")).toBe(false);
});

test("but not while it has nodes, or while nobody can say whether it has, without force", async () => {
  write("orders", "ownership: managed\nprovider: embedded\npartial: run-0\n");
  let nodes: (() => Promise<unknown[]>) | undefined;
  const target = { cluster: "orders", use: async () => ({ list: () => nodes?.() ?? [] }) };
  const forget = (more = "") =>
    h.run(`steps: [{id: forget, cluster.forget: {${more}}}]`, { target });
  nodes = async () => [{ node: "pg1" }, { node: "pg2" }];
  const refused = await forget();
  expect(refused.error?.code).toBe("step_refused");
  expect(refused.error?.message).toContain("pg1, pg2 of it are there");
  expect(refused.error?.hint).toContain("pgdba resume run-0");
  nodes = async () => Promise.reject(new Error("no socket"));
  expect((await forget()).error?.message).toContain("no socket");
  expect(there("orders")).toBe(true);
  nodes = undefined;
  expect((await forget()).status).toBe("ok");
  expect(there("orders")).toBe(false);
  write("orders", "ownership: managed\nprovider: embedded\npartial: run-0\n");
  nodes = async () => [{ node: "pg1" }];
  expect((await forget("force: true")).status).toBe("ok");
});

test.each([
  [
    "one that pgdba made",
    `ownership: managed\nprovider: docker\n${SERVER}`,
    /orders was made by pgdba/,
  ],
  ["one that can't be read", "ownership: manged\n", /can't be read.*`ownership` must be one of/],
])("%s only with force", async (_name, text, message) => {
  write("orders", text);
  const refused = await forget("orders");
  expect([refused.status, refused.error?.code]).toEqual(["failed", "step_refused"]);
  expect(refused.error?.message).toMatch(message);
  expect(refused.error?.hint).toContain("--force");
  expect(there("orders")).toBe(true);
  expect((await forget("orders", true)).status).toBe("ok");
  expect(there("orders")).toBe(false);
});

test("a run that fails later puts it back", async () => {
  const text = `ownership: connected # not ours\n${SERVER}`;
  write("orders", text);
  h.on["later"] = () => {
    expect(there("orders")).toBe(false);
    throw new Error("broken");
  };
  expect((await forget("orders")).status).toBe("undone");
  expect(readFileSync(join(clusters, "orders.yaml"), "utf8")).toBe(text);
  expect(existsSync(join(h.dir, "state", "forgotten", "orders-run-1"))).toBe(false);
});

test("one that is not there is said to be unknown, with those that there are", async () => {
  write("shop", `ownership: connected\n${SERVER}`);
  const ran = await forget("orders");
  expect([ran.error?.code, ran.error?.hint]).toEqual(["no_target", "Known clusters: lab, shop."]);
});

test("a plan says what it would forget, or why it would be refused, and forgets nothing", async () => {
  const plan = (name: string, force = false) =>
    h.run(`steps: [{id: forget, cluster.forget: {force: ${force}}}]`, {
      plan: true,
      target: { name, cluster: name },
    });
  write("orders", `ownership: connected\n${SERVER}`);
  write("made", `ownership: managed\nprovider: docker\n${SERVER}`);
  const [step] = (await plan("orders")).steps;
  expect(step).toMatchObject({
    status: "previewed",
    preview: { name: "orders", ownership: "connected" },
  });
  expect((await plan("made")).error?.code).toBe("step_refused");
  expect((await plan("made", true)).steps[0]).toMatchObject({
    preview: { ownership: "managed" },
  });
  expect((await plan("nobody")).error?.code).toBe("no_target");
  expect([there("orders"), there("made")]).toEqual([true, true]);
});
