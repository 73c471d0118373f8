/** Histories made by hand, and what a cluster would hold after them: for the tests of the checker, and its bench. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Header } from "../../../steps/chaos/history/lines.ts";
import { readHistory } from "../../../steps/chaos/history/read.ts";
import { History, type Times } from "../../../steps/chaos/history/write.ts";
import { Final } from "../../../steps/chaos/judge/final.ts";
import { type Judged, judge } from "../../../steps/chaos/judge/judge.ts";
import { Tally } from "../../../steps/chaos/judge/tally.ts";

export const HEADER: Header = {
  format: 1,
  began: "2026-01-01T00:00:00.000Z",
  rate: 100,
  ways: ["direct", "pooled"],
  deadline_ms: 250,
  lists: 8,
};

export interface Forged {
  history: History;
  /** What the set and the lists hold at the end. */
  rows: number[];
  lists: Map<number, number[]>;
  /** An operation that is due each 5 ms, and takes 2 ms; by both ways in turn. */
  times(id: number): Times;
  /** The transaction as a healthy server does it. */
  write(id: number): void;
}

/** Forges a history with `make`, and reads it back. */
export function forge(make: (forged: Forged) => void): { tally: Tally; final: Final } {
  const folder = mkdtempSync(join(tmpdir(), "pgdba-history-"));
  try {
    const file = join(folder, "history");
    const history = new History(file, HEADER);
    const forged: Forged = {
      history,
      rows: [],
      lists: new Map(),
      times: (id) => ({ due: id * 5000, sent: id * 5000 + 100, done: id * 5000 + 2000 }),
      write(id) {
        forged.rows.push(id);
        const key = id % HEADER.lists;
        forged.lists.set(key, [...(forged.lists.get(key) ?? []), id]);
      },
    };
    make(forged);
    history.close();
    const tally = new Tally();
    readHistory(file, tally);
    const final = new Final(tally.last);
    for (const id of forged.rows) final.add(id);
    for (const [key, ids] of forged.lists) final.list(key, ids);
    return { tally, final };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function judged(make: (forged: Forged) => void): Judged {
  const { tally, final } = forge(make);
  return judge(tally, final);
}

/** `count` acknowledged operations, all of them there. */
export function good(forged: Forged, count: number): void {
  for (let n = 0; n < count; n++) {
    const id = forged.history.next();
    const way = HEADER.ways[id % 2]!;
    forged.history.ok(id, way, forged.times(id), { timeline: 1, server: "pg1" }, id * 100);
    forged.write(id);
  }
}

/** Numbers from 0 up to 1, always the same ones for a seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
