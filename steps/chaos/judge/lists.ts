import { PgdbaError } from "../../../engine/errors.ts";

/** Two readings of one list that can't both be of one history: neither is the beginning of the other. */
export interface Fork {
  list: number;
  /** The number of ids that both have in common at their beginning. */
  same: number;
  /** The first id by which they differ, and when each was read, microseconds; null for the list as it is at the end. */
  one: { id: number; read: number | null };
  other: { id: number; read: number | null };
}

/** A list as it has been read. */
interface Known {
  /** As the last line told it, from which the next one goes on. */
  last: number[];
  /** The longest history of which all readings so far are the beginning, and when its end was read. */
  longest: number[];
  done: number | null;
  /** As many ids as both begin with, that is known without looking. */
  agreed: number;
  /** What comes after the first fork differs as well, and tells nothing more. */
  fork: Fork | undefined;
}

/** The lists as clients have read them. A list only grows, at its end: of two readings one is the beginning of the other. */
export class Lists {
  readonly #known = new Map<number, Known>();

  /** A reading: `more` comes after the first `same` ids of the reading before. */
  read(line: { key: number; same: number; more: readonly number[]; done: number }): void {
    const { key, same, more, done } = line;
    const known = this.#of(key);
    if (same > known.last.length)
      throw new PgdbaError(
        "step_failed",
        `The history lacks the beginning of a reading of list ${key}`,
        {
          hint: "Somebody else has written into the file: what it tells can't be relied on. Run the drill again.",
        },
      );
    known.last.length = same;
    for (const id of more) known.last.push(id);
    known.agreed = Math.min(known.agreed, same);
    compare(key, known, done);
  }

  /** The list as it stands at the end. */
  final(key: number, ids: readonly number[]): void {
    const known = this.#of(key);
    known.last = [...ids];
    known.agreed = 0;
    compare(key, known, null);
  }

  forks(): Fork[] {
    return [...this.#known.values()].flatMap(({ fork }) => fork ?? []);
  }

  #of(key: number): Known {
    let known = this.#known.get(key);
    if (known === undefined) {
      known = { last: [], longest: [], done: null, agreed: 0, fork: undefined };
      this.#known.set(key, known);
    }
    return known;
  }
}

function compare(list: number, known: Known, done: number | null): void {
  const { last, longest } = known;
  const least = Math.min(last.length, longest.length);
  let same = known.agreed;
  while (same < least && last[same] === longest[same]) same++;
  known.agreed = same;
  if (same < least) {
    known.fork ??= {
      list,
      same,
      one: { id: longest[same]!, read: known.done },
      other: { id: last[same]!, read: done },
    };
    return;
  }
  if (last.length <= longest.length) return;
  for (let at = same; at < last.length; at++) longest.push(last[at]!);
  known.done = done;
  known.agreed = last.length;
}
