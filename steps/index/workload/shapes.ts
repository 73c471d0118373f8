import type { Parsed } from "./workload.ts";

/** Statements that differ in their constants only: of more than these a sample stands for all. */
const SAMPLE = 6;

/** Statements of one shape. */
export interface Shape {
  /** All of them, each text once. */
  members: Parsed[];
  /** The statements that stand for all, with calls that add up to those of all. */
  sample: Sampled[];
}

export interface Sampled extends Parsed {
  shape: Shape;
}

/** Puts statements of one shape together, by the fingerprint that takes constants for equal. */
export async function shapesOf(parsed: readonly Parsed[]): Promise<Shape[]> {
  const { fingerprint } = await import("libpg-query");
  const groups = new Map<string, Map<string, Parsed>>();
  for (const statement of parsed) {
    // A statement that the grammar takes only in another spelling is a shape of its own.
    const key = await fingerprint(statement.sql).catch(() => statement.sql);
    const texts = groups.get(key) ?? new Map<string, Parsed>();
    groups.set(key, texts);
    const known = texts.get(statement.sql);
    texts.set(statement.sql, known === undefined ? statement : together(known, statement));
  }
  return [...groups.values()].map((texts) => {
    const members = [...texts.values()];
    const shape: Shape = { members, sample: [] };
    shape.sample = sampled(members).map((statement) => ({ ...statement, shape }));
    return shape;
  });
}

function together(a: Parsed, b: Parsed): Parsed {
  return {
    ...a,
    calls: a.calls + b.calls,
    rows: a.rows === null ? b.rows : a.rows + (b.rows ?? 0),
  };
}

/** The most frequent ones and others from all over, since constants often come in order. */
function sampled(members: readonly Parsed[]): Parsed[] {
  if (members.length <= SAMPLE) return [...members];
  const sorted = members.toSorted((a, b) => b.calls - a.calls);
  const often = sorted.slice(0, SAMPLE / 2);
  const rest = members.filter((one) => !often.includes(one));
  const others = Array.from(
    { length: SAMPLE - often.length },
    (_, at) => rest[Math.floor(((at + 0.5) * rest.length) / (SAMPLE - often.length))] as Parsed,
  );
  const sum = (list: readonly Parsed[], of: (one: Parsed) => number): number =>
    list.reduce((total, one) => total + of(one), 0);
  const calls = sum(rest, (one) => one.calls) / others.length;
  const rows = rest.some((one) => one.rows !== null)
    ? sum(rest, (one) => one.rows ?? 0) / others.length
    : null;
  return [...often, ...others.map((one) => ({ ...one, calls, rows }))];
}
