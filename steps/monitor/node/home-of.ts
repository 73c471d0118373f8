/** What a node that monitors is given of its cluster: an entry as it is reached from there, whom to ask, and by which ways. */
import { readText } from "../../../engine/shared/read-file.ts";
import type { JsonObject, StepContext } from "../../../engine/types.ts";
import type { ClusterEntry } from "../../../providers/registry/read.ts";
import { placeHere } from "../../../providers/registry/repository.ts";
import { keyOfStore } from "../../backup/archive/kept-key.ts";
import { MONITOR_ACCOUNT } from "../account.ts";
import { authoritiesOf, entryBeside, secureOf, watchedBeside } from "./home-beside.ts";
import { entryThere, watchedIn } from "./home.ts";
import { AUTHORITY, HOME, type Ports, TARGETS } from "./places.ts";
import type { Secure } from "./prometheus.ts";
import { targetFiles, type Watched } from "./targets.ts";

/** What differs between a node of the cluster and one beside it. */
export interface Home {
  entry: JsonObject;
  watched: Watched;
  /** More files that the entry there names, by path. */
  beside: ReadonlyMap<string, string>;
  secure: Secure;
  /** As libpq has them. */
  options: Record<string, string>;
  bind: string;
}

/** @throws PgdbaError step_refused: the entry does not say enough */
export async function homeOf(
  ctx: StepContext,
  entry: ClusterEntry,
  isBeside: boolean,
): Promise<Home> {
  const { name: cluster, data } = entry;
  const store = storeOf(ctx, entry);
  if (isBeside) {
    const { files, at } = authoritiesOf(entry);
    return {
      entry: entryBeside(entry, at),
      watched: watchedBeside(entry),
      beside: new Map([...files, ...store]),
      secure: secureOf(entry, at),
      options: await spoken(ctx, entry, at.postgres),
      bind: "127.0.0.1",
    };
  }
  const isTls = data.tls !== undefined;
  return {
    entry: entryThere(cluster, data),
    watched: watchedIn(cluster, data),
    beside: store,
    secure: isTls ? { patroni: AUTHORITY, etcd: AUTHORITY } : {},
    options: isTls ? { sslmode: "verify-full", sslrootcert: AUTHORITY } : { sslmode: "disable" },
    bind: "0.0.0.0",
  };
}

/** The exporters know no `prefer` and no `allow`: what such a connection has come to is what they ask for. */
export async function spoken(
  ctx: StepContext,
  { spec }: ClusterEntry,
  sslrootcert: string | undefined,
): Promise<Record<string, string>> {
  const sslmode = spec?.sslmode ?? "prefer";
  if (sslmode === "disable" || sslmode === "require") return { sslmode };
  if (sslmode.startsWith("verify"))
    return { sslmode, ...(sslrootcert === undefined ? {} : { sslrootcert }) };
  const pg = await ctx.use("postgres");
  const { rows } = await pg.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
  return { sslmode: rows[0]?.["ssl"] === true ? "require" : "disable" };
}

/** The key to an object store of backups, and its authority. */
function storeOf(ctx: StepContext, entry: ClusterEntry): Map<string, string> {
  const files = new Map<string, string>();
  const place = entry.data.repository && placeHere(entry, entry.data.repository);
  if (place?.kind !== "object_store") return files;
  files.set(`${HOME}/keys/repository`, `${keyOfStore(ctx, place)}\n`);
  if (place.cafile !== undefined)
    files.set(`${HOME}/keys/repository.ca`, readText(place.cafile, { maxBytes: 1024 * 1024 }));
  return files;
}

/** What pgdba reads there when it starts. */
const OF_PGDBA = [`${HOME}/clusters/`, `${HOME}/keys/`];

export const isOfPgdba = (path: string): boolean =>
  OF_PGDBA.some((folder) => path.startsWith(folder));

export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Whom it watches: the entry and the files of targets, by path. */
export function watchedFiles(
  cluster: string,
  { entry, watched, beside }: Home,
  node: string,
  ports: Ports,
): Map<string, string> {
  return new Map([
    [`${HOME}/clusters/${cluster}.yaml`, json(entry)],
    ...beside,
    ...Object.entries(targetFiles(watched, node, ports)).map(([job, groups]): [string, string] => [
      `${TARGETS}/${job}.json`,
      json(groups),
    ]),
  ]);
}

/** The users whose passwords the node has, by what they are for. A PgBouncer that pgdba did not make knows only the user that its entry names. */
export function accountsThere(
  { data, pgbouncer }: ClusterEntry,
  isBeside: boolean,
): Record<string, string> {
  const isNamed = isBeside && Object.keys(pgbouncer?.passwordNames ?? {}).length > 0;
  const users = {
    [MONITOR_ACCOUNT]: data.accounts?.[MONITOR_ACCOUNT]?.user,
    pgbouncer_admin: isNamed ? pgbouncer?.user : undefined,
  };
  return Object.fromEntries(
    Object.entries(users).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}
