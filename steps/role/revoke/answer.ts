import type { Found, Later, Lost, Right, Still } from "./look.ts";

/** Names that are shown of many. */
const SHOWN = 10;

interface Some {
  kind: Right["kind"];
  rights: string;
  count: number;
  names: string[];
}

export interface Answer {
  revoked: Some[];
  granted: (Some & { role: string })[];
  future: Later[];
  loses: Lost[];
  still: Still[];
}

/** What a person reads of it: things of one kind with the same rights are one line. */
export function answerOf({ taken, kept, later, lost, still }: Found): Answer {
  return {
    revoked: summed(taken),
    granted: [...Map.groupBy(kept, ({ role }) => role)].flatMap(([role, mine]) =>
      summed(mine).map((some) => ({ role, ...some })),
    ),
    future: later,
    loses: lost,
    still,
  };
}

function summed(all: readonly Right[]): Some[] {
  const things = [
    ...Map.groupBy(all, ({ kind, name, col }) => JSON.stringify([kind, name, col])).values(),
  ];
  const lines = things.flatMap((rights) => {
    const [first] = rights;
    if (first === undefined) return [];
    const words = [...new Set(rights.map(({ right }) => right))].sort().join(", ");
    const name = first.col === null ? first.name : `${first.name}.${first.col}`;
    return [{ kind: first.kind, rights: words, name }];
  });
  const groups = [...Map.groupBy(lines, ({ kind, rights }) => `${kind} ${rights}`).values()];
  return groups.flatMap((mine) => {
    const [first] = mine;
    if (first === undefined) return [];
    const { kind, rights } = first;
    return [
      { kind, rights, count: mine.length, names: mine.slice(0, SHOWN).map(({ name }) => name) },
    ];
  });
}
