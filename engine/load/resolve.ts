import type { Diagnostic, Doc, JsonObject, LayerName } from "../types.ts";
import { checkRisk, extendTree } from "./extends.ts";
import { invalidRunbook } from "./frame.ts";
import { LIMITS } from "./limits.ts";
import { type Parsed, unchanged } from "./parsed.ts";
import { reader, type Read } from "./read.ts";
import { suggest } from "../shared/suggest.ts";
import { child, fault, spanAt, toJson, type Tree } from "./tree.ts";

/** A file that offers a document of some name. */
export interface Candidate {
  layer: LayerName;
  file: string;
}

export interface Catalogue {
  /** All files of that name, that of the highest layer first. */
  candidates(name: string): readonly Candidate[];
  names(): Iterable<string>;
  /** What a file of the built-in layer said when the bundle was built; none that extends another is among them. */
  parsed?(name: string, candidate: Candidate): Parsed[string] | undefined;
}

/** A document by name and layer: the `index`th of its candidates. */
interface Link extends Candidate {
  name: string;
  index: number;
  tree: Tree;
}

/**
 * The document `name` as all layers together give it, `extends` resolved.
 * @throws PgdbaError invalid_runbook, io_failed
 */
export function resolveDocument(name: string, catalogue: Catalogue): Doc {
  const known = ready(name, catalogue);
  if (known !== undefined) return known;
  const read = reader();
  const { tree, chain } = build(name, 0, catalogue, read);
  const faults: Diagnostic[] = [];
  for (const link of chain) {
    const merged = link === chain[0] ? tree : build(link.name, link.index, catalogue, read).tree;
    checkFloor(link, merged, catalogue, read, faults);
  }
  if (faults.length > 0) throw invalidRunbook(faults);
  const data = toJson(tree) as JsonObject;
  const { layer, file } = chain[0]!;
  return {
    name,
    kind: typeof data["kind"] === "string" ? data["kind"] : "runbook",
    layer,
    file,
    data,
    digest: digest(chain),
    ...ancestry(chain[0]!, catalogue, read),
    at: (path, key) => spanAt(tree, path, key),
  };
}

/** The document without parsing it, where it alone has its name and reads as when the bundle was built. */
function ready(name: string, catalogue: Catalogue): Doc | undefined {
  const [only, ...others] = catalogue.candidates(name);
  const built = only && others.length === 0 ? catalogue.parsed?.(name, only) : undefined;
  const same = built && unchanged(built, only!.file);
  if (!same) return undefined;
  const { data, digest } = same;
  let tree: Tree | undefined;
  return {
    name,
    kind: typeof data["kind"] === "string" ? data["kind"] : "runbook",
    ...only!,
    data,
    digest,
    lineage: [name],
    below: [],
    // Only what is wrong with it is told by its place.
    at: (path, key) => spanAt((tree ??= build(name, 0, catalogue, reader()).tree), path, key),
  };
}

/** The `index`th candidate of `name` with all that it extends, itself first. Says nothing of risk: that would need the other layers. */
function build(
  name: string,
  index: number,
  catalogue: Catalogue,
  read: Read,
): { tree: Tree; chain: Link[] } {
  const chain = [link(name, index, catalogue, read)];
  for (let base = baseOf(chain[0]!, catalogue); base; base = baseOf(chain.at(-1)!, catalogue)) {
    const { place } = base;
    const next = link(base.name, base.index, catalogue, read);
    const path = [...chain, next].map((each) => `${each.name} (${each.layer})`).join(" → ");
    if (chain.some((each) => each.file === next.file)) {
      throw invalidRunbook([
        fault(
          place,
          "extends-cycle",
          `extends goes in a circle: ${path}`,
          "Let one of them extend nothing, or another document.",
        ),
      ]);
    }
    chain.push(next);
    if (chain.length > LIMITS.chain + 1) {
      const first = child(chain[0]!.tree, "extends")!;
      throw invalidRunbook([
        fault(
          first,
          "extends-too-long",
          `more than ${LIMITS.chain} documents extend one another: ${path}`,
          "Extend a document nearer to the first.",
        ),
      ]);
    }
  }
  const faults: Diagnostic[] = [];
  const tree = chain.reduceRight<Tree | undefined>(
    (base, { tree: over }) => (base ? extendTree(over, base, faults) : over),
    undefined,
  )!;
  if (faults.length > 0) throw invalidRunbook(faults);
  return { tree, chain };
}

function link(name: string, index: number, catalogue: Catalogue, read: Read): Link {
  const candidate = catalogue.candidates(name)[index]!;
  return { ...candidate, name, index, tree: read(candidate.file) };
}

/** Finds the document that another extends: its own name means the one of the next lower layer, another name the winner of all layers. */
function baseOf(
  over: Link,
  catalogue: Catalogue,
): { name: string; index: number; place: Tree } | undefined {
  const place = child(over.tree, "extends");
  if (!place) return undefined;
  const name = place.value;
  if (typeof name !== "string") {
    throw invalidRunbook([
      fault(
        place,
        "unknown-extends",
        "extends needs the name of a document",
        "Write extends: health/check.",
      ),
    ]);
  }
  const index = name === over.name ? over.index + 1 : 0;
  if (catalogue.candidates(name)[index]) return { name, index, place };
  if (name === over.name) {
    const message = `no layer below ${over.layer} has a document "${name}" to extend`;
    throw invalidRunbook([
      fault(place, "unknown-extends", message, "Remove the line, or extend another document."),
    ]);
  }
  const near = suggest(name, catalogue.names());
  const hint = near === undefined ? "`pgdba list` shows all of them." : `Did you mean ${near}?`;
  throw invalidRunbook([
    fault(place, "unknown-extends", `there is no document "${name}" to extend`, hint),
  ]);
}

/** Holds a document against what it extends and against each file that it replaces by name. */
function checkFloor(
  over: Link,
  merged: Tree,
  catalogue: Catalogue,
  read: Read,
  faults: Diagnostic[],
): void {
  const base = baseOf(over, catalogue);
  const replaced = catalogue.candidates(over.name).slice(over.index + 1);
  const lower = replaced.map((each, i) => ({
    name: over.name,
    index: over.index + 1 + i,
    layer: each.layer,
  }));
  if (base && base.name !== over.name) {
    lower.push({ ...base, layer: catalogue.candidates(base.name)[base.index]!.layer });
  }
  for (const { name, index, layer } of lower) {
    const { tree } = build(name, index, catalogue, read);
    if (!checkRisk(over.tree, merged, tree, `${name} in layer ${layer}`, faults)) return;
  }
}

/** All that a document extends, and what it and each of these replaces by name: a copy of a risk is under the same rules. */
function ancestry(
  first: Link,
  catalogue: Catalogue,
  read: Read,
): Required<Pick<Doc, "lineage" | "below">> {
  const names = new Set<string>();
  const below: { name: string; data: JsonObject }[] = [];
  const seen = new Set<string>();
  const visit = (over: Link): void => {
    if (seen.has(over.file)) return;
    seen.add(over.file);
    names.add(over.name);
    if (over !== first) {
      const { tree } = build(over.name, over.index, catalogue, read);
      below.push({ name: over.name, data: toJson(tree) as JsonObject });
    }
    const base = baseOf(over, catalogue);
    if (base) visit(link(base.name, base.index, catalogue, read));
    if (catalogue.candidates(over.name)[over.index + 1])
      visit(link(over.name, over.index + 1, catalogue, read));
  };
  visit(first);
  return { lineage: [...names], below };
}

/** Over the texts of the chain, each by its own digest, so that no two chains can run together into the same text. */
function digest(chain: readonly Link[]): string {
  return chain
    .map(({ tree }) => sha256(tree.source.text))
    .reduceRight((base, own) => sha256(own + base));
}

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
