import type {} from "./access.ts";
import type { Target } from "../../engine/types.ts";
import { clusterSource } from "./cluster.ts";
import { environmentSource } from "./environment.ts";
import { PostgresTarget } from "./postgres.ts";

export type { PgConnection } from "./postgres.ts";

export interface TargetFlags {
  cluster?: string | undefined;
  host?: string | undefined;
  port?: string | number | undefined;
  user?: string | undefined;
  database?: string | undefined;
}

export interface TargetOptions {
  flags: TargetFlags;
  env: Readonly<Record<string, string | undefined>>;
  stateDir: string;
  /** Told of every password before it is used. */
  onSecret(value: string): void;
  /** Told of what takes a while, such as the first start of the lab. */
  log?(message: string): void;
  /** The nearest of `candidates`, for "did you mean". */
  suggest?(word: string, candidates: Iterable<string>): string | undefined;
}

/**
 * What a run works on: `--cluster`, else flags, then PGDBA_PG_*, then PG*, field by field; nothing given is a target without a
 * connection. Does not connect, except that `--cluster lab` starts the lab.
 * @throws PgdbaError invalid_config | invalid_param | missing_secret (naming every variable that is missing) | no_target
 */
export async function resolveTarget(options: TargetOptions): Promise<Target> {
  const { flags, env, onSecret } = options;
  // Whether this run uses them or not: the programs it starts inherit them, and may print them.
  for (const name of ["PGDBA_PG_PASSWORD", "PGPASSWORD"]) if (env[name]) onSecret(env[name]);
  const source =
    flags.cluster === undefined
      ? environmentSource(options)
      : {
          ...(await clusterSource(flags.cluster, options)),
          flags: ["--cluster", flags.cluster],
        };
  if (source === null) return NONE;
  return new PostgresTarget({
    ...source,
    async known(session, identity) {
      const { knownServers } = await import("./known.ts");
      return knownServers(session, identity, source, options);
    },
  });
}

/** For runbooks that need no server. */
const NONE: Target = {
  name: "none",
  cluster: null,
  labels: [],
  ownership: "none",
  expectedIdentity: null,
  facts: async () => ({ state: "none", identity: null, capabilities: [], facts: {} }),
  connection: null,
  close: async () => {},
};
