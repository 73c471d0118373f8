/**
 * All backups of a cluster and the WAL between them, for a list. Records are never changed, so that each is read once and its columns are kept in a
 * file of the state folder; that there is one, and what marks say of it, is asked of the repository every time.
 */
import type { Repository, Signalled } from "../repository/contract.ts";
import { type ClusterKey, historyPrefix, recordPrefix, walPrefix } from "../repository/layout.ts";
import { keep, type Kept, keptIn, type Summary } from "./catalogue-file.ts";
import type { Run } from "./continuity.ts";
import { type Marks, marksIn } from "./marks.ts";
import { recordsOf, textOf } from "./read-record.ts";
import type { BackupRecord } from "./record.ts";
import { parseHistoryFile, parseSegment } from "./segments.ts";
import { type Ancestor, parseHistory } from "./timelines.ts";

export interface Listed {
  summary: Summary;
  marks: Marks;
}

export interface Catalogue {
  /** Oldest first. */
  backups: Listed[];
  histories: Map<number, Ancestor[]>;
  runs: ArchivedRun[];
  segmentBytes: number;
}

export interface ArchivedRun extends Run {
  /** When its last segment was archived, by the repository's clock. */
  at: Date;
}

/** Segments that are asked for their time at once. */
const AT_ONCE = 16;

export async function readCatalogue(
  repository: Pick<Repository, "names" | "stat" | "read">,
  key: ClusterKey,
  file: string,
  options: Signalled & { segmentBytes?: number } = {},
): Promise<Catalogue> {
  const kept = keptIn(file);
  const [names, marks, histories] = await Promise.all([
    namesOf(repository, recordPrefix(key), options),
    marksIn(repository, key, options),
    namesOf(repository, historyPrefix(key), options),
  ]);
  const fresh: Kept = { records: new Map(), histories: {} };
  const missing = names.filter((name) => !kept.records.has(name));
  let isNew = missing.length > 0 || names.length !== kept.records.size;
  for (const name of names) {
    const known = kept.records.get(name);
    if (known !== undefined) fresh.records.set(name, known);
  }
  const paths = missing.map((name) => recordPrefix(key) + name);
  for await (const [path, record] of recordsOf(repository, paths, options.signal))
    if (record !== null) fresh.records.set(path.slice(recordPrefix(key).length), summaryOf(record));
  const parsed = new Map<number, Ancestor[]>();
  for (const name of histories) {
    const timeline = parseHistoryFile(name);
    if (timeline === null) continue;
    let text = kept.histories[name];
    if (text === undefined) {
      const bytes = await repository.read(historyPrefix(key) + name, options);
      if (bytes === null) continue;
      text = await textOf(bytes, name);
      isNew = true;
    }
    fresh.histories[name] = text;
    parsed.set(timeline, parseHistory(timeline, text));
  }
  if (isNew) await keep(file, fresh);
  const backups: Listed[] = [];
  for (const name of names) {
    const summary = fresh.records.get(name);
    if (summary !== undefined) backups.push({ summary, marks: marks.get(summary.id) ?? {} });
  }
  const segmentBytes = options.segmentBytes ?? backups.at(-1)?.summary.segment_bytes ?? 16 << 20;
  return {
    backups,
    histories: parsed,
    segmentBytes,
    runs: await walOf(repository, key, segmentBytes, options),
  };
}

function summaryOf(record: BackupRecord): Summary {
  const { parts: _p, manifest: _m, databases: _d, format: _f, server, ...rest } = record;
  return { ...rest, version: server.version, segment_bytes: server.segment_bytes };
}

async function namesOf(
  repository: Pick<Repository, "names">,
  prefix: string,
  options: Signalled,
): Promise<string[]> {
  const names: string[] = [];
  for await (const name of repository.names(prefix, options)) names.push(name.slice(prefix.length));
  return names;
}

async function walOf(
  repository: Pick<Repository, "names" | "stat">,
  key: ClusterKey,
  segmentBytes: number,
  options: Signalled,
): Promise<ArchivedRun[]> {
  const runs: (Run & { name: string })[] = [];
  // They come in the order of their names: timelines one after the other, and each in the order of WAL.
  for await (const name of repository.names(walPrefix(key), options)) {
    const file = name.slice(name.lastIndexOf("/") + 1);
    const segment = file.endsWith(".zst") ? parseSegment(file.slice(0, -4), segmentBytes) : null;
    if (segment === null) continue;
    const { timeline, number } = segment;
    const last = runs.at(-1);
    if (last?.timeline === timeline && number === last.last + 1n) {
      last.last = number;
      last.name = name;
    } else runs.push({ timeline, first: number, last: number, name });
  }
  const archived: ArchivedRun[] = [];
  for (let at = 0; at < runs.length; at += AT_ONCE) {
    const some = runs.slice(at, at + AT_ONCE).map(async ({ name, ...run }) => ({
      ...run,
      // One that retention has removed meanwhile was the oldest there.
      at: (await repository.stat(name, options))?.at ?? new Date(0),
    }));
    archived.push(...(await Promise.all(some)));
  }
  return archived;
}
