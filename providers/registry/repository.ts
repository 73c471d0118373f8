import { dirname, join, resolve } from "node:path";
import type { Place } from "../repository/contract.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import type { Source } from "../backup/holdings.ts";
import type { RepositorySource } from "../target/repository-access.ts";
import type { ClusterEntry } from "./read.ts";

/** What an entry says of its repository; undefined where it names none, or has not been told whose part it is. */
export function sourceOfRepository(entry: ClusterEntry): RepositorySource | undefined {
  const { repository, system_identifier, version, cluster_id } = entry.data;
  if (!repository || !system_identifier || !version || !cluster_id) return undefined;
  return {
    place: placeHere(entry, repository),
    location: repository.location,
    key: { system_identifier, version, cluster_id },
    ...(repository.slot === undefined ? {} : { slot: repository.slot }),
    origins: (repository.origins ?? []).map(originIn),
  };
}

/** The place of a repository that stands, or will stand, in an entry, as this machine reaches it; null for what only nodes reach. */
export function placeHere(
  { file, secrets }: ClusterEntry,
  repository: NonNullable<ClusterEntry["data"]["repository"]>,
): Place | null {
  const keyFile = secrets.find(({ name }) => name === repository.secret)?.place.file;
  return placeOf(repository, {
    cafile: repository.cafile && resolve(dirname(file), repository.cafile),
    keyFile: keyFile && resolve(dirname(dirname(file)), keyFile),
  });
}

/** As this machine reaches it; null for what only nodes reach. */
export function placeOf(
  {
    kind,
    location,
    endpoint,
    region = "us-east-1",
  }: NonNullable<ClusterEntry["data"]["repository"]>,
  { cafile, keyFile }: { cafile: string | undefined; keyFile: string | undefined },
): Place | null {
  if (kind === "directory") return { kind, path: location };
  const [, bucket, prefix = ""] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(location) ?? [];
  if (kind === "volume" || !bucket || !endpoint || !keyFile) return null;
  return {
    kind,
    endpoint,
    bucket,
    prefix: prefix === "" ? "" : join(prefix, "/"),
    region,
    key_file: keyFile,
    ...(cafile === undefined ? {} : { cafile }),
  };
}

/** `IDENTIFIER/VERSION/CLUSTER_ID@TIMELINE:LSN`, as the schema has it. */
function originIn(text: string): Source {
  const [part = "", left = ""] = text.split("@");
  const [system_identifier = "", version = "", cluster_id = ""] = part.split("/");
  const [timeline = "", lsn = "0/0"] = left.split(":");
  return {
    key: { system_identifier, version: Number(version), cluster_id },
    until: { timeline: Number(timeline), lsn: parseLsn(lsn) },
  };
}
