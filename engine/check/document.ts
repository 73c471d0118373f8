import type { Diagnostic, Doc, DocumentKind } from "../types.ts";
import { langAt } from "../expr/languages.ts";
import { checkName } from "./compile.ts";
import { createExpressionChecker } from "./expressions.ts";
import { createReport } from "./report.ts";
import { ROOTS, schemaAt, texts } from "./scope.ts";
import { validate } from "./validate.ts";

/**
 * The faults of a document that is not a runbook, such as a check: its shape, and every expression and text in it, by the
 * `x-lang` of its kind's schema. Empty when it is good.
 */
export async function compileDocument(doc: Doc, kind: DocumentKind): Promise<Diagnostic[]> {
  const report = createReport(doc);
  const problems = validate(kind.schema, doc.data, kind.kind);
  report.addSchema([], problems);
  checkName(doc, report);
  // Its variables are read from the document itself, which must have its shape for that.
  if (problems.length > 0) return report.sorted();

  const scope = kind.variables(doc);
  const expressions = createExpressionChecker(report);
  for (const { path, text } of texts(doc.data)) {
    switch (langAt(kind.schema, path)) {
      case "cel":
        if (schemaAt(kind.schema, path)?.format === "condition")
          await expressions.condition(path, text, scope);
        else await expressions.cel(path, text, scope);
        break;
      case "text":
        await expressions.text(path, text, scope);
        break;
      case "static":
        expressions.fixed(path, text, {
          ...Object.fromEntries(ROOTS.map((root) => [root, {}])),
          ...scope,
        });
    }
  }
  for (const { path, ...finding } of (await kind.lint?.(doc)) ?? []) report.add(path, finding);
  return report.sorted();
}
