/** The whole life of a cluster, by the command line, at each place that has nodes of its own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { docker, dockerMissing } from "../support/docker.ts";
import { Live } from "../support/live.ts";
import { until } from "../support/rehearsed.ts";
import { startWriter } from "../support/writer.ts";
import { removePlaces } from "./support.ts";

const PLACES = [{ provider: "docker", missing: dockerMissing() }];

for (const { provider, missing } of PLACES) {
  describe.skipIf(missing !== null)(
    `a cluster on ${provider}${missing === null ? "" : ` (${missing})`}`,
    () => {
      const live = new Live(provider);
      let made: any;

      beforeAll(async () => {
        made = await live.init("--rto", "fast");
      }, 900_000);
      afterAll(async () => {
        if (live.entry() !== undefined) await live.destroy();
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
      }, 120_000);

      test("a standby is added, and one is removed; the primary is not", async () => {
        const { added } = await live.well("replica", "add");
        expect(added).toBe("pg4");
        expect(await live.streaming("pg1")).toEqual(["pg2", "pg3", "pg4"]);
        expect((await live.run("replica", "remove", "pg1")).envelope.error).toMatchObject({
          code: "assertion_failed",
        });
        await live.well("replica", "remove", "pg4");
        expect(live.servers().toSorted()).toEqual(["pg1", "pg2", "pg3"]);
        expect(await live.streaming("pg1")).toEqual(["pg2", "pg3"]);
        expect((await (await live.nodes()).list()).map(({ node }) => node)).not.toContain("pg4");
      }, 240_000);

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
        await writer.next();
        expect(await writer.stop()).toMatchObject({ failed: 0, unknown: 0, refused: 0 });
        await nothingLost(writer);
        await live.well("failover", "rollback", "--run", run.id);
        expect(await live.settled()).toBe("pg1");
      }, 240_000);

      // PgBouncer has looked pg2 up when it led.
      test("a member that comes back with another address gets its clients when it leads", async () => {
        const nodes = await live.nodes();
        await nodes.stop("pg2", "fast");
        const filter = `label=pgdba.cluster=${live.name}`;
        const network = await docker("network", "ls", "-q", "--filter", filter);
        const addressOf = (container: string) => {
          const address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
          return docker("inspect", "-f", address, container);
        };
        // Whoever comes first gets what is free.
        const image = await docker("inspect", "-f", "{{.Config.Image}}", `${live.name}-pg1`);
        const sleeps = ["--entrypoint", "sleep", image, "600"];
        const other = await docker("run", "-d", "--rm", "--network", network, ...sleeps);
        try {
          await nodes.start("pg2");
          expect(await addressOf(`${live.name}-pg2`)).not.toBe(await addressOf(other));
        } finally {
          await docker("kill", other);
        }
        const writer = await startWriter(live.writer());
        await live.settled();
        await live.well("failover", "trigger", "--target", "pg2");
        await writer.next(20_000);
        expect(await writer.stop()).toMatchObject({ failed: 0, unknown: 0, refused: 0 });
        await nothingLost(writer);
        await live.well("failover", "trigger", "--target", "pg1");
      }, 120_000);

      test("what a DBA asks for is told of all of it, and the health check of a member", async () => {
        // Patroni lists a member that was removed until its key has run out.
        const { leader, findings } = await until(
          () => live.well("cluster", "status"),
          ({ members }) => members.length === 3,
          60_000,
        );
        expect(leader).toBe("pg1");
        expect(findings.map((one: any) => one.severity)).not.toContain("critical");
        const { envelope } = await live.run("health", "check", "--host", "pg2");
        expect(envelope.data).toMatchObject({ server: { role: "standby" } });
      }, 120_000);

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
      }, 240_000);

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

      test("it is destroyed only by its name, with all that belongs to it", async () => {
        const unnamed = await live.run("cluster", "destroy", `--without-backup=${live.name}`);
        expect(unnamed.envelope.error).toMatchObject({ code: "approval_needed" });
        const { envelope } = await live.destroy();
        expect(envelope.error).toBeNull();
        expect(live.entry()).toBeUndefined();
        expect(await (await live.nodes()).list()).toEqual([]);
      }, 240_000);
    },
  );
}
