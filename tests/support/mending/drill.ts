/** What is killed, where, and at which of its moments. */
import { binariesOf, debianWithRepack } from "../debian.ts";
import { startServer, type Version } from "../postgres.ts";
import { cloneInto } from "../standby.ts";
import { OTHERS } from "./acts-others.ts";
import { TABLES } from "./acts-tables.ts";
import { Scene } from "./scene.ts";
import type { Act } from "./trial.ts";

export const ACTS: Record<string, Act> = { ...TABLES, ...OTHERS };

const SETTINGS = {
  wal_level: "logical",
  autovacuum: "off",
  max_prepared_transactions: 4,
  max_replication_slots: 8,
  max_wal_senders: 8,
  wal_retrieve_retry_interval: "200ms",
};

/** The versions that acts are tried on; Debian's is told by its word. */
export type Place = Version | "debian";

export const belongs = (act: Act, place: Place): boolean =>
  (act.on === "debian") === (place === "debian");

/** A server for these acts, with a standby where one of them needs it. @throws Error when Debian's is not here */
export async function openScene(place: Place, acts: readonly Act[]): Promise<Scene> {
  if (place === "debian") {
    const debian = debianWithRepack();
    if (typeof debian === "string") throw new Error(debian);
    const { version } = debian;
    return new Scene(
      await startServer({ version, binaries: binariesOf(debian), settings: SETTINGS }),
    );
  }
  const server = await startServer({ version: place, settings: SETTINGS });
  if (!acts.some(({ at }) => at === "standby")) return new Scene(server);
  const prepare = (dir: string) => cloneInto(dir, server);
  const standby = await startServer({ version: place, settings: SETTINGS, prepare });
  standby.password = server.password;
  return new Scene(server, standby);
}

/** The same numbers for the same seed (mulberry32). */
function numbers(from: number): () => number {
  let state = from * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** All moments of steps, and some of statements: those in the middle of a long one before others. */
export function drawn(moments: readonly string[], statements: number, seed: number): string[] {
  const chance = numbers(seed);
  const of = (pattern: RegExp, most: number): string[] => {
    const some = moments.filter((moment) => pattern.test(moment));
    while (some.length > most) some.splice(Math.floor(chance() * some.length), 1);
    return some;
  };
  const amid = of(/^(amid|running) /, Math.ceil(statements / 2));
  const more = of(/^(telling|told) /, statements);
  return moments.filter(
    (moment) =>
      /^(started|acted|ended) /.test(moment) || amid.includes(moment) || more.includes(moment),
  );
}
