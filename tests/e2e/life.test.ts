/** The whole life of a cluster, by the command line, at each place that has nodes of its own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { docker, dockerMissing } from "../support/docker.ts";
import { Live } from "../support/live.ts";
import { until } from "../support/rehearsed.ts";
import { startWriter } from "../support/writer.ts";
import { removePlaces, runId } from "./support.ts";

/** When PostgreSQL wrote the last line with these words. */
function timeOf(log: string, words: string): number {
  const line = log.split("\n").findLast((one) => one.includes(words))!;
  return Date.parse(line.slice(0, 23).replace(" ", "T") + "Z");
}

const PLACES = [{ provider: "docker", missing: dockerMissing() }];

for (const { provider, missing } of PLACES) {
  describe.skipIf(missing !== null)(
    `a cluster on ${provider}${missing === null ? "" : ` (${missing})`}`,
    () => {
      const live = new Live(provider);
      let made: any;
      let taken = 0;
      /** The volume that its servers share. */
      const backups = `${live.name}-repository`;

      beforeAll(async () => {
        made = await live.init("--rto", "fast", "--place", JSON.stringify({ backups }));
      }, 900_000);
      afterAll(async () => {
        if (live.entry() !== undefined) await live.destroy();
        await docker("volume", "rm", "--force", backups);
        await live.close();
        removePlaces();
      }, 300_000);

      /** What the clients were promised is there. */
      const nothingLost = async (writer: Awaited<ReturnType<typeof startWriter>>) => {
        const leader = await live.settled();
        const { host, port } = live.entry()!.nodes!.find(({ name }) => name === leader)!.reach!;
        const client = await live.client(host, Number(port), "app");
        try {
          const { lost } = await writer.check(client);
          expect(lost).toEqual([]);
        } finally {
          await client.end();
        }
      };

      test("it is made whole: one leads, two stream, clients get in, and no secret is told", async () => {
        expect(made.primary).toBe("pg1");
        expect(made.standbys.toSorted()).toEqual(["pg2", "pg3"]);
        expect(await live.settled()).toBe("pg1");
        const writer = await startWriter(live.writer());
        await writer.next();
        expect(await writer.stop()).toMatchObject({ failed: 0, unknown: 0 });
        for (const name of ["superuser", "replication", "etcd", "etcd_root", "patroni", "owner"])
          expect(JSON.stringify(made)).not.toContain(live.secret(name));
        const again = await live.run("cluster", "init", "--generate-secrets");
        expect(again.envelope.error).toMatchObject({ code: "step_refused" });
        expect(await live.settled()).toBe("pg1");
      }, 300_000);

      /** A segment that this server ends now is in the archive, and so is all before it. */
      const archives = async (node: string) => {
        // One in which nothing was written would never be ended.
        await live.ask(node, "SELECT pg_create_restore_point('here')");
        const [[segment]] = (await live.ask(node, "SELECT pg_walfile_name(pg_switch_wal())")) as [
          [string],
        ];
        const found = await until(
          () => live.well("backup", "gaps"),
          ({ archiver }: any) => archiver?.last_archived_wal >= segment,
          60_000,
        );
        expect(found).toMatchObject({ continuous: true, gaps: [], histories: [] });
        expect(found.archiver.failing).toBe(false);
        return segment.slice(0, 8);
      };

      test("it archives into the volume that its servers share, and its backups are verified", async () => {
        const { repository, members } = await live.well("backup", "setup");
        expect(repository).toBe("/var/lib/pgdba-backups");
        expect(members.map(({ archiver }: any) => archiver)).toEqual(["pgdba", "pgdba", "pgdba"]);
        const full = await live.well("backup", "create");
        expect(full).toMatchObject({ type: "full", verified: true, backup: { source: "standby" } });
        const increment = await live.well("backup", "create", "--type", "incremental");
        expect(increment).toMatchObject({
          verified: true,
          backup: { parent: full.backup_id },
        });
        expect(await archives("pg1")).toBe("00000001");
        const every = ["--cron", "* * * * *", "--timezone", "Asia/Kathmandu", "--name", "each"];
        const { added } = await live.well("backup", "schedule", ...every);
        expect(added).toMatchObject({ where: "scheduler1", timezone: "Asia/Kathmandu" });
        expect((await (await live.nodes()).state("scheduler1")).running).toBe("running");
      }, 900_000);

      test("a standby is added, and one is removed; the primary is not", async () => {
        // Killed when the node is made, and nothing of it is on record: it is found, and waited for.
        const { added } = await live.well(
          "resume",
          await live.killedAt("acted made", "replica", "add"),
        );
        expect(added).toBe("pg4");
        expect(await live.streaming("pg1")).toEqual(["pg2", "pg3", "pg4"]);
        // It may lead one day.
        const beside = ["/var/lib/pgdba/data.pgdba/pgdba", "wal", "push", "nothing"];
        const tried = await (
          await live.nodes()
        ).exec("pg4", beside, {
          cwd: "/var/lib/pgdba/data",
        });
        expect([tried.exit_code, tried.stderr]).toEqual([1, expect.stringContaining("nothing")]);
        expect((await live.run("replica", "remove", "pg1")).envelope.error).toMatchObject({
          code: "assertion_failed",
        });
        await live.well("replica", "remove", "pg4");
        // Whoever asks Patroni for the members from now on does not meet it.
        expect(Object.keys(await (await live.dcs()).save())).not.toContain("members/pg4");
        expect(live.servers().toSorted()).toEqual(["pg1", "pg2", "pg3"]);
        expect(await live.streaming("pg1")).toEqual(["pg2", "pg3"]);
        expect((await (await live.nodes()).list()).map(({ node }) => node)).not.toContain("pg4");
        // The clock went on meanwhile.
        const each = ({ schedules }: any) =>
          schedules.find(({ where, name }: any) => where === "scheduler1" && name === "each");
        const went = await until(
          () => live.well("backup", "schedule", "list"),
          (list) => each(list).said !== null,
          180_000,
        );
        expect(each(went)).toMatchObject({
          said: "backup create is done",
          succeeded: true,
          missed: false,
        });
        const left = await live.well("backup", "schedule", "remove", "--name", "each");
        expect(each(left)).toBeUndefined();
      }, 600_000);

      test("the primary role moves while clients only wait: none fails, and nothing is lost", async () => {
        const writer = await startWriter(live.writer());
        await writer.next();
        const { new_primary, client, run } = await live.well(
          "failover",
          "trigger",
          "--target",
          "pg2",
        );
        expect(new_primary).toBe("pg2");
        expect(client).toMatchObject({ failed: 0 });
        // Without a word to its WAL summarizer, which sleeps, a new primary would make them wait for up to thirty seconds.
        const { text } = await (await live.nodes()).logs("pg2");
        const [over, open] = ["archive recovery complete", "ready to accept connections"].map(
          (words) => timeOf(text, words),
        );
        expect(open! - over!).toBeLessThan(5_000);
        expect(await archives("pg2")).toBe("00000002");
        await writer.next();
        expect(await writer.stop()).toMatchObject({ failed: 0, unknown: 0, refused: 0 });
        await nothingLost(writer);
        await live.well("failover", "rollback", "--run", run.id);
        expect(await live.settled()).toBe("pg1");
      }, 300_000);

      test("what a DBA asks for is told of all of it, and the health check of a member", async () => {
        const { leader, members, findings } = await live.well("cluster", "status");
        expect(members.length).toBe(3);
        expect(leader).toBe("pg1");
        expect(findings.map((one: any) => one.severity)).not.toContain("critical");
        const { envelope } = await live.run("health", "check", "--host", "pg2");
        expect(envelope.data).toMatchObject({ server: { role: "standby" } });
      }, 300_000);

      test("with the guard a dead primary is followed at once, and comes back by itself", async () => {
        const guard = live.begin("failover", "guard");
        await guard.said("start dead");
        const second = await live.run("failover", "guard");
        expect(second.envelope.error?.code).toMatch(/lock_held|target_locked/);
        const writer = await startWriter(live.writer({ connections: 1, restMs: 10 }));
        await writer.next();
        const cut = writer.now();
        const nodes = await live.nodes();
        await nodes.kill("pg1", (await nodes.can()).kill_power.can ? "power" : "node");
        await writer.next(60_000);
        // The ttl is 20 s: sooner is the guard's work.
        expect(writer.now() - cut).toBeLessThan(12_000);
        await writer.stop();
        expect(await live.settled()).not.toBe("pg1");
        guard.signal("SIGTERM");
        const { exit, envelope } = await guard.done();
        expect([exit, envelope.success]).toEqual([0, true]);
        const { id } = (envelope.data as any).run;
        const { data } = await live.run("runs", id).then((ran) => ran.envelope as any);
        expect(data.steps.map((step: any) => step.id)).toContain("released");
      }, 300_000);

      /** The guard is at work meanwhile; afterwards the ids of all steps that it has begun, with how often, and who takes writes. */
      async function guarded(flags: string[], act: (said: () => string[]) => Promise<void>) {
        const guard = live.begin("failover", "guard", ...flags);
        await guard.said("start dead");
        const said = () => [...guard.stderr.matchAll(/^start (\S+)/gm)].map(([, step]) => step!);
        let watching = true;
        let two = 0;
        const sampled = (async () => {
          for (; watching; await Bun.sleep(100)) two += (await live.writable()).length > 1 ? 1 : 0;
        })();
        try {
          await act(said);
        } finally {
          watching = false;
          await sampled;
          guard.signal("SIGTERM");
        }
        const { exit } = await guard.done();
        expect([exit, two]).toEqual([0, 0]);
        return said();
      }
      const acted = (said: string[]) => said.filter((step) => /killed|released|held/.test(step));
      /** Long enough for several looks, and shorter than the ttl. */
      const AWHILE_MS = 6_000;

      test("the guard does nothing about a leader that is cut off, stands still or is paused, nor about one that is started at once", async () => {
        const nodes = await live.nodes();
        const all = (await nodes.list()).map(({ node }) => node);
        const writer = await startWriter(live.writer({ connections: 1, restMs: 10 }));
        const said = await guarded([], async () => {
          // What Patroni does about it is its own affair.
          const cut = await live.settled();
          const from = { nodes: all.filter((node) => node !== cut) };
          await nodes.partition(cut, { from, direction: "both" }, { id: "cut", afterMs: 60_000 });
          await Bun.sleep(AWHILE_MS);
          await nodes.heal({ id: "cut" });

          const frozen = await live.settled();
          await nodes.freeze(frozen);
          await Bun.sleep(AWHILE_MS);
          await nodes.thaw(frozen);

          const dead = await live.settled();
          await live.well("cluster", "pause");
          await nodes.kill(dead, "node");
          await Bun.sleep(AWHILE_MS);
        });
        expect(acted(said)).toEqual([]);
        await live.well("cluster", "resume");
        for (const { node, state } of await nodes.list())
          if (state.running !== "running") await nodes.start(node);
        // By somebody else, as soon as it has died: whoever leads then, it is one, and it has all.
        const leader = await live.settled();
        await guarded([], async () => {
          await nodes.kill(leader, "node");
          await nodes.start(leader).catch(() => {});
          await live.settled();
        });
        await writer.next();
        await writer.stop();
        await nothingLost(writer);
      }, 300_000);

      test("with fence a leader that stands still is killed, and then followed", async () => {
        const nodes = await live.nodes();
        const leader = await live.settled();
        const said = await guarded(["--fence"], async () => {
          await nodes.freeze(leader);
          await until(
            () => live.writable(),
            ([now, more]) => now !== undefined && now !== leader && more === undefined,
            60_000,
          );
          await live.settled();
        });
        expect(acted(said).join()).toMatch(/killed.*released.*held/);
        expect(await live.settled()).not.toBe(leader);
      }, 300_000);

      test("all nodes are killed at once: it starts again, and no acknowledged row is lost", async () => {
        const writer = await startWriter(live.writer());
        await writer.next();
        const leader = await live.settled();
        const nodes = await live.nodes();
        const all = (await nodes.list()).map(({ node }) => node);
        await Promise.all(all.map((node) => nodes.kill(node, "node").catch(() => {})));
        await writer.stop();
        // Whoever has killed them keeps them down, as a lost power supply does.
        for (const node of all) await nodes.fence(node);
        const { first } = await live.well("cluster", "start");
        expect(first).toBe(leader);
        await nothingLost(writer);
      }, 300_000);

      test("after all these failovers it goes back in place: exactly what was before the moment, all stream, it archives, and clients write", async () => {
        const leader = await live.settled();
        const asked = (sql: string) => live.ask(leader, sql);
        await archives(leader);
        await asked("create table kept as select 1 as id");
        const [[moment]] = (await asked("select clock_timestamp()::text")) as [[string]];
        await asked("insert into kept values (2)");
        await asked("drop table kept");
        const words = ["backup", "restore", "--in-place", "--target-time", moment];
        const waits = await live.run(...words);
        expect([waits.exit, waits.envelope.error?.code]).toEqual([4, "approval_needed"]);
        const id = runId(waits);
        // It dies in the middle of it, and the next process goes on.
        const answered = ["resume", id, `--confirm=${live.name}`];
        await live.killedAt("acted placed/placed/swapped", ...answered);
        expect(await live.writable()).toEqual([]);
        const { node, before, standbys } = await live.well("resume", id);
        expect([node, before]).toEqual([leader, `/var/lib/pgdba/data.before-${id}`]);
        expect(standbys.toSorted()).toEqual(live.servers().filter((one) => one !== leader));
        expect(await live.settled()).toBe(leader);
        expect(await asked("select id from kept")).toEqual([[1]]);
        await archives(leader);
        const writer = await startWriter(live.writer());
        await writer.next();
        expect(await writer.stop()).toMatchObject({ failed: 0, unknown: 0 });
        const sure = await live.run("backup", "restore-confirm", leader);
        expect((await live.well("resume", runId(sure), `--confirm=${live.name}`)).removed).toBe(
          before,
        );
      }, 900_000);

      test("a drill brings its newest backup up, and with the cluster down its backups are listed", async () => {
        expect(await archives(await live.settled())).not.toBe("00000002");
        const { backup_id, rto_seconds } = await live.well("backup", "drill");
        expect(rto_seconds).toBeGreaterThan(0);
        await live.well("cluster", "stop");
        const list = await live.well("backup", "list");
        expect(list.backups[0]).toMatchObject({ id: backup_id, status: "drilled" });
        // Two by hand, and at least one by the clock.
        expect(list.backups.length).toBeGreaterThan(2);
        expect(new Set(list.backups.slice(1).map(({ status }: any) => status))).toEqual(
          new Set(["verified"]),
        );
        taken = list.backups.length;
        await live.well("cluster", "start");
      }, 300_000);

      test("it is destroyed only by its name, with all that belongs to it", async () => {
        const unnamed = await live.run("cluster", "destroy");
        expect(unnamed.envelope.error).toMatchObject({ code: "approval_needed" });
        // Planned work is no death: a guard waits for its end, and then ends, too.
        const guard = live.begin("failover", "guard");
        await guard.said("start dead");
        // Killed when all is gone, and nothing of that is on record.
        const { image } = (await (await live.nodes()).list()).find(({ roles }) =>
          roles.includes("postgres"),
        )!.place;
        const words = [`--confirm=${live.name}`];
        const run = await live.killedAt("acted removed", "cluster", "destroy", ...words);
        expect(live.entry()).toBeDefined();
        await live.well("resume", run);
        const ended = await guard.done();
        expect(ended.envelope.error).toMatchObject({ code: "no_target" });
        expect(ended.stderr).not.toMatch(/^start \S*(released|killed|again)/m);
        expect(live.entry()).toBeUndefined();
        expect(await (await live.nodes()).list()).toEqual([]);
        // A last backup was taken before, and all of them outlive the cluster.
        const find = ["find", "/backups", "-path", "*/record/*.json"];
        const mount = ["-v", `${backups}:/backups`, "--entrypoint", find[0]!];
        const records = await docker("run", "--rm", ...mount, String(image), ...find.slice(1));
        expect(records.split("\n").length).toBe(taken + 1);
      }, 300_000);
    },
  );
}
