import type {} from "./access.ts";
import type { Target } from "../../engine/types.ts";
import { clusterSource } from "./cluster.ts";
import { environmentSource } from "./environment.ts";
import type { TargetOptions } from "./options.ts";
import { PostgresTarget } from "./postgres.ts";

export type { PgConnection } from "./postgres.ts";

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
