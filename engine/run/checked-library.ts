import type { Doc, DocumentKind, Library } from "../types.ts";

/**
 * The library for a step type that reads documents of `kind`: one that `pgdba lint` refuses is refused here too. Built-in documents
 * were linted when they were built in.
 */
export function checkedLibrary(library: Library, kind: DocumentKind): Library {
  return {
    entries: (of) => library.entries(of),
    find: (name) => library.find(name),
    async load(name) {
      const doc = await library.load(name);
      if (doc.kind === kind.kind && doc.layer !== "builtin") await assertSound(doc, kind);
      return doc;
    },
  };
}

async function assertSound(doc: Doc, kind: DocumentKind): Promise<void> {
  const { compileDocument } = await import("../check/document.ts");
  const { invalidRunbook } = await import("../load/frame.ts");
  const errors = (await compileDocument(doc, kind)).filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw invalidRunbook(errors);
}
