import type {} from "./access.ts";
import type { Target } from "../../engine/types.ts";
import { AbsentTarget } from "./absent.ts";
import { unknownCluster } from "../registry/folder.ts";
import { clusterSource } from "./cluster.ts";
import { environmentSource } from "./environment.ts";
import type { TargetOptions } from "./options.ts";
import { PostgresTarget } from "./postgres.ts";
import type { TargetSource } from "./source.ts";

/**
 * The target of a run: `--cluster`, else flags, then PGDBA_PG_*, then PG*, field by field; nothing given is a target without a
 * connection. Does not connect, except that `--cluster lab` starts the lab.
 * @throws PgdbaError invalid_config | invalid_param | missing_secret (a file named by the environment that can't be read)
 */
export async function resolveTarget(options: TargetOptions): Promise<Target> {
  const { flags, env, onSecret } = options;
  // Also when this run does not use them: the programs it starts inherit them, and may print them.
  for (const name of ["PGDBA_PG_PASSWORD", "PGPASSWORD"]) if (env[name]) onSecret(env[name]);
  if (flags.cluster !== undefined) return clusterTarget(flags.cluster, options);
  const source = environmentSource(options);
  return source === null ? NONE : new PostgresTarget(withKnown(source, options));
}

/** The cluster of that name; one that is not in the registry is absent. */
async function clusterTarget(name: string, options: TargetOptions): Promise<Target> {
  /** Only once: a run that stops the lab does not want to see it started again. */
  let starts = options.resumes !== true;
  const read = async (): Promise<TargetSource | undefined> => {
    const source = await clusterSource(name, options, starts);
    starts = false;
    return source && withKnown({ ...source, flags: ["--cluster", name] }, options);
  };
  const find = async (): Promise<Target | undefined> => {
    const source = await read();
    return source && new PostgresTarget(source, read);
  };
  return (
    (await find()) ??
    new AbsentTarget(name, await unknownCluster(options.stateDir, name, options.suggest), find)
  );
}

function withKnown(source: TargetSource, options: TargetOptions): TargetSource {
  return {
    ...source,
    async known(session, identity) {
      const { knownByEntry, knownServers } = await import("./known.ts");
      return session === null
        ? knownByEntry(source, options)
        : knownServers(session, identity, source, options);
    },
  };
}

/** For runbooks that need no server. */
const NONE: Target = {
  name: "none",
  cluster: null,
  labels: [],
  ownership: "none",
  expectedIdentity: null,
  facts: async () => ({ state: "none", identity: null, capabilities: [], facts: {} }),
  close: async () => {},
};
