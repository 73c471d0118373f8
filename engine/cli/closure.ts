import { calledBy } from "../check/call-graph.ts";
import { compile } from "../check/compile.ts";
import { PgdbaError } from "../errors.ts";
import type { Diagnostic, Doc, Json, Library, Runbook, StepRegistry } from "../types.ts";

/** A runbook of a destructive run is preceded by this one. */
const BACKUP = "backup/create";

/**
 * A runbook and all it calls, compiled; with the backup runbook when it is destructive and there is one.
 * @throws PgdbaError unknown_runbook | invalid_runbook with every diagnostic
 */
export async function compileClosure(
  name: string,
  library: Library,
  registry: StepRegistry,
): Promise<{ runbook: Runbook; runbooks: Map<string, Runbook>; warnings: Diagnostic[] }> {
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
  if ([...runbooks.values()].some((one) => one.risk === "destructive") && library.find(BACKUP))
    await add(BACKUP);
  return { runbook, runbooks, warnings };
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
