/** What became known of backups since they were made, by the names of their marks alone. */
import type { Repository, Signalled } from "../repository/contract.ts";
import { type ClusterKey, markPrefix } from "../repository/layout.ts";
import type { MarkKind } from "./record.ts";

/** The newest mark of each kind: ISO 8601. */
export type Marks = Partial<Record<MarkKind, string>>;

const KINDS: ReadonlySet<string> = new Set<MarkKind>([
  "verified",
  "damaged",
  "drilled",
  "drill_failed",
  "pinned",
  "unpinned",
]);
const TIME = /^\d{8}T\d{6}Z-/;

/** By the backup's id; `id`: of this one alone. */
export async function marksIn(
  repository: Pick<Repository, "names">,
  key: ClusterKey,
  { id, ...options }: Signalled & { id?: string } = {},
): Promise<Map<string, Marks>> {
  const marks = new Map<string, Marks>();
  const { length } = markPrefix(key);
  for await (const name of repository.names(markPrefix(key, id), options)) {
    const dot = name.indexOf(".", length);
    const dash = name.indexOf("-", dot);
    const kind = name.slice(dot + 1, dash);
    const time = name.slice(dash + 1, dash + 18);
    if (dot < 0 || !KINDS.has(kind) || !TIME.test(time)) continue;
    const backup = name.slice(length, dot);
    let its = marks.get(backup);
    if (its === undefined) marks.set(backup, (its = {}));
    const at = `${time.slice(0, 4)}-${time.slice(4, 6)}-${time.slice(6, 11)}:${time.slice(11, 13)}:${time.slice(13, 16)}`;
    if (at > (its[kind as MarkKind] ?? "")) its[kind as MarkKind] = at;
  }
  return marks;
}

/** It was found to be damaged after it was last found to be good. Of both in one second nobody knows the order: the worse counts. */
export const isDamaged = ({ damaged, verified = "" }: Marks): boolean =>
  damaged !== undefined && damaged >= verified;
