import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { systemClock } from "../../../engine/clock.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import checks from "../../../steps/failover/checks.ts";
import { fakeContext } from "../../support/context.ts";
import { type PatroniCluster, patroniMissing, startPatroni } from "../../support/patroni.ts";
import { through } from "../../support/target.ts";

const missing = patroniMissing();

describe.skipIf(missing !== null)(
  `checks before a move on a real Patroni${missing === null ? "" : ` (${missing})`}`,
  () => {
    let cluster: PatroniCluster;
    let home: string;
    let leader: string;
    let standbys: string[];
    const undo: (() => Promise<unknown>)[] = [];

    beforeAll(async () => {
      [cluster, home] = await Promise.all([
        startPatroni(3),
        mkdtemp(join(tmpdir(), "pgdba-failover-")),
      ]);
      const states = await Promise.all(cluster.members.map((_, n) => cluster.get("/patroni", n)));
      const at = states.findIndex((state) => state.role !== "replica");
      leader = cluster.members[at]!.name;
      standbys = cluster.members.map(({ name }) => name).filter((name) => name !== leader);
      await mkdir(join(home, "clusters"));
      const { host, port, api } = cluster.members[at]!;
      await writeFile(
        join(home, "clusters", "pat.yaml"),
        `ownership: connected
postgres: {host: ${host}, port: ${port}, user: postgres, password_env: SQL_PASSWORD, sslmode: disable}
patroni: {endpoints: ["${api}"], user: admin, password_env: API_PASSWORD}
`,
      );
    }, 300_000);
    afterEach(async () => {
      for (const one of undo.splice(0).toReversed()) await one();
    });
    afterAll(async () => {
      await cluster.stop();
      await rm(home, { recursive: true, force: true });
    });

    async function sql(member: string, text: string): Promise<any[]> {
      const { host, port } = cluster.members.find(({ name }) => name === member)!;
      const about = { host, port, user: cluster.user, password: cluster.password };
      const client = new Client({ ...about, database: "postgres" });
      await client.connect();
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    }

    async function look(input: object = {}): Promise<any> {
      const env = { SQL_PASSWORD: cluster.password, API_PASSWORD: cluster.apiPassword };
      const target = await resolveTarget({
        flags: { cluster: "pat" },
        env,
        stateDir: home,
        onSecret: () => {},
      });
      const ctx = fakeContext({ clock: systemClock, target: through(target) });
      ctx.does.effect = "read";
      try {
        return await checks.run(ctx, input);
      } finally {
        await target.close();
      }
    }
    const unmet = (found: any): string[] =>
      found.checks
        .filter((one: any) => one.status !== "ok" && one.id !== "checkpoint")
        .map((one: any) => `${one.level} ${one.id} ${one.about ?? "-"} ${one.status}`);
    /** What can't be seen of processes without a provider and a store in the entry. */
    const unseen = (candidate: string): string[] => [
      "warn dcs - unseen",
      `warn free_disk ${leader} unseen`,
      `warn free_disk ${candidate} unseen`,
    ];

    test("nothing speaks against a move, and what is not seen is told", async () => {
      const found = await look({ candidate: standbys[0] });
      expect(unmet(found).toSorted()).toEqual(unseen(standbys[0]!).toSorted());
      expect([found.refused, found.reasons, found.leader]).toEqual([false, [], leader]);
      expect(found.standbys.toSorted()).toEqual(standbys.toSorted());
      expect(found.warnings).toHaveLength(3);
      expect(found.candidates.map((one: any) => [one.member, one.able]).toSorted()).toEqual(
        standbys.map((name) => [name, true]),
      );
      const lag = found.checks.find((one: any) => one.id === "replay_lag");
      expect([lag.status, lag.threshold]).toEqual(["ok", 1_048_576]);
      expect(lag.figure).toBeLessThan(1_048_576);
    }, 300_000);

    /** What is unmet beside that which is never seen here. */
    async function against(input: { candidate?: string } & object): Promise<string[]> {
      const found = await look(input);
      const known = unseen(found.candidate ?? "");
      return unmet(found).filter((line) => !known.includes(line));
    }
    async function patch(part: object): Promise<void> {
      const api = cluster.members.find(({ name }) => name === leader)!.api;
      const answer = await fetch(`${api}/config`, {
        method: "PATCH",
        headers: { authorization: `Basic ${btoa(`${cluster.apiUser}:${cluster.apiPassword}`)}` },
        body: JSON.stringify(part),
      });
      if (!answer.ok) throw new Error(await answer.text());
    }
    const post = (member: string, path: string): Promise<Response> =>
      fetch(`${cluster.members.find(({ name }) => name === member)!.api}${path}`, {
        method: "POST",
        headers: { authorization: `Basic ${btoa(`${cluster.apiUser}:${cluster.apiPassword}`)}` },
        body: "{}",
      });
    /** Asks again until it holds, since Patroni takes a loop to follow. */
    async function until(holds: () => Promise<boolean>): Promise<void> {
      const ends = performance.now() + 60_000;
      while (!(await holds())) {
        if (performance.now() > ends) throw new Error(`not within 60 s\n${await cluster.logs()}`);
        await Bun.sleep(100);
      }
    }

    test("who can't lead, and who leads already", async () => {
      expect(await against({ candidate: "pg9" })).toEqual(["refuse member pg9 failed"]);
      expect(await against({ candidate: leader })).toEqual([`refuse member ${leader} failed`]);
      const held = await look({ candidate: standbys[0], force: true });
      expect(held.refused).toBe(true);
      expect(held.reasons[0]).toStartWith(`${leader} holds the leader key`);
    }, 300_000);

    test("a standby whose replay is paused and that falls behind", async () => {
      const [behind, other] = standbys as [string, string];
      undo.push(() => sql(behind, "SELECT pg_wal_replay_resume()"));
      // Patroni resumes it in its next loop, so that it is paused again for each look.
      const whilePaused = async (input: object): Promise<any> => {
        await sql(behind, "SELECT pg_wal_replay_pause()");
        await sql(leader, "SELECT pg_logical_emit_message(true, 'test', repeat('x', 100000))");
        return look({ max_lag: "64kB", ...input });
      };
      await until(async () => {
        const found = await whilePaused({ candidate: behind });
        const lag = found.checks.find((one: any) => one.id === "replay_lag");
        if (!unmet(found).includes(`refuse replay_paused ${behind} failed`)) return false;
        expect([lag.level, lag.threshold, found.refused]).toEqual(["data_loss", 65_536, true]);
        return lag.status === "failed" && lag.figure > 100_000;
      });
      // The best of the two is another one, and its own lag is none.
      await until(async () => {
        const best = await whilePaused({});
        return best.candidate === other && !best.refused && !best.candidates[1].able;
      });
    }, 300_000);

    test("Patroni that is paused, and a member that is tagged", async () => {
      await patch({ pause: true });
      undo.push(() => patch({ pause: null }));
      await until(async () => (await look({ candidate: standbys[0] })).pause);
      expect(await against({ candidate: standbys[0]! })).toEqual(["warn pause - failed"]);
      expect(await against({})).toContain("refuse pause - failed");
      const at = cluster.members.findIndex(({ name }) => name === standbys[0]);
      await cluster.configure(at, { tags: { nofailover: true } });
      undo.push(async () => {
        await cluster.configure(at, { tags: { nofailover: false } });
        await post(standbys[0]!, "/reload");
      });
      await post(standbys[0]!, "/reload");
      const tagged = `refuse nofailover ${standbys[0]} failed`;
      await until(async () => (await against({ candidate: standbys[0]! })).includes(tagged));
      expect((await look()).candidate).toBe(standbys[1]!);
    }, 300_000);

    test("a member whose Patroni stands still, and a transaction that is open", async () => {
      const at = cluster.members.findIndex(({ name }) => name === standbys[0]);
      await cluster.signal(at, "SIGSTOP");
      undo.push(() => cluster.signal(at, "SIGCONT"));
      const open = sql(leader, "SELECT pg_sleep(30)").catch(() => null);
      undo.push(async () => {
        await sql(
          leader,
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)' AND pid <> pg_backend_pid()",
        );
        await open;
      });
      await until(async () => {
        const input = { candidate: standbys[0]!, long_transaction: "200ms" };
        const found = await look(input);
        return (
          found.transactions.length === 1 &&
          unmet(found).includes(`refuse reachable ${standbys[0]} failed`)
        );
      });
      const found = await look({
        candidate: standbys[1],
        long_transaction: "200ms",
        cancel_transactions: true,
      });
      expect(unmet(found)).toContain(`act transactions ${leader} failed`);
      expect(unmet(found)).toContain(`warn other_members ${standbys[0]} unseen`);
      expect(found.refused).toBe(false);
    }, 300_000);

    test("settings that wait for a restart; then archiving that fails, slots and prepared transactions", async () => {
      await patch({
        postgresql: {
          parameters: {
            max_prepared_transactions: 5,
            wal_level: "logical",
            archive_mode: "on",
            archive_command: "false",
            max_slot_wal_keep_size: "1MB",
            wal_keep_size: "16MB",
          },
        },
      });
      const pending = `warn pending_restart ${standbys[0]} failed`;
      await until(async () => (await against({ candidate: standbys[0]! })).includes(pending));
      for (const member of [...standbys, leader])
        expect((await post(member, "/restart")).status).toBe(200);
      await until(async () => (await against({ candidate: standbys[0]! })).length === 0);

      // It waits for all that is open, prepared transactions too, so it is first.
      await sql(leader, "SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')");
      await sql(leader, "BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'left behind'");
      await sql(leader, "SELECT pg_switch_wal()");
      const expected = [
        `warn prepared ${leader} failed`,
        `warn archiver ${leader} failed`,
        "data_loss logical_slot cdc failed",
      ];
      await until(async () => {
        const now = await against({ candidate: standbys[0]! });
        return expected.every((line) => now.includes(line));
      });
      for (let n = 0; n < 5; n++) {
        await sql(leader, "SELECT pg_logical_emit_message(false, 'test', 'x')");
        await sql(leader, "SELECT pg_switch_wal()");
      }
      await sql(leader, "CHECKPOINT");
      await until(async () =>
        (await against({ candidate: standbys[0]! })).includes("warn slot_state cdc failed"),
      );
      const found = await look({ candidate: standbys[0], accept_data_loss: true });
      expect([found.refused, found.reasons]).toEqual([false, []]);
      await sql(leader, "ROLLBACK PREPARED 'left behind'");
    }, 300_000);

    test("a member that takes writes beside the leader", async () => {
      await patch({ pause: true });
      await until(async () => (await look({ candidate: standbys[0] })).pause);
      await sql(standbys[1]!, "SELECT pg_promote()");
      const found = await look({ candidate: standbys[0] });
      expect(unmet(found)).toContain(`refuse second_primary ${standbys[1]} failed`);
      expect(found.refused).toBe(true);
    }, 300_000);
  },
);
