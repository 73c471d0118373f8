import { calledBy } from "../check/call-graph.ts";
import { compile } from "../check/compile.ts";
import { outlineOf, outlinesOf } from "../check/outline.ts";
import { unionOf } from "../check/union.ts";
import { declarationsOf } from "../declared.ts";
import { PgdbaError } from "../errors.ts";
import { mentionsTarget } from "../run/mentions.ts";
import type {
  Diagnostic,
  Doc,
  Hazard,
  Json,
  Library,
  Runbook,
  Step,
  StepRegistry,
} from "../types.ts";
import { backupRunbooks } from "./backup.ts";

/** The facts about a run that are known before it begins. */
export interface Closure {
  runbook: Runbook;
  /** It and all that it calls, by name. */
  runbooks: Map<string, Runbook>;
  warnings: Diagnostic[];
  /** The runbooks that would take a verified backup first: one of them is among `runbooks`, several are not. */
  backups: string[];
  /** True when it may change or lock anything, with any parameters. */
  acts: boolean;
  /** All that it may need of the target, whatever it is given. */
  needs: string[];
  /**
   * True when it looks at a target that is there, and neither makes one, nor destroys it, nor breaks it on purpose: then the only registered
   * cluster is meant by whoever names none.
   */
  assumes: boolean;
}

/**
 * A runbook and all it calls, compiled; where a verified backup may have to precede it, with the runbook that takes one, or the names
 * of several of which none can be preferred.
 * @throws PgdbaError unknown_runbook | invalid_runbook with every diagnostic
 */
export async function compileClosure(
  name: string,
  library: Library,
  registry: StepRegistry,
): Promise<Closure> {
  const runbooks = new Map<string, Runbook>();
  const warnings: Diagnostic[] = [];
  const add = async (each: string): Promise<Runbook> => {
    const known = runbooks.get(each);
    if (known) return known;
    const doc = await library.load(each);
    const { runbook, diagnostics } = await compile(requireRunbook(doc), { registry, library });
    if (!runbook) throw invalid(each, diagnostics);
    warnings.push(...diagnostics);
    runbooks.set(each, runbook);
    for (const called of await calledBy(runbook.steps, registry)) await add(called);
    return runbook;
  };
  const runbook = await add(name);
  const parts = { registry, outlines: outlinesOf(library, registry, runbooks) };
  const union = await unionOf(outlineOf(runbook.doc, registry), parts, { open: true });
  const backups = union.backupBy === null ? [] : await backupRunbooks(library);
  if (backups.length === 1) await add(backups[0]!);
  const acts = union.risk !== "read" || union.locks.size > 0;
  const needs = [...union.needs.keys(), ...[...runbooks.values()].flatMap((one) => one.needs)];
  const looks =
    needs.length > 0 || mentionsTarget(runbooks.values()) || (await usesTarget(runbooks, registry));
  const makes = union.gives.size > 0 && union.needs.size === 0;
  const harms = ["fault", "destroys"].some((hazard) => union.hazards.has(hazard as Hazard));
  const assumes = looks && !makes && !harms && union.risk !== "destructive";
  return { runbook, runbooks, warnings, backups, acts, needs: [...new Set(needs)], assumes };
}

/** True when a step asks for a part of the target, where it has it. */
async function usesTarget(
  runbooks: ReadonlyMap<string, Runbook>,
  registry: StepRegistry,
): Promise<boolean> {
  const uses = async (steps: readonly Step[]): Promise<boolean> => {
    for (const step of steps) {
      const found =
        step.kind === "block"
          ? await uses([...step.block, ...(step.rescue ?? []), ...(step.always ?? [])])
          : declarationsOf(await registry.get(step.type), step.input).uses.length > 0;
      if (found) return true;
    }
    return false;
  };
  for (const { steps } of runbooks.values()) if (await uses(steps)) return true;
  return false;
}

function requireRunbook(doc: Doc): Doc {
  if (doc.kind === "runbook") return doc;
  throw new PgdbaError("unknown_runbook", `${doc.name} is a ${doc.kind}, not a runbook`, {
    hint: "`pgdba list` shows the runbooks there are.",
  });
}

export function invalid(name: string, diagnostics: readonly Diagnostic[]): PgdbaError {
  const errors = diagnostics.filter((one) => one.severity === "error");
  const [first, ...more] = errors;
  const rest = more.length === 0 ? "" : ` (and ${more.length} more)`;
  return new PgdbaError("invalid_runbook", `${name} can't be run: ${first?.message}${rest}`, {
    where: errors[0]?.where,
    hint: errors[0]?.hint ?? `\`pgdba lint ${name}\` shows all that is wrong with it.`,
    data: { diagnostics: diagnostics as unknown as Json },
  });
}
