/** The cluster whose backups a new one is made from: one of the registry, up, down or half gone, or a part of a repository that is all that is left. */
import { resolve } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { Source } from "../../../providers/backup/holdings.ts";
import { parseOrigin } from "../../../providers/backup/origins.ts";
import { clusterFile, unknownCluster } from "../../../providers/registry/folder.ts";
import { type ClusterEntry, readClusterFile } from "../../../providers/registry/read.ts";
import { placeOf, sourceOfRepository } from "../../../providers/registry/repository.ts";
import { CLUSTER_PARTS, type ClusterFile } from "../../../providers/registry/schema.ts";
import type { Repository } from "../../../providers/repository/contract.ts";
import type { ClusterKey } from "../../../providers/repository/layout.ts";
import { openRepository, readingOnly } from "../../../providers/repository/open.ts";
import type { RepositoryAccess } from "../../../providers/target/repository-access.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { givenKey } from "../archive/kept-key.ts";

type Place = NonNullable<ClusterFile["repository"]>;

/** What `backup.origin` gives, and other steps take. It holds no secret. */
export interface Origin {
  /** Of the registry; null where only the repository is known. */
  cluster: string | null;
  /** As an entry names it, without a key. Files are named in full. */
  repository: Place;
  system_identifier: string;
  version: number;
  cluster_id: string;
  /** Those of a copy itself. */
  origins: string[];
  /** The variable with the key to an object store, where no cluster of the registry has it. */
  key_env: string | null;
  superuser: string | null;
  /** Where its nodes live or lived, and how many of them keep its state and let clients in. */
  provider: string | null;
  etcd: number;
  poolers: number;
}

export const ORIGIN = {
  type: ["object", "null"],
  additionalProperties: true,
  required: ["repository", "system_identifier", "version", "cluster_id", "origins"],
  properties: {
    cluster: { type: ["string", "null"] },
    repository: CLUSTER_PARTS.repository,
    system_identifier: { type: "string" },
    version: { type: "integer" },
    cluster_id: { type: "string" },
    origins: { type: "array", items: { type: "string" } },
    key_env: { type: ["string", "null"] },
    superuser: { type: ["string", "null"] },
    provider: { type: ["string", "null"] },
    etcd: { type: "integer" },
    poolers: { type: "integer" },
  },
  description:
    "The cluster whose backups they are, from `backup.origin`; the target's own without it",
} as const;

/** @throws PgdbaError no_target */
export async function originEntry(ctx: StepContext, cluster: string): Promise<ClusterEntry> {
  const entry = await readClusterFile(cluster, clusterFile(ctx.run.stateDir, cluster));
  if (entry === undefined) throw await unknownCluster(ctx.run.stateDir, cluster);
  return entry;
}

/** The parts that a restore reads, its own first. It only reads. */
export interface Sources {
  repository: Repository;
  key: ClusterKey;
  origins: Source[];
}

/** Those of the target, or of an origin. @throws PgdbaError repository_failed | missing_secret | no_target */
export async function sourcesOf(
  ctx: StepContext,
  origin: Origin | null | undefined,
): Promise<Sources> {
  if (origin == null) return ctx.use("repository");
  const { system_identifier, version, cluster_id } = origin;
  return {
    repository: await openOrigin(ctx, origin),
    key: { system_identifier, version, cluster_id },
    origins: origin.origins.map(parseOrigin),
  };
}

/** Only to be read, and closed with the run. */
export function openOrigin(
  ctx: StepContext,
  { cluster, repository, key_env }: Pick<Origin, "cluster" | "repository" | "key_env">,
): Promise<Repository> {
  const name = `repository of ${cluster ?? repository.location}`;
  return ctx.resource(name, async () => {
    if (cluster !== null) {
      const opened = await throughEntry(ctx, cluster);
      if (opened !== null) return opened;
    }
    // The key that is given stands for the file that would hold it.
    const place = placeOf(repository, {
      cafile: repository.cafile,
      keyFile: "the key that was given",
    });
    if (place === null)
      throw new PgdbaError(
        "unsupported",
        `${repository.location} is reached by nodes alone, and nobody says by whose`,
        {
          hint: "Name the cluster whose volume it is with --cluster, while a node of it is there.",
          nothingDone: true,
        },
      );
    const key = givenKey(ctx, key_env);
    if (place.kind === "object_store" && key === undefined)
      throw new PgdbaError(
        "missing_secret",
        `Nobody says where the key to ${repository.location} is`,
        {
          hint: "Put it into a variable (its id, a colon, and the key), and name that with --key-env.",
          nothingDone: true,
        },
      );
    const opened = await openRepository(place, key);
    return { value: readingOnly(opened), close: () => opened.close() };
  });
}

/** By the way of the cluster that has it; null where its entry does not say whose part it is. */
async function throughEntry(ctx: StepContext, cluster: string) {
  if (sourceOfRepository(await originEntry(ctx, cluster)) === undefined) return null;
  const target = await resolveTarget({
    flags: { cluster },
    env: ctx.env,
    stateDir: ctx.run.stateDir,
    onSecret: (value) => ctx.secret(value),
    log: (message) => ctx.log(message),
    resumes: true,
  });
  const { repository } = (await target.use!("repository", {
    run: ctx.run.id,
    path: ctx.step.path,
    effect: "read",
    hazards: [],
    signal: ctx.signal,
  })) as RepositoryAccess;
  return { value: repository, close: () => target.close() };
}

/** As an entry may name it anywhere: files in full, and no key. */
export function placeIn({ file, data }: ClusterEntry): Place | null {
  if (data.repository === undefined) return null;
  const { secret: _secret, origins: _origins, cafile, ...place } = data.repository;
  return { ...place, ...(cafile === undefined ? {} : { cafile: resolve(file, "..", cafile) }) };
}
