/** What became known of backups since they were made, by the names of their marks alone. */
import type { Repository, Signalled } from "../repository/contract.ts";
import { type ClusterKey, markPrefix } from "../repository/layout.ts";
import type { MarkKind } from "./record.ts";

/** The newest mark of each kind: ISO 8601. */
export type Marks = Partial<Record<MarkKind, string>>;

const MARK =
  /^(verified|damaged|drilled|drill_failed|pinned|unpinned)-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-/;

/** By the backup's id; `id`: of this one alone. */
export async function marksIn(
  repository: Pick<Repository, "names">,
  key: ClusterKey,
  { id, ...options }: Signalled & { id?: string } = {},
): Promise<Map<string, Marks>> {
  const marks = new Map<string, Marks>();
  for await (const name of repository.names(markPrefix(key, id), options)) {
    const [backup = "", file = ""] = name.slice(markPrefix(key).length).split(".");
    const found = MARK.exec(file);
    if (!found) continue;
    const [, kind, year, month, day, hour, minute, second] = found as unknown as string[];
    const at = `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
    const its = marks.get(backup) ?? {};
    if (at > (its[kind as MarkKind] ?? "")) its[kind as MarkKind] = at;
    marks.set(backup, its);
  }
  return marks;
}

/** It was found to be damaged after it was last found to be good. */
export const isDamaged = ({ damaged, verified = "" }: Marks): boolean =>
  damaged !== undefined && damaged > verified;
