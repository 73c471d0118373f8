import type { Final } from "./final.ts";
import type { Fork } from "./lists.ts";
import { type Overlap, overlaps } from "./reigns.ts";
import { FAILED, NONE, OK, type Tally, UNKNOWN, UNSENT } from "./tally.ts";

/** Operations of one kind, with as many ids as a person reads. */
export interface Found {
  count: number;
  ids: number[];
  /** When the first and the last of them were acknowledged (or else begun, or read), ms since the load began; null without any. */
  from_ms: number | null;
  to_ms: number | null;
}

export interface Judged {
  operations: {
    ok: number;
    failed: number;
    unknown: number;
    unsent: number;
    rows: number;
  };
  /** Acknowledged, and not there; with the bytes of WAL from the first of them to the last. */
  lost: Found & { wal_bytes: number | null };
  /** There more than once. */
  duplicate: Found;
  /** It was said that it did not happen, and it is there. */
  dirty: Found;
  /** There, and nobody has sent it. */
  phantom: Found;
  /** Nobody knew whether it happened: it did. */
  recovered: Found;
  /** A client has read it, and it is not there. Those that were acknowledged are among the lost as well. */
  rewound: Found;
  /** Acknowledged by one server while another one acknowledged, too. */
  split: Found & { overlaps: Omit<Overlap, "ids">[] };
  /** Lists of which there are two histories. */
  forks: Fork[];
}

const MOST_IDS = 20;

class Collected {
  readonly ids: number[] = [];
  count = 0;
  #from = Infinity;
  #to = -Infinity;

  add(id: number, at: number | undefined): void {
    this.count += 1;
    if (this.ids.length < MOST_IDS) this.ids.push(id);
    if (at === undefined) return;
    this.#from = Math.min(this.#from, at);
    this.#to = Math.max(this.#to, at);
  }

  found(): Found {
    const ms = (us: number) => (Number.isFinite(us) ? Math.round(us / 1000) : null);
    return { count: this.count, ids: this.ids, from_ms: ms(this.#from), to_ms: ms(this.#to) };
  }
}

/**
 * Compares what a workload was told with what is there at the end. `unknown` is never taken for a success: such an operation may be there
 * or not. What was not acknowledged must be known, by a client that has read it, before its absence counts.
 */
export function judge(tally: Tally, final: Final): Judged {
  const of = {
    lost: new Collected(),
    duplicate: new Collected(),
    dirty: new Collected(),
    phantom: new Collected(),
    recovered: new Collected(),
    rewound: new Collected(),
    split: new Collected(),
  };
  const operations = { ok: 0, failed: 0, unknown: 0, unsent: 0, rows: final.rows };
  const lsns = new Map<number, { from: number; to: number }>();
  const { outcome, done, sent, read } = tally;
  for (let id = 1; id <= tally.last; id++) {
    const [inSet, inLists] = [final.set[id]!, final.listed[id]!];
    const there = inSet > 0 || inLists > 0;
    if (inSet > 1 || inLists > 1) of.duplicate.add(id, done[id]);
    switch (outcome[id]) {
      case OK:
        operations.ok += 1;
        // Both were written by one transaction: that one is missing is a loss as well.
        if (inSet === 0 || inLists === 0) {
          of.lost.add(id, done[id]);
          stretch(lsns, tally.by[id]!, tally.lsn[id]!);
        }
        break;
      case FAILED:
        operations.failed += 1;
        if (there) of.dirty.add(id, sent[id]);
        break;
      case UNSENT:
        operations.unsent += 1;
        if (there) of.phantom.add(id, tally.due[id]);
        break;
      case UNKNOWN:
      case NONE:
        operations.unknown += 1;
        if (there) of.recovered.add(id, outcome[id] === NONE ? undefined : sent[id]);
        break;
    }
    if (read[id] !== 0 && !there) of.rewound.add(id, read[id]! - 1);
  }
  for (const id of new Set([...final.strangers.keys(), ...tally.strangers.keys()]))
    of.phantom.add(id, tally.strangers.get(id));
  for (const [key, ids] of final.lists) tally.lists.final(key, ids);
  const together = overlaps(tally);
  for (const id of new Set(together.flatMap(({ ids }) => ids))) of.split.add(id, done[id]);
  const bytes = [...lsns.values()].reduce((sum, { from, to }) => sum + to - from, 0);
  return {
    operations,
    lost: { ...of.lost.found(), wal_bytes: of.lost.count === 0 ? null : bytes },
    duplicate: of.duplicate.found(),
    dirty: of.dirty.found(),
    phantom: of.phantom.found(),
    recovered: of.recovered.found(),
    rewound: of.rewound.found(),
    split: {
      ...of.split.found(),
      overlaps: together.map(({ one, other, from, to }) => ({ one, other, from, to })),
    },
    forks: tally.lists.forks(),
  };
}

function stretch(
  spans: Map<number, { from: number; to: number }>,
  reign: number,
  lsn: number,
): void {
  const span = spans.get(reign);
  if (span === undefined) spans.set(reign, { from: lsn, to: lsn });
  else {
    span.from = Math.min(span.from, lsn);
    span.to = Math.max(span.to, lsn);
  }
}
