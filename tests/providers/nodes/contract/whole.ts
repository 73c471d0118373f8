import { expect } from "bun:test";
import { PgdbaError } from "../../../../engine/errors.ts";
import type { Progress } from "../../../../engine/types.ts";
import type { Case } from "../contract.ts";
import { drive } from "./driven.ts";
import { failure, type World } from "./helpers.ts";

export function wholeCases(world: World, one: Case): void {
  one(["provision"], "a plan makes nothing", async () => {
    const nodes = world.nodes();
    expect(world.servers(await nodes.plan(world.spec(["a", "b"])))).toEqual([
      { node: "a", act: "make", what: "primary" },
      { node: "b", act: "make", what: "standby of a" },
    ]);
    expect(await nodes.list()).toEqual([]);
    expect(await nodes.state("a")).toMatchObject({ running: "absent" });
    expect(await nodes.deprovision()).toEqual([]);
  });

  one(
    ["provision"],
    "two who make one cluster at once make it once; it runs and replicates, with labels, and tells how far it is",
    async () => {
      const heard: Progress[] = [];
      const spec = world.spec(["a", "b"]);
      const other = drive(world, { run: "run-1", verb: "provision", args: [spec] });
      await world.nodes({ progress: (progress) => heard.push(progress) }).provision(spec);
      await other.said("done");
      const list = await world.list();
      expect(list.map(({ node, made, state }) => [node, made, state.running])).toEqual([
        ["a", true, "running"],
        ["b", true, "running"],
      ]);
      for (const { labels } of list) expect(labels.run).toBe("run-1");
      for (const { done, total, text } of heard) {
        expect(done ?? 0).toBeLessThanOrEqual(total ?? 0);
        expect(text).toBeString();
      }
      await world.replicates("a", "b");
      expect(await world.sql("b", "SELECT pg_is_in_recovery()")).toEqual([[true]]);
    },
    120_000,
  );

  one(["provision"], "accounts log in with their passwords, and only with them", async () => {
    for (const [user, password] of [
      ["postgres", "su"],
      ["rewinder", "rewind"],
    ] as const)
      expect(await world.sql("a", "SELECT current_user", { user, password })).toEqual([[user]]);
    const error = await failure(world.sql("a", "SELECT 1", { password: "rep" }));
    expect(error).toMatchObject({ code: "connection_failed" });
    const [[attributes]] = (await world.sql(
      "a",
      "SELECT array_agg(rolname || ' ' || rolsuper || ' ' || rolreplication ORDER BY 1) FROM pg_roles WHERE rolcanlogin",
    )) as [[string[]]];
    expect(attributes).toEqual([
      "postgres true true",
      "replicator false true",
      "rewinder false false",
    ]);
  });

  one(["provision"], "what is there is left as it is; a plan says the same", async () => {
    const before = (await world.list()).map(({ state }) => state.services[0]);
    const spec = world.spec(["a", "b"]);
    const plan = await world.nodes({ run: "run-9" }).plan(spec);
    expect(world.servers(plan).map(({ act }) => act)).toEqual(["keep", "keep"]);
    expect(await world.nodes({ run: "run-9" }).provision(spec)).toEqual(plan);
    const after = await world.list();
    expect(after.map(({ state }) => state.services[0])).toEqual(before);
    expect(after.map(({ labels }) => labels.run)).toEqual(["run-1", "run-1"]);
  });

  one(
    ["provision"],
    "a spec that is not that of the nodes is refused and changes nothing",
    async () => {
      const wrong = [
        world.spec(["a", "b"], { version: world.place.version - 1 }),
        world.spec(["a", "b"], { superuser: { user: "boss", password: "su" } }),
        world.spec(["a", "A b"]),
        world.spec(["a", "a"]),
        world.spec([]),
        world.spec(["a"], { replication: { user: "postgres", password: "su" } }),
      ];
      for (const spec of wrong)
        for (const verb of ["plan", "provision"] as const)
          expect(await failure(world.nodes()[verb](spec))).toMatchObject({
            code: "step_refused",
            nothingDone: true,
          });
      expect((await world.list()).length).toBe(2);
    },
  );

  one(
    ["provision", "deprovision"],
    "a replica more is a changed spec; by its run's label it is removed, and nothing else",
    async () => {
      const later = world.nodes({ run: "run-2" });
      const changes = await later.provision(world.spec(["a", "b", "c-1"]));
      expect(world.servers(changes).map(({ node, act }) => [node, act])).toEqual([
        ["a", "keep"],
        ["b", "keep"],
        ["c-1", "make"],
      ]);
      await world.replicates("a", "c-1");
      expect(await world.nodes().deprovision({ run: "run-0" })).toEqual([]);
      const removed = await later.deprovision({ run: "run-2" });
      expect(removed.map(({ node, act }) => [node, act])).toEqual([["c-1", "remove"]]);
      expect((await world.list()).map(({ node }) => node)).toEqual(["a", "b"]);
      // What it was to the primary is gone as well: a slot of nobody keeps WAL for ever. Patroni, where it runs the servers, keeps one
      // for a time, for a member that may come again.
      if (!world.watched) {
        const slots = await world.sql(
          "a",
          "SELECT count(*)::int FROM pg_replication_slots WHERE NOT active",
        );
        expect(slots).toEqual([[0]]);
      }
      await world.replicates("a", "b");
      expect(await later.deprovision({ run: "run-2" })).toEqual([]);
    },
    60_000,
  );

  one(["deprovision"], "nodes are not removed by name when no other has the data", async () => {
    const error = await failure(world.nodes().deprovision({ nodes: ["a", "b"] }));
    expect(error).toMatchObject({ code: "step_refused", nothingDone: true });
    expect((await world.list()).length).toBe(2);
  });

  one(["provision"], "without a password nothing is begun", async () => {
    const cluster = `${world.name}-bare`;
    const secret = (name: string) =>
      Promise.reject(new PgdbaError("missing_secret", `no secret <${name}>`));
    const nodes = await world.another({}, { cluster, secret });
    const error = await failure(nodes.provision(world.spec(["a"])));
    expect(error.code).toBe("missing_secret");
    // All that are missing are told at once.
    for (const name of ["su", "rep", "rewind"]) expect(error.message).toContain(`<${name}>`);
    const empty = await world.another({}, { cluster, secret: async () => "" });
    const refused = empty.provision(world.spec(["a"]));
    expect(await failure(refused)).toMatchObject({ code: "invalid_param", nothingDone: true });
    expect(await nodes.list()).toEqual([]);
  });

  one(
    ["provision", "deprovision"],
    "told to end in the middle it ends, and what its run had made is taken back by label",
    async () => {
      const stop = new AbortController();
      const opening = { cluster: `${world.name}-cut` };
      const progress = ({ text }: Progress) => {
        if (text?.includes(" b,")) stop.abort(new PgdbaError("interrupted", "enough"));
      };
      const cut = await world.another({ signal: stop.signal, progress, run: "run-8" }, opening);
      const error = await failure(cut.provision(world.spec(["a", "b", "c"])));
      expect(error).toMatchObject({ code: "interrupted" });
      const nodes = await world.another({ run: "run-8" }, opening);
      const list = await nodes.list();
      expect(list.find(({ node }) => node === "a")).toMatchObject({ made: true });
      expect(list.find(({ node }) => node === "c")).toBeUndefined();
      await nodes.deprovision({ run: "run-8" });
      expect(await nodes.list()).toEqual([]);
    },
    60_000,
  );

  one(
    ["lease"],
    "one at a time has the lease, by a number that grows, and not beyond its death",
    async () => {
      const first = await world.nodes().lease("run-1 of ada");
      if ("heldBy" in first) throw new Error("held");
      expect(await (await world.another()).lease("run-2")).toEqual({ heldBy: "run-1 of ada" });
      // Another right is another lease.
      const guard = await (await world.another()).lease("run-2", "guard");
      if ("heldBy" in guard) throw new Error("it is free");
      expect(await world.nodes().lease("run-5", "guard")).toEqual({ heldBy: "run-2" });
      expect(await world.nodes().leased("guard")).toBe("run-2");
      await guard.release();
      expect(await world.nodes().leased("guard")).toBeNull();
      expect(await world.nodes().leased()).toBe("run-1 of ada");
      expect(await first.held()).toBe("held");
      await first.release();
      expect(await first.held()).toHaveProperty("heldBy");
      const other = drive(world, { run: "run-3", verb: "lease", args: ["run-3"], stay: true });
      const { epoch } = JSON.parse(await other.said("done")) as { epoch: number };
      expect(epoch).toBeGreaterThan(first.epoch);
      expect(await world.nodes().lease("run-4")).toEqual({ heldBy: "run-3" });
      await other.kill();
      const last = await world.nodes().lease("run-4");
      if ("heldBy" in last) throw new Error("held");
      expect(last.epoch).toBeGreaterThan(epoch);
      await last.release();
    },
  );
}
