import type { Diagnostic } from "../types.ts";
import { LIMITS } from "./limits.ts";
import { child, fault, type Tree } from "./tree.ts";
import { suggest } from "../shared/suggest.ts";

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

  const ids = indexOf(list);

  for (const name of dropped(drop, faults)) {
    if (faults.length >= LIMITS.faults) break;
    const place = ids.find(name.value as string);
    if (place) ids.remove(place);
    else faults.push(unknownId(name, ids.names()));
  }

  const own = new Set<string>();
  /** The place of the next entry after a step: entries placed after the same step keep their order. */
  const tails = new Map<string, Tree>();
  for (const written of (mine?.value as Tree[] | undefined) ?? []) {
    if (faults.length >= LIMITS.faults) break;
    const id = idOf(written);
    if (id !== undefined && own.has(id)) {
      const message = `two steps here have the id "${id}"`;
      faults.push(fault(child(written, "id")!, "duplicate-id", message, "Rename one of them."));
      continue;
    }
    if (id !== undefined) own.add(id);
    const anchor = anchorOf(written, faults);
    const entry = withoutAnchor(written);
    const known = id === undefined ? undefined : ids.find(id);
    if (known) ids.remove(known);
    if (!anchor) {
      ids.insert(known?.list ?? list, known?.index ?? list.length, entry);
      continue;
    }
    const place = ids.find(anchor.id);
    if (!place) {
      faults.push(unknownId(anchor.tree, ids.names()));
      continue;
    }
    const tail = tails.get(anchor.id);
    const last = Math.max(place.index, tail ? place.list.indexOf(tail) : -1);
    ids.insert(place.list, anchor.after ? last + 1 : place.index, entry);
    if (anchor.after) tails.set(anchor.id, entry);
  }
  if (!mine && !theirs) return undefined;
  return { ...(mine ?? whole), value: list };
}

interface Place {
  list: Tree[];
  index: number;
}

/** The written ids of `list` and of all blocks in it, kept in step with what is removed and inserted. */
function indexOf(list: Tree[]) {
  const places = new Map<string, { list: Tree[]; entry: Tree }>();

  function add(into: Tree[], entry: Tree): void {
    const id = idOf(entry);
    if (id !== undefined && !places.has(id)) places.set(id, { list: into, entry });
    for (const inner of nested(entry)) for (const each of inner) add(inner, each);
  }

  function forget(entry: Tree): void {
    const id = idOf(entry);
    if (id !== undefined && places.get(id)?.entry === entry) places.delete(id);
    for (const inner of nested(entry)) for (const each of inner) forget(each);
  }

  for (const entry of list) add(list, entry);
  return {
    names: () => [...places.keys()],
    find(id: string): Place | undefined {
      const place = places.get(id);
      return place && { list: place.list, index: place.list.indexOf(place.entry) };
    },
    remove({ list: from, index }: Place): void {
      for (const entry of from.splice(index, 1)) forget(entry);
    },
    insert(into: Tree[], index: number, entry: Tree): void {
      into.splice(index, 0, entry);
      add(into, entry);
    },
  };
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

function unknownId(tree: Tree, ids: string[]): Diagnostic {
  const id = tree.value as string;
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

/** A copy whose lists can be changed: the base may be in use elsewhere. */
function copy(tree: Tree): Tree {
  const { value } = tree;
  if (Array.isArray(value)) return { ...tree, value: value.map(copy) };
  if (!(value instanceof Map)) return tree;
  return { ...tree, value: new Map([...value].map(([key, part]) => [key, copy(part)])) };
}
