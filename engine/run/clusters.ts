import { PgdbaError } from "../errors.ts";
import type { Json, JsonSchema, Runbook } from "../types.ts";

type Spec = Omit<JsonSchema, "required">;

/** The clusters that parameters name: all texts that their schemas mark with `format: cluster`, however deep. */
export function clustersNamed({ params }: Pick<Runbook, "params">, values: object): string[] {
  const given = values as Record<string, Json>;
  const named = Object.entries(params).flatMap(([name, spec]) => namedIn(spec, given[name]));
  return [...new Set(named)].toSorted();
}

function namedIn(spec: Spec, value: Json | undefined): string[] {
  if (typeof value === "string") return spec.format === "cluster" ? [value] : [];
  if (Array.isArray(value))
    return spec.items === undefined ? [] : value.flatMap((item) => namedIn(spec.items!, item));
  if (typeof value !== "object" || value === null) return [];
  const others = typeof spec.additionalProperties === "object" ? spec.additionalProperties : {};
  return Object.entries(value).flatMap(([key, item]) =>
    namedIn(spec.properties?.[key] ?? others, item),
  );
}

/**
 * A runbook that is called works on no other clusters than those that the run was judged for. `judged` is null for a run that touches none.
 * @throws PgdbaError step_refused
 */
export function assertNamed(
  judged: readonly string[] | null,
  runbook: Pick<Runbook, "name" | "params">,
  values: object,
): void {
  if (judged === null) return;
  const more = clustersNamed(runbook, values).filter((name) => !judged.includes(name));
  if (more.length === 0) return;
  throw new PgdbaError(
    "step_refused",
    `${runbook.name} is called for the cluster ${more.join(", ")}, which the run was not let through for`,
    {
      hint: "Nothing was done by it. Let the runbook that was started have a parameter with `format: cluster` (it may have a default), and pass that on.",
    },
  );
}
