import { basename, dirname, resolve } from "node:path";
import { compile } from "../../check/compile.ts";
import { compileDocument } from "../../check/document.ts";
import { loadableTypes } from "../../check/loadable-types.ts";
import { PgdbaError } from "../../errors.ts";
import { formatDiagnostics } from "../../load/frame.ts";
import { LIMITS } from "../../load/limits.ts";
import { readHead } from "../../shared/read-file.ts";
import type { Diagnostic, Doc, DocumentKind, Json, Library, StepRegistry } from "../../types.ts";
import { count } from "../../view/text.ts";
import type { Command, Result } from "../command.ts";
import { tell } from "../format.ts";
import type { Front } from "../front.ts";
import { libraryOf } from "../library.ts";
import { assumedKind, type Assumed, KIND_WORDS, lintFile } from "../lint-file.ts";
import { lintOwnTypes, loadRegistry } from "../user-steps.ts";

export default {
  name: "lint",
  place: 4,
  summary: "Check runbooks, or other files of pgdba, without running anything",
  usage: "[<runbook or file> …]",
  takes: "document",
  async run(front, parsed, words) {
    const registry = await loadRegistry(front);
    const dirs = (parsed.flags["runbooks"] as string[] | undefined) ?? [];
    const diagnostics: Diagnostic[] = [];
    const assumed: Assumed[] = [];
    let checked = 0;
    for (const subject of subjects(front, dirs, words)) {
      checked += 1;
      if ("assumed" in subject) assumed.push(subject.assumed);
      diagnostics.push(
        ...("library" in subject
          ? await lintOne(subject.library, registry, subject.name)
          : await lintFile(front, subject.assumed)),
      );
    }
    if (words.length === 0) diagnostics.push(...(await lintOwnTypes(front, registry)));
    return report(front, { checked, diagnostics, assumed }, parsed.flags["quiet"]);
  },
} satisfies Command;

/** A document of a layer, or a file with the kind that it was taken for. */
type Subject =
  | { library: Library; name: string }
  | { library: Library; name: string; assumed: Assumed }
  | { assumed: Assumed };

/** Every document of every layer, or those named; a file is linted as a layer of its own folder. */
function subjects(front: Front, dirs: string[], words: string[]): Subject[] {
  const library = libraryOf(front, dirs);
  if (words.length === 0) return library.entries().map(({ name }) => ({ library, name }));
  return words.map((word) => {
    if (!word.endsWith(".yaml") && !word.endsWith(".yml")) return { library, name: word };
    const file = resolve(front.cwd, word);
    const head = readHead(file, LIMITS.bytes);
    if (head === undefined) {
      throw new PgdbaError("usage", `There is no file ${word}`, {
        hint: "Name a runbook (`pgdba list`) or a file.",
      });
    }
    const assumed = assumedKind(front, word, file, head.toString("utf8"));
    if (assumed.kind !== "document") return { assumed };
    const declared = /^name:\s*([a-z][a-z0-9/-]*)\s*$/m.exec(head.toString("utf8"))?.[1];
    const depth =
      declared && file.endsWith(`/${declared}.yaml`) ? declared.split("/").length - 1 : 0;
    const folder = resolve(dirname(file), ...Array.from({ length: depth }, () => ".."));
    const name = depth > 0 && declared ? declared : basename(file).replace(/\.ya?ml$/, "");
    return { library: libraryOf(front, [...dirs, folder]), name, assumed };
  });
}

/** @returns all that is wrong with one document; what can't even be parsed comes as the diagnostics of its error */
export async function lintOne(
  library: Library,
  registry: StepRegistry,
  name: string,
): Promise<Diagnostic[]> {
  let doc: Doc;
  try {
    doc = await library.load(name);
  } catch (thrown) {
    const found = thrown instanceof PgdbaError ? diagnosticsOf(thrown.data) : undefined;
    if (!found) throw thrown;
    return found;
  }
  if (doc.kind === "runbook") return (await compile(doc, { registry, library })).diagnostics;
  const kind = await documentKind(registry, doc.kind);
  if (kind) return compileDocument(doc, kind);
  const where = doc.at(["kind"]);
  return [
    {
      severity: "error",
      rule: "unknown-kind",
      message: `No step type reads documents of kind ${doc.kind}`,
      where: { file: where.file, line: where.line, column: where.column },
      frame: where.text,
    },
  ];
}

async function documentKind(
  registry: StepRegistry,
  kind: string,
): Promise<DocumentKind | undefined> {
  const types = await loadableTypes(registry);
  return types.find(({ document }) => document?.kind === kind)?.document;
}

function diagnosticsOf(data: Json | undefined): Diagnostic[] | undefined {
  if (data === null || typeof data !== "object" || Array.isArray(data)) return undefined;
  return Array.isArray(data["diagnostics"])
    ? (data["diagnostics"] as unknown as Diagnostic[])
    : undefined;
}

async function report(
  front: Front,
  {
    checked,
    diagnostics,
    assumed,
  }: { checked: number; diagnostics: Diagnostic[]; assumed: Assumed[] },
  quiet: unknown,
): Promise<Result> {
  const errors = diagnostics.filter((one) => one.severity === "error").length;
  const taken = assumed.map(
    ({ word, kind, because }) => `${word} is taken for ${KIND_WORDS[kind]}: ${because}`,
  );
  if (taken.length > 0) await tell(front, quiet, `${taken.join("\n")}\n`);
  if (diagnostics.length > 0) await tell(front, quiet, `${formatDiagnostics(diagnostics)}\n`);
  const data = {
    checked,
    errors,
    warnings: diagnostics.length - errors,
    diagnostics: diagnostics as unknown as Json,
    ...(assumed.length === 0
      ? {}
      : { files: assumed.map(({ file, kind, because }) => ({ file, kind, because })) }),
  };
  const found = `${count(checked, "document")}, ${count(data.warnings, "warning")}, no errors`;
  if (errors === 0)
    return {
      exit: 0,
      data,
      text: [
        ...taken,
        ...(diagnostics.length > 0 ? [formatDiagnostics(diagnostics)] : []),
        found,
      ].join("\n"),
    };
  const settingsOnly =
    assumed.length === checked &&
    assumed.every(({ kind }) => kind !== "document" && kind !== "test");
  throw new PgdbaError(
    settingsOnly ? "invalid_config" : "invalid_runbook",
    `${count(errors, "error")} in ${count(checked, "document")}`,
    {
      where: diagnostics.find((one) => one.severity === "error")?.where,
      hint: "Each diagnostic says where and what to do.",
      data,
    },
  );
}
