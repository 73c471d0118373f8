import { PgdbaError } from "../errors.ts";
import type { Library, LibraryEntry, RunbookOutline } from "../types.ts";
import { isDocumentName, type Layer, type LayerFiles, peek, scanLayer } from "./layer.ts";
import { LIMITS } from "./limits.ts";
import type { Candidate, Catalogue } from "./resolve.ts";
import { nearNames } from "./near.ts";
import type { Parsed } from "./parsed.ts";

export type { IndexFile, Layer } from "./layer.ts";

/**
 * The documents of `layers`, given in rising order of precedence. Nothing is read before the first question; then each layer's
 * folder is scanned once (or its index taken), and a document is parsed, with what it extends, when it is loaded.
 * `find` and `load` throw PgdbaError unknown_runbook for what can't be a name (`../x`, `/x`, `X`).
 */
export function openLibrary(layers: readonly Layer[]): Library {
  let scanned: { names: Map<string, Candidate[]>; refused: Map<string, string> } | undefined;
  const kinds = new Map<Candidate, string>();
  const parsed = new Map<Candidate, () => Parsed>();
  const outlines = new Map<Candidate, RunbookOutline>();
  const docs = new Map<string, ReturnType<Library["load"]>>();

  function scan() {
    if (scanned) return scanned;
    const names = new Map<string, Candidate[]>();
    const refused: LayerFiles["refused"] = new Map();
    for (const layer of layers) {
      const found = scanLayer(layer);
      for (const [name, reason] of found.refused) refused.set(name, reason);
      for (const [name, { file, kind, outline }] of found.files) {
        const candidate = { layer: layer.name, file };
        if (layer.parsed !== undefined) parsed.set(candidate, layer.parsed);
        if (kind !== undefined) kinds.set(candidate, kind);
        if (outline !== undefined) outlines.set(candidate, outline);
        names.set(name, [candidate, ...(names.get(name) ?? [])]);
      }
    }
    return (scanned = { names, refused });
  }

  const catalogue: Catalogue = {
    candidates: (name) => scan().names.get(name) ?? [],
    names: () => scan().names.keys(),
    parsed: (name, candidate) => parsed.get(candidate)?.()[name],
  };

  function kindOf(name: string, index: number, steps = 0): string {
    const candidate = catalogue.candidates(name)[index];
    if (!candidate || steps > LIMITS.chain) return "runbook";
    let kind = kinds.get(candidate);
    if (kind === undefined) {
      const { kind: written, base } = peek(candidate.file);
      const inherited = () =>
        base === name ? kindOf(name, index + 1, steps + 1) : kindOf(base!, 0, steps + 1);
      kind = written ?? (base === undefined ? "runbook" : inherited());
      kinds.set(candidate, kind);
    }
    return kind;
  }

  function find(name: string): LibraryEntry | undefined {
    if (!isDocumentName(name)) throw unknown(name, "is not the name of a runbook");
    const [top, ...overrides] = catalogue.candidates(name);
    if (!top) return undefined;
    const outline = outlines.get(top);
    return {
      name,
      kind: kindOf(name, 0),
      layer: top.layer,
      file: top.file,
      overrides,
      ...(outline === undefined ? {} : { outline }),
    };
  }

  function unknown(name: string, what: string): PgdbaError {
    const { names, refused } = scan();
    const plain = name.replace(/\.ya?ml$/, "");
    const lower = plain.toLowerCase();
    const near = names.has(lower) ? `Did you mean ${lower}?` : nearNames(lower, [...names.keys()]);
    const reason = refused.get(plain);
    const hints = [
      ...(reason === undefined ? [] : [`${reason}.`]),
      ...(near === undefined ? [] : [near]),
      "`pgdba list` shows all of them.",
    ];
    return new PgdbaError("unknown_runbook", `${JSON.stringify(name.slice(0, 200))} ${what}`, {
      hint: hints.join(" "),
    });
  }

  async function load(name: string) {
    if (!find(name)) throw unknown(name, "is not the name of an existing runbook");
    // The YAML parser costs more to load than `list` may take.
    const { resolveDocument } = await import("./resolve.ts");
    return resolveDocument(name, catalogue);
  }

  return {
    entries(kind) {
      const all = [...catalogue.names()].sort().map((name) => find(name)!);
      return kind === undefined ? all : all.filter((entry) => entry.kind === kind);
    },
    find,
    load(name) {
      const known = docs.get(name) ?? load(name);
      docs.set(name, known);
      return known;
    },
  };
}
