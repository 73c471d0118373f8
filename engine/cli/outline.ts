import type { JsonObject, Library, LibraryEntry, StepRegistry } from "../types.ts";
import type { Front, IndexedRunbook } from "./front.ts";

/** A runbook's outline, from the index where it is built in. @throws PgdbaError when it does not compile */
export async function outlineOf(
  front: Front,
  library: Library,
  entry: LibraryEntry,
): Promise<IndexedRunbook> {
  const indexed =
    entry.layer === "builtin" ? front.builtinIndex().documents[entry.name]?.runbook : undefined;
  if (indexed !== undefined) return indexed;
  // Checks of step types cost milliseconds that a list of built-in runbooks has no use for.
  const { loadRegistry } = await import("./user-steps.ts");
  return compiled(library, await loadRegistry(front), entry.name);
}

async function compiled(
  library: Library,
  registry: StepRegistry,
  name: string,
): Promise<IndexedRunbook> {
  const { compile } = await import("../check/compile.ts");
  const { invalid } = await import("./closure.ts");
  const { dangerOutline } = await import("./danger-outline.ts");
  const { paramsSchema } = await import("../check/params.ts");
  const { runbook, diagnostics } = await compile(await library.load(name), { registry, library });
  if (!runbook) throw invalid(name, diagnostics);
  const { summary, description, tags, part, risk, params, outputSchema } = runbook;
  return {
    summary,
    ...(description === undefined ? {} : { description }),
    ...(tags.length === 0 ? {} : { tags }),
    ...(part ? { part } : {}),
    ...(runbook.watches ? { watches: true } : {}),
    risk,
    ...dangerOutline(runbook),
    specs: params,
    params: paramsSchema(params) as JsonObject,
    output: outputSchema as JsonObject,
  };
}
