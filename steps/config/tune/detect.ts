import type { StepContext } from "../../../engine/types.ts";
import { nodeMachine } from "../../node-files.ts";
import type { Os, Recommendation } from "./input.ts";
import { grantsToRead, localMachine, remoteMachine, roundKb } from "../../../providers/machine.ts";
import { readSettings, type Setting } from "../../../providers/postgres/settings.ts";
import { humanValue, readValue } from "../../../providers/postgres/setting-value.ts";

/** The facts from the server and, where it can be asked, from its machine. */
export interface Detected {
  version: number;
  memoryKb: number | null;
  cpus: number | null;
  connections: number | null;
  os: Os;
  settings: ReadonlyMap<string, Setting>;
  /** The GRANTs that would let the role ask for the machine. */
  grants: string;
}

/** Asks the target; null without one. */
export async function detect(ctx: StepContext): Promise<Detected | null> {
  const { state } = await ctx.target.facts();
  if (state === "none") return null;
  const postgres = await ctx.use("postgres");
  const pg = await postgres.session();
  const settings = await readSettings(pg, ctx.signal);
  const { rows } = await pg.ask("SELECT version() AS built", [], { signal: ctx.signal });
  const machine =
    (await nodeMachine(ctx)) ??
    (await localMachine(pg, postgres.spec.host)) ??
    (await remoteMachine(pg, ctx.signal));
  return {
    version: Math.floor(pg.info.version_num / 10_000),
    memoryKb: machine?.memoryKb == null ? null : roundKb(machine.memoryKb),
    cpus: machine?.cpus ?? null,
    connections: Number(settings.get("max_connections")?.setting) || null,
    os: osOf(String(rows[0]?.["built"])),
    settings,
    grants: grantsToRead(pg.info.user),
  };
}

/** By the platform in `version()`, as configure names it. */
function osOf(built: string): Os {
  if (/apple|darwin/i.test(built)) return "mac";
  return /mingw|visual c|msvc|windows/i.test(built) ? "windows" : "linux";
}

/** The value to take instead where a build lacks the best one. */
const INSTEAD: Record<string, { lacks: string; value: string }> = {
  wal_compression: { lacks: "lz4", value: "on" },
  io_method: { lacks: "io_uring", value: "worker" },
};

/** The recommendations that this server can follow: choices its build lacks are replaced, names it does not know are left out. */
export function withinBuild<R extends Recommendation>(
  recommended: readonly R[],
  settings: ReadonlyMap<string, Setting>,
): { settings: R[]; said: string[] } {
  const said: string[] = [];
  const kept = recommended.flatMap((one): R[] => {
    const setting = settings.get(one.name);
    if (setting === undefined) {
      said.push(`${one.name} is left out: this server does not have it.`);
      return [];
    }
    const read = readValue(setting, String(one.value));
    if ("value" in read) return [one];
    const instead = INSTEAD[one.name];
    if (instead !== undefined && one.value === instead.lacks) {
      said.push(
        `This server is built without ${instead.lacks}: ${one.name} is ${instead.value} instead.`,
      );
      return [
        {
          ...one,
          value: instead.value,
          reason: `${one.reason} This server is built without ${instead.lacks}, so ${instead.value}.`,
        },
      ];
    }
    const [limit] = [setting.max_val].flatMap((max) =>
      max === null ? [] : [humanValue(setting, max)],
    );
    if (limit === undefined) {
      said.push(`${one.name} is left out: this server refuses ${one.value} (${read.problem}).`);
      return [];
    }
    said.push(`${one.name} is ${limit}, the most this server accepts, instead of ${one.value}.`);
    return [{ ...one, value: limit }];
  });
  return { settings: kept, said };
}
