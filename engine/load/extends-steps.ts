import type { Diagnostic } from "../types.ts";
import { LIMITS } from "./limits.ts";
import { child, fault, type Tree } from "./tree.ts";
import { suggest } from "./suggest.ts";

/** The keys of a step under which further steps stand. */
const NESTED = ["block", "rescue", "always", "undo"];

/**
 * The steps of `base` after `drop` and `steps` of `over`: an entry whose id exists replaces that step, wherever it stands; another
 * is appended, or placed by its `after: <id>` or `before: <id>`. An entry that does both is replaced and moved.
 * Undefined when neither has steps.
 */
export function mergeSteps(over: Tree, base: Tree, faults: Diagnostic[]): Tree | undefined {
  const mine = child(over, "steps");
  const theirs = child(base, "steps");
  const drop = child(over, "drop");
  if (mine && !Array.isArray(mine.value)) return mine;
  const whole = copy(theirs ?? { ...(mine ?? over), value: [] });
  if (!Array.isArray(whole.value)) return mine ?? theirs;
  const list = whole.value;

  for (const name of dropped(drop, faults)) {
    if (faults.length >= LIMITS.faults) break;
    const place = locate(list, name.value as string);
    if (place) place.list.splice(place.index, 1);
    else faults.push(unknownId(name, list));
  }

  const own = new Set<string>();
  /** Where the next entry after a step goes: entries placed after the same step keep their order. */
  const tails = new Map<string, Tree>();
  for (const written of (mine?.value as Tree[] | undefined) ?? []) {
    if (faults.length >= LIMITS.faults) break;
    const id = idOf(written);
    if (id !== undefined && own.has(id)) {
      faults.push(
        fault(
          child(written, "id")!,
          "duplicate-id",
          `two steps here have the id "${id}"`,
          "Rename one of them.",
        ),
      );
      continue;
    }
    if (id !== undefined) own.add(id);
    const anchor = anchorOf(written, faults);
    const entry = withoutAnchor(written);
    const known = id === undefined ? undefined : locate(list, id);
    if (known && !anchor) {
      known.list[known.index] = entry;
      continue;
    }
    if (known) known.list.splice(known.index, 1);
    if (!anchor) {
      list.push(entry);
      continue;
    }
    const place = locate(list, anchor.id);
    if (!place) {
      faults.push(unknownId(anchor.tree, list));
      continue;
    }
    const tail = anchor.after
      ? place.list.indexOf(tails.get(anchor.id) ?? place.list[place.index]!)
      : -1;
    place.list.splice(anchor.after ? Math.max(tail, place.index) + 1 : place.index, 0, entry);
    if (anchor.after) tails.set(anchor.id, entry);
  }
  if (!mine && !theirs) return undefined;
  return { ...(mine ?? whole), value: list };
}

function dropped(drop: Tree | undefined, faults: Diagnostic[]): Tree[] {
  if (!drop) return [];
  const names = Array.isArray(drop.value) ? drop.value : [drop];
  return names.filter((name) => {
    if (name !== drop && typeof name.value === "string") return true;
    faults.push(
      fault(name, "drop-not-ids", "drop needs a list of step ids", "Write drop: [first, second]."),
    );
    return false;
  });
}

function anchorOf(
  entry: Tree,
  faults: Diagnostic[],
): { id: string; after: boolean; tree: Tree } | undefined {
  const after = child(entry, "after");
  const before = child(entry, "before");
  const tree = after ?? before;
  if (!tree) return undefined;
  if (after && before) {
    faults.push(
      fault(
        before,
        "after-and-before",
        "a step is placed by after or before, not both",
        "Remove one of them.",
        true,
      ),
    );
  }
  if (typeof tree.value === "string") return { id: tree.value, after: after !== undefined, tree };
  faults.push(
    fault(
      tree,
      "unknown-id",
      "the id of a step is needed here",
      "Write the id of a step of the document it extends.",
    ),
  );
  return undefined;
}

function withoutAnchor(entry: Tree): Tree {
  if (!(entry.value instanceof Map)) return entry;
  return {
    ...entry,
    value: new Map([...entry.value].filter(([key]) => key !== "after" && key !== "before")),
  };
}

function unknownId(tree: Tree, list: Tree[]): Diagnostic {
  const id = tree.value as string;
  const ids = idsOf(list);
  const near = suggest(id, ids);
  const hint = near
    ? `Did you mean "${near}"?`
    : ids.length > 0
      ? `The ids are ${ids.slice(0, 20).join(", ")}; a step without a written id can't be named.`
      : "No step of the document it extends has a written id.";
  return fault(tree, "unknown-id", `there is no step "${id}" in the document it extends`, hint);
}

function idOf(entry: Tree): string | undefined {
  const id = child(entry, "id")?.value;
  return typeof id === "string" ? id : undefined;
}

function nested(entry: Tree): Tree[][] {
  return NESTED.map((key) => child(entry, key)?.value).filter((value) => Array.isArray(value));
}

function idsOf(list: Tree[]): string[] {
  return list.flatMap((entry) => {
    const id = idOf(entry);
    return [...(id === undefined ? [] : [id]), ...nested(entry).flatMap(idsOf)];
  });
}

function locate(list: Tree[], id: string): { list: Tree[]; index: number } | undefined {
  for (const [index, entry] of list.entries()) {
    if (idOf(entry) === id) return { list, index };
    for (const inner of nested(entry)) {
      const found = locate(inner, id);
      if (found) return found;
    }
  }
  return undefined;
}

/** A copy whose lists can be changed: the base may be in use elsewhere. */
function copy(tree: Tree): Tree {
  const { value } = tree;
  if (Array.isArray(value)) return { ...tree, value: value.map(copy) };
  if (!(value instanceof Map)) return tree;
  return { ...tree, value: new Map([...value].map(([key, part]) => [key, copy(part)])) };
}
