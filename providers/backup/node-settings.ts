import type { ClusterFile } from "../registry/schema.ts";
import type { Place } from "../repository/contract.ts";
import type { ClusterKey } from "../repository/layout.ts";
import type { Source } from "./holdings.ts";
import { readPart } from "./origins.ts";
import type { NodeRepository } from "./work.ts";

/** What a node's `repository.json` holds. */
export function settingsOn(
  repository: NonNullable<ClusterFile["repository"]>,
  {
    key,
    origins,
    segmentBytes,
    keyFile,
  }: { key: ClusterKey; origins: readonly Source[]; segmentBytes: number; keyFile: string },
): NodeRepository {
  return {
    place: placeOn(repository, keyFile),
    write: key,
    read: [key, ...origins.map((one) => readPart(one, segmentBytes))],
  };
}

function placeOn(
  { kind, location, endpoint, node_endpoint, region }: NonNullable<ClusterFile["repository"]>,
  keyFile: string,
): Place {
  if (kind !== "object_store") return { kind: "directory", path: location };
  const [, bucket = "", prefix = ""] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(location) ?? [];
  return {
    kind,
    endpoint: node_endpoint ?? endpoint!,
    bucket,
    prefix: prefix === "" ? "" : `${prefix}/`,
    region: region ?? "us-east-1",
    key_file: keyFile,
  };
}
