import { expect, test } from "bun:test";
import { retain, type Retained } from "../../../../steps/backup/retention/retain.ts";
import { faultsOf } from "./checker.ts";
import { type Life, lifeOf } from "./random.ts";

const LIVES = 2_500;

const decided = (life: Life, moreThanHalf = true): Retained =>
  retain(life.holdings, life.policy, { now: life.now, moreThanHalf });

test("whatever has happened, nothing that is needed goes", () => {
  let removed = 0;
  let wal = 0;
  let branched = 0;
  for (let seed = 1; seed <= LIVES; seed++) {
    const life = lifeOf(seed);
    const result = decided(life, seed % 4 > 0);
    const faults = faultsOf(life, result);
    if (faults.length > 0) throw new Error(`life ${seed}: ${faults.join("; ")}`);
    removed += result.remove.length;
    wal += result.wal.length;
    if (life.branches.size > 1 && result.remove.length > 0) branched++;
  }
  // It is no safety to remove nothing.
  expect(removed).toBeGreaterThan(LIVES / 3);
  expect(wal).toBeGreaterThan(LIVES / 3);
  expect(branched).toBeGreaterThan(LIVES / 20);
});

test("a removal that was cut anywhere ends, by the next one, where it would have ended", () => {
  for (let seed = 1; seed <= 1_000; seed++) {
    const life = lifeOf(seed);
    const { remove, wal } = decided(life);
    const cut = seed % (remove.length + wal.length + 1);
    const rest = decided(
      without(life, remove.slice(0, cut), wal.slice(0, Math.max(0, cut - remove.length))),
    );
    expect([seed, ...rest.remove].toSorted()).toEqual([seed, ...remove.slice(cut)].toSorted());
    expect([seed, ...rest.wal.map(({ name }) => name)]).toEqual([
      seed,
      ...wal.slice(Math.max(0, cut - remove.length)).map(({ name }) => name),
    ]);
  }
});

/** What the removal leaves. */
function without(life: Life, ids: string[], wal: Retained["wal"]): Life {
  const { backups, lines, segments } = life.holdings;
  return {
    ...life,
    holdings: {
      lines,
      backups: backups.filter(({ id }) => !ids.includes(id)),
      segments: segments.filter((one) => !wal.includes(one)),
    },
  };
}

/** Retentions that are wrong in one thing each. */
const broken: Record<string, (life: Life) => Retained> = {
  "chains are not closed": (life) => {
    const backups = life.holdings.backups.map((one) => ({ ...one, parent: null }));
    return decided({ ...life, holdings: { ...life.holdings, backups } });
  },
  "a child goes after its parent": (life) => {
    const result = decided(life);
    return { ...result, remove: result.remove.toReversed() };
  },
  "pins are not seen": (life) => {
    const backups = life.holdings.backups.map((one) => ({ ...one, pinned: false }));
    return decided({ ...life, holdings: { ...life.holdings, backups } });
  },
  "all counts as verified": (life) => {
    const backups = life.holdings.backups.map((one) => ({ ...one, verified: true }));
    return decided({ ...life, holdings: { ...life.holdings, backups } });
  },
  "WAL goes up to the newest backup": (life) => {
    const result = decided(life);
    const starts = life.holdings.backups.flatMap(({ wal }) => (wal === null ? [] : [wal.start]));
    const newest = starts.toSorted().at(-1) ?? "";
    return { ...result, wal: life.holdings.segments.filter(({ segment }) => segment < newest) };
  },
  "timelines are taken for roots": (life) => {
    const lines = life.holdings.lines.map((line) => ({ ...line, from: [] }));
    return decided({ ...life, holdings: { ...life.holdings, lines } });
  },
  "days are those of another zone": (life) =>
    decided({ ...life, policy: { ...life.policy, zone: "Pacific/Kiritimati" } }),
  "weeks begin on another day": (life) => {
    const { weekly } = life.policy.gfs ?? {};
    return decided({
      ...life,
      policy: {
        ...life.policy,
        gfs: { ...life.policy.gfs, weekly: undefined, monthly: weekly } as never,
      },
    });
  },
  "the days are counted from the start of a backup": (life) => {
    const backups = life.holdings.backups.map((one) => ({
      ...one,
      finished: one.started - 86_400_000,
    }));
    return decided({ ...life, holdings: { ...life.holdings, backups } });
  },
  "the oldest are taken for the newest": (life) => {
    const result = decided(life);
    const remove = new Set(result.remove);
    const inOrder = life.holdings.backups
      .toSorted((a, b) => b.started - a.started)
      .map(({ id }) => id);
    const gone = inOrder.slice(0, remove.size);
    return {
      ...result,
      remove: gone,
      backups: result.backups.map((one) => ({ ...one, stays: !gone.includes(one.id) })),
    };
  },
};

for (const [fault, wrong] of Object.entries(broken)) {
  test(`the checker sees that ${fault}`, () => {
    let caught = 0;
    for (let seed = 1; seed <= 1_000 && caught < 3; seed++) {
      const life = lifeOf(seed);
      if (faultsOf(life, wrong(life)).length > 0) caught++;
    }
    expect(caught).toBe(3);
  });
}
