import { expect, test } from "bun:test";
import { clustersNamed } from "../../../engine/run/clusters.ts";
import type { Target } from "../../../engine/types.ts";
import { codeOf, withHarness } from "./harness.ts";

function named(name: string, more: Partial<Target> = {}): Target {
  return {
    name,
    cluster: name,
    labels: [],
    ownership: "managed",
    expectedIdentity: null,
    facts: async () => ({ state: "up", identity: `of ${name}`, capabilities: [], facts: {} }),
    close: async () => {},
    ...more,
  };
}

test("clusters are named by texts, in lists and in mappings", () => {
  const cluster = { type: "string", format: "cluster" };
  const params = {
    one: cluster,
    none: cluster,
    free: { type: "string" },
    many: { type: "array", items: cluster },
    map: {
      type: "object",
      properties: { from: cluster, text: { type: "string" } },
      additionalProperties: { type: "array", items: cluster },
    },
  };
  const values = {
    one: "b",
    none: null,
    free: "x",
    many: ["c", "b"],
    map: { from: "d", text: "y", more: ["a"] },
  };
  expect(clustersNamed({ params }, values)).toEqual(["a", "b", "c", "d"]);
});

test("a called runbook works on no cluster that the run was not judged for", () =>
  withHarness(async (h) => {
    h.write(
      "sub/into",
      "summary: S\nrisk: change\nparams: {into: {type: string, format: cluster, required: true}}\nsteps: [{id: act, fake.act: {into: params.into}}]\n",
    );
    const text = 'steps:\n  - {id: s, run: {runbook: sub/into, params: {into: "copy"}}}\n';
    const ran = await h.run(text);
    expect(ran.error).toMatchObject({ code: "step_refused", step: "s" });
    expect(ran.error?.message).toContain("the cluster copy");
    expect(h.calls).toEqual([]);
    expect((await h.run(text, { others: [named("copy")] })).exit).toBe(0);
    expect((await h.run(text.replace("copy", "drill"))).exit).toBe(0);
    expect(h.calls).toEqual(["act s/act", "act s/act"]);
  }));

test("a policy that asks for a confirmation asks for each cluster", () =>
  withHarness(async (h) => {
    const asked = {
      policy: [{ match: { cluster: "copy" }, action: "confirm" as const, file: "policy.yaml" }],
    };
    const text = "steps: [{id: a, fake.act: {}}]";
    const others = [named("copy")];
    expect(await codeOf(h.run(text, { asked, others }))).toMatchObject({ code: "approval_needed" });
    expect(h.calls).toEqual([]);
    expect((await h.run(text, { asked, others, flags: { confirm: "copy" } })).exit).toBe(0);
  }));

test("two names of one server are locked once, and are in nobody's way but another's", () =>
  withHarness(async (h) => {
    let heldBy = "";
    let taken = 0;
    const lock: Target["lock"] = async (holder) => {
      if (heldBy !== "") return { heldBy };
      // A server keeps so much of it.
      heldBy = holder.slice(0, 56);
      taken += 1;
      return { held: async () => "held", release: async () => void (heldBy = "") };
    };
    const text = "steps: [{id: a, fake.act: {}}]";
    const both = { target: { lock }, others: [named("alias", { lock })] };
    expect((await h.run(text, both)).exit).toBe(0);
    expect([taken, heldBy]).toEqual([1, ""]);
    heldBy = "run other";
    expect(await codeOf(h.run(text, both))).toMatchObject({ code: "lock_held" });
  }));

test("without a target the clusters that parameters name are locked, and nothing else", () =>
  withHarness(async (h) => {
    const none = { name: "none", cluster: null, ownership: "none" as const };
    const others = [named("copy"), named("zebra")];
    const text = "steps: [{id: a, fake.act: {}}]";
    let keys: string[] = [];
    h.on = {
      a: () => {
        const rows = h.journal.db.query<{ key: string }, []>("SELECT key FROM lock").all();
        keys = rows.map(({ key }) => key).filter((key) => key.endsWith("(roles)"));
        return null;
      },
    };
    expect((await h.run(text, { target: none, others })).exit).toBe(0);
    expect(keys.toSorted()).toEqual(
      ["copy", "of copy", "of zebra", "zebra"].map((key) => `${key} (roles)`),
    );
  }));
