/** The clusters that a copy was restored from: it reads their parts of the repository up to where it left them, and writes to none of them. */
import { PgdbaError } from "../../engine/errors.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import { lsnText } from "../postgres/lsn.ts";
import { type ClusterKey, keyOf } from "../repository/layout.ts";
import type { Source } from "./holdings.ts";
import { segmentBefore, segmentFile, timelineText } from "./segments.ts";
import type { Left, ReadPart } from "./work.ts";

const ORIGIN = /^(\d+)\/(\d+)\/([^/@]+)@(\d+):([0-9A-F]+\/[0-9A-F]+)$/;

/** As an entry of the registry writes it. @throws PgdbaError invalid_config */
export function parseOrigin(text: string): Source {
  const [, system_identifier, version, cluster_id, timeline, lsn] = ORIGIN.exec(text) ?? [];
  if (!system_identifier || !version || !cluster_id || !lsn) {
    throw new PgdbaError("invalid_config", `${text} is no origin of a copy`, {
      hint: "It is written as IDENTIFIER/VERSION/CLUSTER_ID@TIMELINE:LSN, under repository in the cluster's entry.",
    });
  }
  return {
    key: { system_identifier, version: Number(version), cluster_id },
    until: { timeline: Number(timeline), lsn: parseLsn(lsn) },
  };
}

export const originText = (key: ClusterKey, until: { timeline: number; lsn: bigint }) =>
  `${keyOf(key)}@${until.timeline}:${lsnText(until.lsn)}`;

/** An origin as `pgdba wal get` reads it, which knows names of files alone. */
export function readPart({ key, until }: Source, segmentBytes: number): ReadPart {
  if (until === null) return key;
  const { timeline, lsn } = until;
  const file = segmentFile(segmentBefore(timeline, lsn, segmentBytes), segmentBytes);
  return { ...key, until: { timeline, lsn: lsnText(lsn), file } };
}

/** Whether an origin wrote the file after the copy had left it. */
export function isLater(file: string, until: Left | undefined): boolean {
  if (until === undefined) return false;
  const timeline = file.slice(0, 8);
  const left = timelineText(until.timeline);
  if (timeline !== left) return timeline > left;
  return /^[0-9A-F]{24}/.test(file) && file.slice(0, 24) > until.file;
}
