import { toPgdbaError } from "../errors.ts";
import type { Hazard, JsonObject, Risk, StepRegistry, StepType } from "../types.ts";
import { stepFacts } from "../view/step-facts.ts";
import type { Result } from "./command.ts";
import { MOST_FOUND, rank, type Searched } from "./search/rank.ts";

/** What somebody types who looks for step types, before the words that they look for. */
const STEPS = ["step", "steps"];
const TYPES = ["type", "types"];
/** The group of types whose names have no dot. */
const CORE = "core";

type Listed = JsonObject & { type: string; summary: string };

/** The words behind `steps` or `step types`; undefined where the question is another one. */
export function stepWords([first = "", ...rest]: readonly string[]): string[] | undefined {
  if (!STEPS.includes(first)) return undefined;
  return TYPES.includes(rest[0] ?? "") ? rest.slice(1) : rest;
}

/** The step types there are: their names by group; a line each of one group, of what words find, or of all. */
export async function stepList(
  registry: StepRegistry,
  words: readonly string[],
  full: boolean,
): Promise<Result> {
  const types: StepType[] = [];
  const broken: Listed[] = [];
  for (const name of registry.names()) {
    try {
      types.push(await registry.get(name));
    } catch (thrown) {
      const { message } = toPgdbaError(thrown);
      broken.push({
        type: name,
        summary: "can't be used; `pgdba lint` says why",
        broken: message,
      });
    }
  }
  if (words.length > 0) return found(types, words, full);
  const { files = new Map<string, string>(), hint = "" } = registry.off?.() ?? {};
  const off = [...files]
    .filter(([type]) => !registry.has(type))
    .map(([type, file]) => ({ type, file }));
  // An answer that is too long is cut at its end: what is wrong stands first.
  const all = [...broken, ...types.map(line)];
  const text = [
    asText(all),
    ...(off.length === 0
      ? []
      : ["\nSwitched off:", ...off.map(({ type, file }) => `${type.padEnd(18)} ${file}`), hint]),
  ].join("\n");
  const more = off.length === 0 ? {} : { off: { types: off, hint } };
  if (full) return { exit: 0, data: { steps: all, ...more }, text, help: true };
  const groups: JsonObject = {};
  for (const [group, some] of Map.groupBy(types, groupOf)) groups[group] = some.map((t) => t.type);
  return {
    exit: 0,
    data: {
      ...(broken.length === 0 ? {} : { broken }),
      count: types.length,
      groups,
      ...more,
      next: "`pgdba help steps GROUP` gives a line of each, `pgdba help steps WORD…` finds by words, `pgdba help NAME` tells all of one",
    },
    text,
    help: true,
  };
}

function found(types: readonly StepType[], words: readonly string[], full: boolean): Result {
  const group = types.filter((type) => words.length === 1 && groupOf(type) === words[0]);
  const all = group.length > 0 ? group : rank(types.map(searched), words).map(({ one }) => one);
  const shown = group.length > 0 || full ? all : all.slice(0, MOST_FOUND);
  const rest = all.length - shown.length;
  return {
    exit: 0,
    data: {
      steps: shown.map(line),
      ...(rest === 0 ? {} : { further: rest }),
      ...(all.length === 0 ? { next: "Try fewer or other words, or `pgdba help steps`" } : {}),
    },
    text: all.length === 0 ? "Nothing was found." : asText(shown.map(line)),
    help: true,
  };
}

function groupOf({ type }: StepType): string {
  return type.includes(".") ? type.slice(0, type.indexOf(".")) : CORE;
}

function line({ type, summary }: StepType): Listed {
  return { type, summary };
}

function searched(one: StepType): Searched & { one: StepType } {
  const { risk, hazards } = stepFacts(one);
  return {
    one,
    name: one.type,
    summary: one.summary,
    ...(one.docs === undefined ? {} : { description: one.docs }),
    specs: {},
    hazards: Array.isArray(hazards) ? (hazards as Hazard[]) : [],
    // One whose risk depends on its input may only look.
    risk: ["change", "disruptive", "destructive"].includes(risk as Risk) ? (risk as Risk) : "read",
  };
}

function asText(steps: readonly Listed[]): string {
  return steps.map(({ type, summary }) => `${type.padEnd(18)} ${summary}`).join("\n");
}
