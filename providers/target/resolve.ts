import type {} from "./access.ts";
import type { Target } from "../../engine/types.ts";
import { AbsentTarget } from "./absent.ts";
import { onlyCluster, unknownCluster } from "../registry/folder.ts";
import { clusterSource } from "./cluster.ts";
import { environmentSource } from "./environment.ts";
import type { TargetOptions } from "./options.ts";
import { PostgresTarget } from "./postgres.ts";
import type { TargetSource } from "./source.ts";

/**
 * The target of a run: `--cluster`, a member of a registered cluster that `--host` means, else flags, then PGDBA_PG_*, then PG*, field by
 * field. Nothing given is the only cluster that is registered, for a run that `assumes`, and otherwise a target without a connection. Does
 * not connect, except that `--cluster lab` starts the lab.
 * @throws PgdbaError invalid_config | invalid_param | missing_secret (a file named by the environment that can't be read)
 */
export async function resolveTarget(options: TargetOptions): Promise<Target> {
  const { flags, env, onSecret } = options;
  // Also when this run does not use them: the programs it starts inherit them, and may print them.
  for (const name of ["PGDBA_PG_PASSWORD", "PGPASSWORD"]) if (env[name]) onSecret(env[name]);
  if (flags.host !== undefined) {
    const { memberSource } = await import("./member.ts");
    const member = await memberSource(options);
    if (member !== undefined) return new PostgresTarget(withKnown(member, options));
  }
  if (flags.cluster !== undefined) return clusterTarget(flags.cluster, options);
  const source = environmentSource(options);
  if (source !== null) return new PostgresTarget(withKnown(source, options));
  const only = options.assumes === true ? await onlyCluster(options.stateDir) : null;
  return only === null ? NONE : clusterTarget(only, options, true);
}

/** The cluster of that name; one that is not in the registry is absent. */
async function clusterTarget(
  name: string,
  options: TargetOptions,
  assumed = false,
): Promise<Target> {
  /** Only once: a run that stops the lab does not want to see it started again. */
  let starts = options.resumes !== true;
  const read = async (): Promise<TargetSource | undefined> => {
    const source = await clusterSource(name, options, starts);
    starts = false;
    return source && withKnown({ ...inDatabase(source, options), assumed }, options);
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

/** A cluster is reached in the database of its entry, or in the one that is named. */
function inDatabase(source: TargetSource, { flags: { database } }: TargetOptions): TargetSource {
  const flags = ["--cluster", source.name];
  if (!database) return { ...source, flags };
  return {
    ...source,
    spec: { ...source.spec, database },
    flags: [...flags, "--database", database],
  };
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
