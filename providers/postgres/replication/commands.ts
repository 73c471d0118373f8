import { PgdbaError } from "../../../engine/errors.ts";
import { COMPLETE, COPY_IN, READY, type ReplicationSession } from "./session.ts";

export interface Identified {
  systemIdentifier: string;
  timeline: number;
  /** The end of what is flushed, or of what a standby has received and replayed. */
  lsn: string;
}

export async function identify(
  session: ReplicationSession,
  signal?: AbortSignal,
): Promise<Identified> {
  const [[row] = []] = await session.ask("IDENTIFY_SYSTEM", signal);
  const [systemIdentifier, timeline, lsn] = row ?? [];
  return { systemIdentifier: systemIdentifier!, timeline: Number(timeline), lsn: lsn! };
}

/** The text of the file that tells where a timeline began; null for the first one, which has none. */
export async function timelineHistory(
  session: ReplicationSession,
  timeline: number,
  signal?: AbortSignal,
): Promise<string | null> {
  if (timeline === 1) return null;
  const [[row] = []] = await session.ask(`TIMELINE_HISTORY ${timeline}`, signal);
  return row?.[1] ?? null;
}

/** Gives the server the manifest of the backup that the next one is the difference to. PostgreSQL 17 and newer. */
export async function uploadManifest(
  session: ReplicationSession,
  manifest: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const command = "UPLOAD_MANIFEST";
  await session.send(command);
  const { type } = await session.next(signal);
  if (type !== COPY_IN) throw session.unexpected(type, command);
  await session.copyIn(manifest, signal);
  for (;;) {
    const answer = await session.next(signal);
    if (answer.type === READY) return;
    if (answer.type !== COMPLETE) throw session.unexpected(answer.type, command);
  }
}

/** A text as the replication protocol takes it. */
export function quoted(text: string): string {
  if (text.includes("\0"))
    throw new PgdbaError("invalid_param", "A text for the server holds a zero byte", {
      hint: "Leave it out.",
    });
  return `'${text.replaceAll("'", "''")}'`;
}
