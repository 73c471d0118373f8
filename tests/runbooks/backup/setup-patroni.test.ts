/** Archiving of a cluster that was connected: nobody provides its hosts, and Patroni runs it on this machine. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { startWorld, type World } from "../../steps/patroni/support.ts";
import { patroniMissing } from "../../support/patroni.ts";
import { Running } from "../../e2e/support.ts";
import { until } from "../../support/rehearsed.ts";
import { type Ended, pgdba } from "../config/cli.ts";
import { PGDBA_SOURCE } from "../../support/source.ts";

const missing = patroniMissing();

describe.skipIf(missing !== null)(
  `backup setup on a real Patroni${missing === null ? "" : ` (${missing})`}`,
  () => {
    let world: World;
    const base = mkdtempSync(join(tmpdir(), "pgdba-setup-"));
    // The servers' user must get to it.
    chmodSync(base, 0o711);
    beforeAll(async () => {
      world = await startWorld(2);
    }, 300_000);
    afterAll(async () => {
      await world?.end();
      rmSync(base, { recursive: true, force: true });
    });
    const run = (...args: string[]): Promise<Ended> =>
      pgdba([...args, "--cluster", "pat", "--quiet"], { PGDBA_HOME: world.home, ...world.env });

    test("WAL is received by a slot that Patroni keeps on whoever leads, and nothing is missing after the role has moved", async () => {
      const folder = join(base, "backups");
      const env = { PATH: process.env["PATH"]!, HOME: base, PGDBA_SOURCE, ...world.env };
      const place = {
        root: base,
        cwd: base,
        home: world.home,
        env: { ...env, PGDBA_HOME: world.home },
      };
      const words = ["--repository", folder, "--archive-timeout", "1s", "--cluster", "pat"];
      const receiver = new Running(["backup", "receive", ...words], place, { limitMs: 300_000 });
      try {
        await receiver.said("streaming from");
        expect((await world.cluster.get("/config")).slots).toHaveProperty("pgdba_receive");
        expect((await run("backup", "create")).envelope.error).toBeNull();
        const moved = await run("failover", "trigger", "--yes");
        expect(moved.envelope.error).toBeNull();
        const whole = await until(
          async () => (await run("backup", "gaps")).envelope.data,
          ({ timeline, receiver: it, gaps, histories }) =>
            timeline === 2 && it?.active === true && gaps.length + histories.length === 0,
          120_000,
        );
        expect(whole.continuous).toBe(true);
      } finally {
        receiver.signal("SIGTERM");
      }
      expect((await receiver.ended()).exit).toBe(0);
      expect((await run("backup", "receive-off", "--yes")).envelope.error).toBeNull();
      expect((await world.cluster.get("/config")).slots ?? {}).not.toHaveProperty("pgdba_receive");
    }, 300_000);

    test("all members archive by the dynamic configuration, and the cluster gets an id", async () => {
      const folder = join(base, "backups");
      const { envelope } = await run(
        "backup",
        "setup",
        "--repository",
        folder,
        "--restart",
        "--yes",
      );
      expect(envelope.error).toBeNull();
      const { data } = envelope;
      expect(data.members).toHaveLength(2);
      for (const one of data.members)
        expect(one).toMatchObject({ archive_mode: "on", archiver: "pgdba", archive_timeout: 60 });
      const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
      expect(names.some((name) => name.endsWith(`${data.segment}.zst`))).toBe(true);
      const entry = parse(readFileSync(join(world.home, "clusters", "pat.yaml"), "utf8"));
      expect(data.part).toEndWith(`/${entry.cluster_id}`);
      expect(entry.cluster_id.length).toBeGreaterThan(20);
      const config = await world.cluster.get("/config");
      expect(config.postgresql.parameters.archive_mode).toBe("on");
    }, 300_000);
  },
);
