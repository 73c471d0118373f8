import { expect } from "bun:test";
import type { JsonObject } from "../../../engine/types.ts";
import type { Answers } from "./world.ts";
import type { Drill } from "./generate.ts";

export interface Ended {
  exit: number;
  status: string;
  error: { code: string; hint: string | null } | null;
}

function counts(lines: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of lines) if (line !== "") found.set(line, (found.get(line) ?? 0) + 1);
  return found;
}

/** What a person who looks at the target says of the steps that the hint asks about: all of them, or one. */
export function answer(hint: string | null, effects: readonly string[], atOnce: boolean): Answers {
  const asked = [...(hint ?? "").matchAll(/--assume (\S+)=done/g)].map(([, path]) => path!);
  const paths = atOnce ? asked : asked.slice(0, 1);
  return Object.fromEntries(
    paths.map((path) => [path, effects.includes(path) ? "done" : "not_done"]),
  );
}

/** Steps by id, and the paths that the undo of one must have left its traces at. */
class Steps {
  readonly #byId = new Map<string, JsonObject>();
  readonly #docs: Drill["docs"];

  constructor({ docs }: Drill) {
    this.#docs = docs;
    for (const doc of Object.values(docs)) this.#add(doc["steps"]);
  }

  #add(list: unknown): void {
    for (const step of (Array.isArray(list) ? list : []) as JsonObject[]) {
      this.#byId.set(String(step["id"]), step);
      for (const key of ["block", "rescue", "always", "undo"]) this.#add(step[key]);
    }
  }

  /** The step that acts at `path`: the last part of it that is no number. */
  at(path: string): JsonObject | undefined {
    const parts = path.replace(/~undo$/, "").split("/");
    return this.#byId.get(parts.findLast((part) => !/^\d+$/.test(part)) ?? "");
  }

  kindAt(path: string): string {
    return Object.keys(this.at(path) ?? {}).find((key) => key.startsWith("act.")) ?? "";
  }

  undoOf(path: string): string[] {
    const step = this.at(path)!;
    if (step["undo"] === false) return [];
    if (Array.isArray(step["undo"]))
      return this.#paths(step["undo"] as JsonObject[], `${path}~undo/`);
    return ["act.undoable", "act.job"].includes(this.kindAt(path)) ? [`${path}~undo`] : [];
  }

  #paths(list: readonly JsonObject[], prefix: string): string[] {
    return list.flatMap((step) => {
      const own = prefix + String(step["id"]);
      if (typeof step["run"] === "string") {
        const called = this.#docs[step["run"]]!["steps"] as JsonObject[];
        return this.#paths(called, `${own}/`);
      }
      if (step["block"])
        return ["block", "always"].flatMap((key) => this.#paths(step[key] as JsonObject[], prefix));
      return step["foreach"] ? [`${own}/0`, `${own}/1`] : [own];
    });
  }
}

/** Kinds without a probe that may be done twice. */
const REPEATABLE = ["act.repeatable", "act.undoable"];
/** Its inverse may be done twice. */
const hasOwnUndo = (steps: Steps, path: string) =>
  path.endsWith("~undo") && steps.kindAt(path) === "act.job";

/** What must hold of the traces when a run has come to its end, whatever it went through. */
export function checkEffects(
  where: string,
  drill: Drill,
  ended: Ended,
  lines: readonly string[],
): void {
  const steps = new Steps(drill);
  const found = counts(lines.filter((line) => !line.startsWith("try ")));
  const done = [...found.keys()];
  expect(lines, `${where}: a job was not found again by its note`).not.toContain("try LOST");
  for (const [line, count] of counts(lines.filter((one) => one.startsWith("try "))))
    if (steps.kindAt(line.slice("try ".length)) === "act.job")
      expect(count, `${where}: the job of ${line} was started ${count} times`).toBe(1);
  for (const [path, count] of found) {
    if (REPEATABLE.includes(steps.kindAt(path)) || hasOwnUndo(steps, path)) continue;
    expect(count, `${where}: ${path} was done ${count} times`).toBe(1);
  }
  const takenBack = done.filter((path) => path.includes("~undo"));
  if (ended.status === "ok") {
    expect(takenBack, `${where}: a run that went well was taken back`).toEqual([]);
    return;
  }
  // What came before a point of no return stays.
  const keptUpTo = lines.findIndex((path) => steps.at(path)?.["keep"] === true);
  const due = done
    .filter((path) => !path.includes("~undo") && lines.lastIndexOf(path) > keptUpTo)
    .flatMap((path) => steps.undoOf(path));
  for (const path of due)
    expect(done, `${where}: ${path} is missing: what had happened was not taken back`).toContain(
      path,
    );
  for (const path of takenBack.filter((one) => !due.includes(one))) {
    const main = path.slice(0, path.indexOf("~undo"));
    // Nothing can tell whether it had happened, so that it is taken back to be sure.
    if (REPEATABLE.includes(steps.kindAt(main))) continue;
    expect(path, `${where}: what had not happened was taken back`).toBe("");
  }
}
