import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { cli, place, raw, removePlaces, runbooks, stepTypes } from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const acts = (bad: boolean) => `summary: s
risk: change
steps:
  - t.act: {bad: ${bad}}
  - assert: {that: "${!bad}", message: no}
`;

test("each place is given the words that may stand there, and no others", async () => {
  const p = place({
    ...runbooks({
      "t/good": acts(false),
      "t/bad": acts(true),
      "t/look": "summary: s\nrisk: read\nsteps:\n  - set: {a: 1}\n",
      "t/back":
        "summary: s\nrisk: read\nparams:\n  run: {type: string, format: run, positional: 1}\nsteps:\n  - set: {a: params.run}\n",
    }),
    ...stepTypes({
      "t.act": `effect: "change", risk: "change", takeBack: "t back", async run() { return {}; },
        async undo(ctx, input) { if (input.bad) throw new Error("no"); }`,
    }),
  });
  const words = async (...line: string[]) =>
    (await raw(["__complete", ...line], p)).stdout
      .split("\n")
      .filter((one) => one !== "")
      .map((one) => one.split("\t")[0]!);
  const ran = async (...args: string[]) => {
    const { envelope } = await cli(["run", ...args, "--yes"], p);
    const about = (envelope.error ?? (envelope.data as object)) as { run: { id: string } };
    return about.run.id;
  };
  const good = await ran("t/good");
  const bad = await ran("t/bad");
  const look = await ran("t/look");
  const dry = await ran("t/good", "--plan");

  expect(await words("runs", "")).toEqual([dry, look, bad, good]);
  // It failed, and could not be taken back: it waits for somebody.
  expect(await words("resume", "")).toEqual([bad]);
  // Of the runs that a command takes back, by what their steps say of it.
  expect(await words("t", "back", "--run", "")).toEqual([bad, good]);
  expect(await words("t", "back", "")).toEqual([bad, good]);

  expect(await words("schema", "")).toEqual(["cluster", "config", "policy"]);
  expect(await words("list", "--kind", "")).toEqual(["check", "runbook"]);
  expect(await words("list", "--ki")).toEqual(["--kind"]);
  expect(await words("help", "t.")).toEqual(["t.act"]);
  expect(await words("help", "t", "b")).toEqual(["back", "bad"]);
  expect(await words("help", "ste")).toEqual(["steps"]);
  expect(await words("config", "rollback", "--run", "")).toEqual([]);
});

test("where a member is wanted, those of the cluster that is named are proposed", async () => {
  const entry = (...nodes: string[]) =>
    `ownership: connected\npostgres: {host: h, user: u, password_env: P}\nnodes:\n${nodes.join("\n")}\n`;
  const p = place({
    "home/clusters/orders.yaml": entry(
      "  - {name: pg1, roles: [postgres]}",
      "  - {name: pg2, roles: [postgres]}",
      "  - {name: etcd1, roles: [etcd]}",
    ),
    "home/clusters/shop.yaml":
      "ownership: connected\npostgres: {host: h, user: u, password_env: P}\npatroni: {endpoints: ['http://a:8008'], members: {db1: 'http://a:8008', db2: 'http://b:8008'}}\n",
    "home/clusters/broken.yaml": "{",
  });
  const words = async (...line: string[]) =>
    (await raw(["__complete", ...line], p)).stdout
      .split("\n")
      .filter((one) => one !== "")
      .map((one) => one.split("\t")[0]!);
  expect(await words("failover", "trigger", "--cluster", "orders", "--target", "")).toEqual([
    "pg1",
    "pg2",
  ]);
  expect(await words("failover", "trigger", "--cluster=shop", "")).toEqual(["db1", "db2"]);
  expect(await words("replica", "promote", "--cluster", "shop", "db2")).toEqual(["db2"]);
  expect(await words("replica", "reinit", "p")).toEqual(["pg1", "pg2"]);
});
