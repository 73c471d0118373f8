import { PgdbaError } from "../../../engine/errors.ts";
import type { Json, StepContext } from "../../../engine/types.ts";
import { type Drill, kept, placesOf } from "./drill.ts";
import type { Result } from "./result.ts";

/** A drill as it is kept. Without a result it did not come to its check. */
export interface KeptDrill {
  drill: Drill;
  result: Result | undefined;
}

export interface Reported extends KeptDrill {
  /** Earlier ones of the same runbook on the same cluster, newest first: those with the same parameters before all others. */
  earlier: KeptDrill[];
}

const MOST_EARLIER = 10;

/**
 * The drill with this id, of whatever cluster, or the newest ones, oldest first: of the target's cluster, or of all without one. A folder that can't be read is told by a warning.
 * @throws PgdbaError invalid_param when there is none
 */
export async function reported(
  ctx: StepContext,
  { id, last }: { id: string | null; last: number },
): Promise<Reported[]> {
  const of = ctx.target.cluster === null ? "" : ` of ${ctx.target.cluster}`;
  const all = (await placesOf(ctx, id !== null))
    .flatMap((place) => readOne(ctx, place) ?? [])
    .toSorted((a, b) => a.drill.began.localeCompare(b.drill.began));
  const chosen = id === null ? all.slice(-last) : all.filter(({ drill }) => drill.id === id);
  if (chosen.length === 0)
    throw new PgdbaError(
      "invalid_param",
      id === null ? `No drill${of} is kept` : `No drill ${id} is kept`,
      {
        hint:
          all.length === 0
            ? "Run one first, such as chaos/kill-node, on this machine; drills are kept in the state folder."
            : `Kept are: ${all
                .slice(-5)
                .map(({ drill }) => drill.id)
                .join(", ")}.`,
      },
    );
  return chosen.map((one) => ({
    ...one,
    earlier: all
      .slice(0, all.indexOf(one))
      .filter(({ drill }) => drill.name === one.drill.name && drill.cluster === one.drill.cluster)
      .toReversed()
      .toSorted(
        (a, b) =>
          Number(differences(a.drill, one.drill).length > 0) -
          Number(differences(b.drill, one.drill).length > 0),
      )
      .slice(0, MOST_EARLIER),
  }));
}

/** The parameters by which a drill is another one, as a person reads them. The seed is another one each time. */
export function differences(drill: Drill, from: Drill): string[] {
  const names = [...new Set([...Object.keys(drill.params), ...Object.keys(from.params)])];
  const text = (value: Json | undefined) =>
    typeof value === "string" ? value : JSON.stringify(value ?? null);
  return names
    .filter((name) => name !== "seed" && text(drill.params[name]) !== text(from.params[name]))
    .map((name) => `${name} ${text(drill.params[name])}`);
}

function readOne(ctx: StepContext, place: string): KeptDrill | undefined {
  try {
    const drill = kept<Drill>(place, "drill.json");
    // One whose load did not begin.
    if (drill === undefined) return undefined;
    return { drill, result: kept<Result>(place, "result.json") };
  } catch (error) {
    ctx.warn(`A drill can't be read: ${(error as Error).message}`);
    return undefined;
  }
}
