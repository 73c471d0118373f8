import { expect, test } from "bun:test";
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readHistory } from "../../../steps/chaos/history/read.ts";
import { History } from "../../../steps/chaos/history/write.ts";
import type { Judged } from "../../../steps/chaos/judge/judge.ts";
import { goesOn, underLoad } from "../../../steps/chaos/judge/around.ts";
import { Tally, UNKNOWN } from "../../../steps/chaos/judge/tally.ts";
import { hypotheses } from "../../../steps/chaos/judge/verdict.ts";
import { waits } from "../../../steps/chaos/judge/waits.ts";
import { forge, type Forged, good, HEADER, judged, random } from "./forged.ts";

const PG1 = { timeline: 1, server: "pg1" };
const PG2 = { timeline: 2, server: "pg2" };

/** The number of each kind, those without any left out. */
function counts(all: Judged): Record<string, number> {
  const { operations: _, forks, ...kinds } = all;
  const some = Object.entries(kinds).flatMap(([kind, { count }]) =>
    count > 0 ? [[kind, count] as const] : [],
  );
  return Object.fromEntries([...some, ...(forks.length > 0 ? [["forks", forks.length]] : [])]);
}

const without = (ids: number[], id: number) => ids.filter((one) => one !== id);

/** A write that is gone from the set and its list. */
function lose(forged: Forged, id: number): void {
  forged.rows = without(forged.rows, id);
  const key = id % HEADER.lists;
  forged.lists.set(key, without(forged.lists.get(key)!, id));
}

test("a history of which all is there has nothing wrong", () => {
  const all = judged((forged) => good(forged, 100));
  expect(counts(all)).toEqual({});
  expect(all.operations).toEqual({ ok: 100, failed: 0, unknown: 0, unsent: 0, rows: 100 });
  expect(all.lost.wal_bytes).toBeNull();
});

test("one lost write is named, with its time and the bytes of WAL", () => {
  const one = judged((forged) => {
    good(forged, 100);
    lose(forged, 40);
  });
  expect(counts(one)).toEqual({ lost: 1 });
  expect(one.lost).toEqual({ count: 1, ids: [40], from_ms: 202, to_ms: 202, wal_bytes: 0 });
  const more = judged((forged) => {
    good(forged, 100);
    for (let id = 80; id <= 100; id++) lose(forged, id);
  });
  expect(more.lost).toMatchObject({ count: 21, from_ms: 402, to_ms: 502, wal_bytes: 2000 });
  expect(more.lost.ids).toHaveLength(20);
});

test("a write that is missing in the set or in its list alone is lost", () => {
  for (const part of ["set", "list"])
    expect(
      counts(
        judged((forged) => {
          good(forged, 20);
          if (part === "set") forged.rows = without(forged.rows, 7);
          else forged.lists.set(7, without(forged.lists.get(7)!, 7));
        }),
      ),
    ).toEqual({ lost: 1 });
});

test("one that is there twice is a duplicate, in the set or in a list", () => {
  const twice = judged((forged) => {
    good(forged, 20);
    forged.rows.push(5);
  });
  expect([counts(twice), twice.duplicate.ids]).toEqual([{ duplicate: 1 }, [5]]);
  expect(
    counts(
      judged((forged) => {
        good(forged, 20);
        forged.lists.get(5)!.push(5);
      }),
    ),
  ).toEqual({ duplicate: 1 });
});

test("one that surely failed and is there is dirty; one that nobody knows of is recovered, or not there, and neither is wrong", () => {
  const all = judged((forged) => {
    good(forged, 10);
    for (const there of [true, false]) {
      const failed = forged.history.next();
      forged.history.failed(failed, "direct", forged.times(failed), "40001");
      const unknown = forged.history.next();
      forged.history.unknown(unknown, "pooled", forged.times(unknown), "08006");
      if (there) [failed, unknown].forEach(forged.write);
    }
  });
  expect(counts(all)).toEqual({ dirty: 1, recovered: 1 });
  expect([all.dirty.ids, all.recovered.ids]).toEqual([[11], [12]]);
  expect(all.operations).toMatchObject({ ok: 10, failed: 2, unknown: 2 });
});

test("one that nobody has sent is a phantom: at the end, in a list, or read on the way", () => {
  const all = judged((forged) => {
    good(forged, 10);
    const unsent = forged.history.next();
    forged.history.unsent(unsent, "direct", 55_000);
    forged.write(unsent);
    forged.rows.push(99_999, 0);
    forged.lists.get(3)!.push(99_998);
    forged.history.seen("direct", forged.times(10), PG1, [3, 99_997]);
  });
  expect(counts(all)).toEqual({ phantom: 5 });
  expect(all.phantom.ids.toSorted((a, b) => a - b)).toEqual([0, 11, 99_997, 99_998, 99_999]);
});

test("what a client has read and is gone is rewound, also when nobody knew whether it had happened", () => {
  const all = judged((forged) => {
    good(forged, 10);
    const unknown = forged.history.next();
    forged.history.unknown(unknown, "direct", forged.times(unknown), "01000");
    forged.history.seen("pooled", forged.times(12), PG1, [4, unknown]);
    lose(forged, 4);
  });
  expect(counts(all)).toEqual({ lost: 1, rewound: 2 });
  expect(all.rewound).toMatchObject({ ids: [4, 11], from_ms: 62, to_ms: 62 });
});

test("a list of which two histories were read is forked; one that has grown, or was read late, is not", () => {
  const read = (forged: Forged, at: number, same: number, more: number[]) =>
    forged.history.list("direct", forged.times(at), PG1, { key: 1, same, more });
  const fine = judged((forged) => {
    good(forged, 40);
    read(forged, 20, 0, [1, 9]);
    read(forged, 30, 2, [17, 25]);
    // A standby that is behind.
    read(forged, 31, 1, []);
    read(forged, 32, 1, [9, 17]);
  });
  expect(counts(fine)).toEqual({});
  const forked = judged((forged) => {
    good(forged, 40);
    read(forged, 20, 0, [1, 9, 17]);
    read(forged, 30, 2, [25]);
    read(forged, 31, 3, [33]);
  });
  expect(forked.forks).toEqual([
    { list: 1, same: 2, one: { id: 17, read: 102_000 }, other: { id: 25, read: 152_000 } },
  ]);
  // The reading agrees with no history that ends as the list does.
  const gone = judged((forged) => {
    good(forged, 40);
    read(forged, 20, 0, [1, 17, 9]);
  });
  expect(gone.forks).toMatchObject([{ list: 1, same: 1, other: { id: 9, read: null } }]);
});

test("two servers that acknowledge at the same time are a split; a hand-over is none, however fast", () => {
  const at = (sent: number) => ({ due: sent, sent, done: sent + 10 });
  const of = (...acks: [sent: number, reign: typeof PG1][]) =>
    judged((forged) => {
      for (const [sent, reign] of acks) {
        const id = forged.history.next();
        forged.history.ok(id, "direct", at(sent), reign, 1);
        forged.write(id);
      }
    }).split;
  expect(of([0, PG1], [20, PG1], [31, PG2], [50, PG2]).count).toBe(0);
  // Both were under way at once: nobody can tell which came first.
  expect(of([0, PG1], [20, PG1], [25, PG2], [50, PG2]).count).toBe(0);
  const split = of([0, PG1], [20, PG2], [40, PG1], [60, PG2]);
  expect(split).toMatchObject({ count: 1, ids: [3] });
  expect(split.overlaps).toEqual([{ one: PG1, other: PG2, from: 30, to: 40 }]);
  // Two primaries on one timeline, as after a promotion behind everybody's back.
  expect(
    of(
      [0, PG1],
      [20, { timeline: 1, server: "pg2" }],
      [40, PG1],
      [60, { timeline: 1, server: "pg2" }],
    ).count,
  ).toBe(1);
  // Back at the first server, on a later timeline.
  expect(of([0, PG1], [20, PG2], [40, { timeline: 3, server: "pg1" }]).count).toBe(0);
});

/** What is planted by a die, with the ids by which it must be found, and found alone. */
test("whatever is planted in a random history is found by its ids, and nothing else", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const die = random(seed);
    const planted: Record<string, number[]> = {};
    const plant = (kind: string, id: number) => (planted[kind] ??= []).push(id);
    const found = judged((forged) => {
      const { history } = forged;
      for (let n = 0; n < 60; n++) {
        const id = history.next();
        const way = HEADER.ways[id % 2]!;
        const times = forged.times(id);
        const kind = die();
        const there = die() < 0.5;
        if (kind < 0.7) history.ok(id, way, times, PG1, id * 10);
        else if (kind < 0.8) history.failed(id, way, times, "no");
        else if (kind < 0.95) history.unknown(id, way, times, "?");
        else history.unsent(id, way, times.due);
        const wrong = die() < 0.05;
        let is = kind < 0.7 || (kind >= 0.8 && kind < 0.95 && there);
        if (wrong) is = !is;
        if (kind < 0.7 && wrong) plant("lost", id);
        if (kind >= 0.7 && kind < 0.8 && wrong) plant("dirty", id);
        if (kind >= 0.8 && kind < 0.95 && is) plant("recovered", id);
        if (kind >= 0.95 && wrong) plant("phantom", id);
        if (is) {
          forged.write(id);
          if (die() < 0.03) {
            forged.rows.push(id);
            plant("duplicate", id);
          }
        }
        if (die() < 0.1) {
          history.seen(way, times, PG1, [id]);
          if (!is) plant("rewound", id);
        }
      }
    });
    const ids = Object.fromEntries(
      (["lost", "dirty", "recovered", "phantom", "duplicate", "rewound"] as const).flatMap(
        (kind) => {
          const { count, ids: named } = found[kind];
          expect(named).toHaveLength(Math.min(count, 20));
          return count > 0 ? [[kind, named]] : [];
        },
      ),
    );
    expect([seed, ids]).toEqual([seed, planted]);
    expect([found.forks, found.split.count]).toEqual([[], 0]);
  }
});

test("a history that a crash has cut is read to its last whole line, and what was reserved is unknown", () => {
  const folder = mkdtempSync(join(tmpdir(), "pgdba-history-"));
  try {
    const file = join(folder, "history");
    const history = new History(file, HEADER);
    const times = { due: 1000, sent: 1001, done: 2000 };
    for (let n = 0; n < 3; n++) history.ok(history.next(), "direct", times, PG1, 5);
    history.close();
    expect(() => new History(file, HEADER)).toThrow("EEXIST");
    const whole = readFileSync(file);
    truncateSync(file, whole.length - "u 3\n".length - 3);
    const tally = new Tally();
    readHistory(file, tally);
    expect(Array.from(tally.outcome.slice(1, 5))).toEqual([1, 1, 0, 0]);
    expect(tally.last).toBeGreaterThan(1000);
    // The load had ended: nothing beyond the last id was ever begun.
    writeFileSync(file, whole);
    const again = new Tally();
    readHistory(file, again);
    expect([again.last, again.outcome[3], UNKNOWN]).toEqual([3, 1, 3]);

    for (const bad of [
      "o 2 0 5 6\n",
      "o 9999999 0 1 1 1 0 1\n",
      "o 2 0 1 1 1 0 1\n",
      "u -1\n",
      "q\n",
      "l 0 1 2 0 3 7 1\n",
    ]) {
      writeFileSync(file, whole);
      appendFileSync(file, bad);
      expect(() => readHistory(file, new Tally())).toThrow(/history/);
    }
    expect(() => readHistory(join(folder, "none"), new Tally())).toThrow("ENOENT");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a line longer than any buffer is read", () => {
  const { tally } = forge(({ history, times }) => {
    const ids = Array.from({ length: 200_000 }, () => history.next());
    history.seen("direct", times(1), PG1, ids);
  });
  expect(tally.read[200_000]).toBeGreaterThan(0);
});

test("gaps are measured from when an operation was due, by each way", () => {
  const { tally } = forge((forged) => {
    const { history } = forged;
    // Each 10 ms by each way; from 1 s on nothing is acknowledged for 2 s on the way directly, and operations wait, fail, or are not sent.
    for (let n = 0; n < 400; n++) {
      const due = n * 10_000;
      const one = history.next();
      const lost = due >= 1_000_000 && due < 3_000_000;
      if (!lost) history.ok(one, "direct", { due, sent: due, done: due + 2000 }, PG1, 1);
      else if (n === 100) history.ok(one, "direct", { due, sent: due, done: 3_000_000 }, PG1, 1);
      else if (n < 150)
        history.failed(one, "direct", { due, sent: due, done: due + 1000 }, "57P01");
      else history.unsent(one, "direct", due);
      history.ok(history.next(), "pooled", { due, sent: due, done: due + 4000 }, PG1, 1);
    }
    history.refused("direct", 1_500_000, "ECONNREFUSED");
  });
  const [direct, pooled] = waits(tally, { from: 0, to: 4_000_000, fault: 995_000 });
  // By the second: all within 2 ms; one after 2 s and all others never; never.
  const heat = direct!.heat!.slice(0, 3);
  expect(heat.map((bands) => [bands[0], bands[8], bands[9]])).toEqual([
    [100, 0, 0],
    [0, 1, 99],
    [0, 0, 100],
  ]);
  expect(heat.flat().reduce((sum, count) => sum + count, 0)).toBe(300);
  expect(direct).toMatchObject({
    way: "direct",
    acknowledged: 201,
    refused: 1,
    longest_gap_ms: 2008,
    gap_began_ms: 992,
    failed_ms: 2000,
    down_after_ms: 0,
    up_after_ms: 2005,
    p50_ms: 2,
  });
  expect(direct!.seconds.ok).toEqual([100, 0, 0, 100, 0]);
  expect(direct!.seconds.missed).toEqual([0, 100, 100, 0, 0]);
  expect(pooled).toMatchObject({
    longest_gap_ms: 10,
    failed_ms: 0,
    down_after_ms: null,
    up_after_ms: null,
    p50_ms: 4,
  });
  // Nothing has come back yet.
  expect(waits(tally, { from: 0, to: 2_000_000, fault: 995_000 })[0]).toMatchObject({
    longest_gap_ms: 1008,
    down_after_ms: 0,
    up_after_ms: null,
  });
});

test("redundancy that is not back is proven only by a drill that has waited for it", () => {
  const claim = (healed: boolean | null, restored_ms: number | null = null) =>
    hypotheses({
      judged: null,
      flaws: [],
      nodes: null,
      redundancy: { streaming: 2, sync: 1, least_streaming: 1, restored_ms },
      goes_on: [{ way: "direct", after_ms: 1 }],
      waits: [],
      copies: [],
      confirmed: true,
      lasted: null,
      healed,
      fault: { at_ms: 1, under_load: true },
      least: 1,
      most_gap_ms: null,
    }).find(({ name }) => name === "redundancy is back")!;
  const held = [true, false, null].map((healed) => claim(healed).held);
  expect(held).toEqual([false, null, null]);
  expect(claim(true, 33_317)).toMatchObject({ held: true, said: "after 33.317 s" });
  // A fault of the store or of a backup takes no standby away: nothing came back after no time.
  expect(claim(true, 0)).toMatchObject({ held: true, said: "no standby was missed at any time" });
});

test("writes that do not go on by each way after the fault are wrong, whatever else holds", () => {
  const { tally } = forge(({ history }) => {
    const ok = (way: "direct" | "pooled" | "inside", sent: number) =>
      history.ok(history.next(), way, { due: sent, sent, done: sent + 5000 }, PG1, 1);
    ok("direct", 500_000);
    ok("pooled", 500_000);
    history.phase(1_000_000, "inject");
    ok("pooled", 1_500_000);
    history.phase(2_000_000, "healed");
    // Sent before, and answered since.
    ok("pooled", 1_999_000);
    ok("direct", 3_000_000);
    history.phase(9_000_000, "stopped");
  });
  const found = goesOn(tally);
  expect(found).toEqual([
    { way: "direct", after_ms: 1005 },
    { way: "pooled", after_ms: null },
  ]);
  const claim = (healed: boolean | null, goes_on: typeof found) =>
    hypotheses({
      judged: null,
      flaws: [],
      nodes: null,
      redundancy: null,
      goes_on,
      waits: [],
      copies: [],
      confirmed: true,
      lasted: null,
      healed,
      fault: { at_ms: 1, under_load: true },
      least: 1,
      most_gap_ms: null,
    }).find(({ name }) => name === "writes go on afterwards")!;
  expect(claim(true, found)).toMatchObject({
    held: false,
    said: "direct after 1.005 s, pooled none",
  });
  // The fault may be what keeps them; and nobody knows where the load ended before.
  expect([claim(false, found).held, claim(null, found).held, claim(true, null).held]).toEqual([
    null,
    null,
    null,
  ]);
  expect(claim(true, found!.slice(0, 1)).held).toBe(true);
  const died = forge(({ history }) => history.phase(1_000_000, "inject"));
  expect(goesOn(died.tally)).toBeNull();
});

test("what was never sent is no load", () => {
  const fault = 10_000_000;
  const loaded = (make: (forged: Forged) => void) => underLoad(forge(make).tally, fault);
  const due = ({ history }: Forged) => history.unsent(history.next(), "direct", fault + 1000);
  const ok = ({ history }: Forged, sent: number) =>
    history.ok(history.next(), "direct", { due: sent, sent, done: sent + 1000 }, PG1, 1);
  const all = loaded((forged) => {
    ok(forged, fault - 500_000);
    due(forged);
  });
  const unsent = loaded((forged) => {
    ok(forged, fault - 5_000_000);
    forged.history.unsent(forged.history.next(), "direct", fault - 500_000);
    due(forged);
  });
  const over = loaded((forged) => ok(forged, fault - 500_000));
  expect([all, unsent, over]).toEqual([true, false, false]);
});
