import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import type { JsonObject } from "../../../../engine/types.ts";
import { flat } from "../../../../steps/health/findings/findings.ts";
import { clientOf, type TestServer, type Version } from "../../../support/postgres.ts";
import { examine, libraryWithoutCauses, type Report, until } from "../support.ts";
import { carryOut } from "./remedies.ts";
import { statementsOf } from "./statements.ts";
import type { Trial, Where, World } from "./trial.ts";

export interface Scene {
  name: string;
  versions: readonly Version[];
  trials: readonly Trial[];
  /** The server and, when there is a second, its standby. */
  start(version: Version): Promise<TestServer[]>;
  /** What the healthy server has, and must not be found: each in a session of its own, whose figures count when it ends. */
  healthy?: string[];
  /** Done when all is planted, such as a restart. */
  planted?(world: World): Promise<unknown>;
  /** Why it can't be played here. */
  missing?: string | null;
}

/**
 * Plays all trials of a scene at once: the healthy server must give no finding of these checks, then all problems are planted, exactly
 * these must be found, the remedies are done, and none must be left.
 */
export function play(scene: Scene): void {
  const { name, versions, missing = null } = scene;
  describe.skipIf(missing !== null).each([...versions])(
    `${name} in PostgreSQL %d${missing === null ? "" : ` (${missing})`}`,
    (version) => {
      const trials = scene.trials.filter(
        ({ from = 13, to = 99 }) => version >= from && version <= to,
      );
      const only = [...new Set(trials.map(({ check }) => check))];
      let played: Played;
      let end: () => Promise<void>;

      beforeAll(async () => {
        const servers = await scene.start(version);
        const { world, close } = worldOf(servers);
        end = async () => {
          await close();
          for (const server of servers.toReversed()) await server.stop();
        };
        played = await playAll(world, scene, trials);
      }, 300_000);
      afterAll(() => end?.());

      test("every check could be run", () => {
        for (const report of [played.before, played.planted, played.after]) {
          expect(report.errors).toEqual([]);
          expect(report.skipped).toEqual([]);
        }
      });
      test.each(only)("%s", async (check) => {
        const { world, before, planted, after } = played;
        const mine = trials.filter((trial) => trial.check === check);
        const wanted = mine.flatMap(({ finds }) => (Array.isArray(finds) ? finds : finds(world)));
        expect({ healthy: linesOf(before, check) }).toEqual({ healthy: [] });
        expect({ planted: linesOf(planted, check) }).toEqual({ planted: wanted.toSorted() });
        if (mine.every(isUntried)) return;
        expect({ mended: linesOf(after, check) }).toEqual({ mended: [] });
        for (const { leaves } of mine) await leaves?.(world);
      });
    },
  );
}

interface Played {
  world: World;
  before: Report;
  planted: Report;
  after: Report;
}

async function playAll(world: World, scene: Scene, trials: readonly Trial[]): Promise<Played> {
  const look = () => lookAt(world, trials);
  for (const sql of scene.healthy ?? []) await world.query(sql);
  const before = await look();
  for (const { plant } of trials)
    if (typeof plant !== "string") await plant(world);
    else if (plant !== "") await world.query(plant);
  await scene.planted?.(world);
  const names = new Set(trials.map(({ check }) => check));
  const wanted = trials.flatMap(({ check, finds }) =>
    (Array.isArray(finds) ? finds : finds(world)).map((line) => `${check} ${line}`),
  );
  const planted = await until(look, (report) => {
    const found = [...names].flatMap((check) =>
      linesOf(report, check).map((line) => `${check} ${line}`),
    );
    return found.toSorted().join("\n") === wanted.toSorted().join("\n");
  });
  const mended = trials.filter((trial) => !isUntried(trial));
  let report = planted;
  // What stands in the way of a remedy is a remedy of its own, after which the finding tells more.
  for (let told = new Set<string>(), rounds = 0; rounds < 3; rounds++) {
    const fresh = flat(report.findings).filter(
      ({ check, object, remedy }) => !told.has(JSON.stringify([check, object, remedy])),
    );
    await carryOut(world, mended, fresh, rounds === 0);
    for (const { check, object, remedy } of fresh)
      told.add(JSON.stringify([check, object, remedy]));
    report = await look();
  }
  for (const { again } of trials) await again?.(world);
  const after = await until(look, (report) =>
    mended.every(({ check }) => linesOf(report, check).length === 0),
  );
  return { world, before, planted, after };
}

/** The reports of the server and of its standby as one, each with the checks that are tried there. */
async function lookAt(world: World, trials: readonly Trial[]): Promise<Report> {
  const reports: Report[] = [];
  for (const on of [undefined, "standby"] as const) {
    const here = trials.filter((trial) => trial.on === on);
    if (here.length === 0) continue;
    const thresholds: JsonObject = {};
    for (const { check, thresholds: own = {} } of here) {
      const values = typeof own === "function" ? await own(world) : own;
      thresholds[check] = { ...(thresholds[check] as JsonObject), ...values };
    }
    const only = Object.keys(thresholds);
    reports.push(
      await world.examine({ only, thresholds }, on === undefined ? world.server : world.standby),
    );
  }
  const [first] = reports as [Report];
  const all = <K extends "findings" | "errors" | "skipped">(key: K) =>
    reports.flatMap((report) => report[key] as unknown[]) as Report[K];
  return { ...first, findings: all("findings"), errors: all("errors"), skipped: all("skipped") };
}

function isUntried({ remedy }: Trial): boolean {
  return remedy !== undefined && "untried" in remedy;
}

function linesOf({ findings }: Report, check: string): string[] {
  return flat(findings)
    .filter((finding) => finding.check === check)
    .map(({ severity, object }) => (object === null ? severity : `${severity} ${object}`))
    .toSorted();
}

function worldOf(servers: TestServer[]): { world: World; close(): Promise<void> } {
  const [server, standby = server] = servers as [TestServer];
  const clients: Client[] = [];
  const connect = (where: Where = {}): Promise<Client> => {
    const { server: at = server, database = "postgres", user = "postgres" } = where;
    // A standby has the roles of its primary.
    return clientOf({ ...at, user, password: where.password ?? server.password }, database);
  };
  const world: World = {
    server,
    standby,
    notes: {},
    async query(sql, where) {
      const client = await connect(where);
      try {
        let rows: any[] = [];
        for (const statement of statementsOf(sql)) ({ rows } = await client.query(statement.sql));
        return rows;
      } finally {
        await client.end();
      }
    },
    async open(where) {
      const client = await connect(where);
      clients.push(client);
      return client;
    },
    examine: (input, at = server) =>
      examine({ ...at, password: server.password }, input, libraryWithoutCauses()),
  };
  return {
    world,
    async close() {
      for (const client of clients) await client.end().catch(() => {});
    },
  };
}
