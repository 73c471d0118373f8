import { join, relative } from "node:path";
import { compile } from "../check/compile.ts";
import { paramsSchema } from "../check/params.ts";
import type { BuiltinIndex } from "../cli/front.ts";
import { invalid } from "../cli/closure.ts";
import { dangerOutline } from "../cli/danger-outline.ts";
import { makeRegistry } from "../cli/library.ts";
import { openLibrary } from "../load/library.ts";
import { documentsSchema } from "../schemas.ts";
import type { JsonObject, Library, StepRegistry } from "../types.ts";

/** The index of the built-in layer and the editor's schema. @throws PgdbaError when a built-in runbook does not compile */
export async function generateIndex(
  root: string,
  loaders: Parameters<typeof makeRegistry>[0],
): Promise<{ index: string; schema: string; registry: StepRegistry; library: Library }> {
  const registry = makeRegistry(loaders);
  const dir = join(root, "runbooks");
  const library = openLibrary([{ name: "builtin", dir }]);
  const documents: BuiltinIndex["documents"] = {};
  for (const { name, kind, file } of library
    .entries()
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    documents[name] = { kind, file: relative(dir, file) };
    if (kind !== "runbook") continue;
    const { runbook, diagnostics } = await compile(await library.load(name), { registry, library });
    if (!runbook) throw invalid(name, diagnostics);
    documents[name].runbook = {
      summary: runbook.summary,
      ...(runbook.description === undefined ? {} : { description: runbook.description }),
      ...(runbook.tags.length === 0 ? {} : { tags: runbook.tags }),
      ...(runbook.part ? { part: true } : {}),
      ...(runbook.watches ? { watches: true } : {}),
      risk: runbook.risk,
      ...dangerOutline(runbook),
      specs: runbook.params,
      params: paramsSchema(runbook.params) as JsonObject,
      output: runbook.outputSchema as JsonObject,
    };
  }
  return {
    index: `${JSON.stringify({ documents }, null, 1)}\n`,
    schema: `${JSON.stringify(await documentsSchema(registry), null, 1)}\n`,
    registry,
    library,
  };
}
