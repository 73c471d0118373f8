import { isMapping } from "../json.ts";
import type { Json, Step } from "../types.ts";
import { clip, singleLine } from "./text.ts";

/** The parts of a step, as a tree: its label and the named groups of steps below it. */
function groupsOf(step: Step): [string | null, Step[]][] {
  const groups: [string | null, Step[] | undefined][] =
    step.kind === "block"
      ? [
          [null, step.block],
          ["rescue", step.rescue],
          ["always", step.always],
        ]
      : [["undo", step.undo === false ? undefined : step.undo]];
  return groups.filter((group): group is [string | null, Step[]] => (group[1]?.length ?? 0) > 0);
}

/** The steps as an indented tree: id, type, whom it calls, and what governs it. */
export function runbookGraph(steps: readonly Step[]): string {
  return branches(steps.map((step) => () => nodeLines(step))).join("\n");
}

function nodeLines(step: Step): string[] {
  const below = groupsOf(step).flatMap(([name, steps]) =>
    name === null
      ? steps.map((child) => () => nodeLines(child))
      : [() => [name, ...branches(steps.map((child) => () => nodeLines(child)))]],
  );
  return [[step.id, kindOf(step), ...modifiers(step)].join("  "), ...branches(below)];
}

function branches(items: (() => string[])[]): string[] {
  return items.flatMap((item, n) => {
    const last = n === items.length - 1;
    const [first = "", ...rest] = item();
    return [
      `${last ? "└─" : "├─"} ${first}`,
      ...rest.map((line) => `${last ? "   " : "│  "}${line}`),
    ];
  });
}

function kindOf(step: Step): string {
  if (step.kind === "block") return "block";
  const called = calledRunbook(step.input);
  return called === null ? step.type : `${step.type} → ${called}`;
}

/** The runbook that an input names, for every step type: in its field `runbook`, or by being nothing but a name. */
function calledRunbook(input: Json): string | null {
  const name = isMapping(input) ? input["runbook"] : input;
  return typeof name === "string" && /^[a-z0-9_-]+(\/[a-z0-9_-]+)+$/.test(name) ? name : null;
}

function modifiers(step: Step): string[] {
  const source = (value: Json) =>
    clip(singleLine(typeof value === "string" ? value : JSON.stringify(value)), 60);
  const loop =
    step.foreach === undefined ? "" : `foreach ${step.as ?? "item"} in ${source(step.foreach)}`;
  return [
    step.when === undefined ? "" : `when ${source(step.when)}`,
    step.parallel === undefined ? loop : `${loop}, ${step.parallel} at once`,
    step.until === undefined
      ? ""
      : `until ${source(step.until)}${step.every === undefined ? "" : `, every ${step.every}`}`,
    step.retry === undefined ? "" : `up to ${step.retry.attempts} attempts`,
    step.timeout === undefined ? "" : `within ${step.timeout}`,
    step.ignore_error ? "errors ignored" : "",
    step.keep ? "point of no return" : "",
    step.kind === "action" && step.undo === false ? "not undone" : "",
  ].filter(Boolean);
}

/** The steps as a Mermaid flow chart; a rescue hangs on a dotted edge, a condition stands on the edge that it guards. */
export function mermaid(steps: readonly Step[]): string {
  const lines = ["flowchart TD"];
  let made = 0;
  const draw = (
    steps: readonly Step[],
    from: string | null,
    margin: string,
    edge = "-->",
  ): string | null => {
    let previous = from;
    let arrow = edge;
    for (const step of steps) {
      const key = `n${(made += 1)}`;
      const { when, ...rest } = step;
      const label = [step.id, kindOf(step), ...modifiers(rest as Step)].map(quoted).join("<br>");
      lines.push(`${margin}${key}["${label}"]`);
      const guard = when === undefined ? "" : `|"${quoted(`when ${clip(singleLine(when), 60)}`)}"|`;
      if (previous !== null) lines.push(`${margin}${previous} ${arrow}${guard} ${key}`);
      previous = key;
      for (const [name, below] of groupsOf(step)) {
        const end = draw(
          below,
          name === null ? key : previous,
          `${margin}  `,
          name === null ? "-->" : `-. ${name} .->`,
        );
        // Only the block itself and what always runs lead on to the next step.
        if (name === null || name === "always") previous = end ?? previous;
      }
      arrow = "-->";
    }
    return previous;
  };
  draw(steps, null, "  ");
  return lines.join("\n");
}

/** Text inside a Mermaid label; its entities are written `#name;`. */
function quoted(text: string): string {
  return text.replace(/[#"<>&`\\{}[\]|;]/g, (character) => `#${character.charCodeAt(0)};`);
}
