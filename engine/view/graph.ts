import type { Json, StepNode } from "../types.ts";
import { isObject } from "./canvas.ts";
import { clip, singleLine } from "./text.ts";

/** What one node does, as a tree: its label and the named groups of nodes below it. */
function groupsOf(node: StepNode): [string | null, StepNode[]][] {
  const groups: [string | null, StepNode[] | undefined][] =
    node.node === "block"
      ? [
          [null, node.block],
          ["rescue", node.rescue],
          ["always", node.always],
        ]
      : [["undo", node.undo === false ? undefined : node.undo]];
  return groups.filter(
    (group): group is [string | null, StepNode[]] => (group[1]?.length ?? 0) > 0,
  );
}

/** The steps as an indented tree: id, type, whom it calls, and what governs it. */
export function runbookGraph(steps: readonly StepNode[]): string {
  return branches(steps.map((node) => () => nodeLines(node))).join("\n");
}

function nodeLines(node: StepNode): string[] {
  const below = groupsOf(node).flatMap(([name, nodes]) =>
    name === null
      ? nodes.map((child) => () => nodeLines(child))
      : [() => [name, ...branches(nodes.map((child) => () => nodeLines(child)))]],
  );
  return [[node.id, kindOf(node), ...modifiers(node)].join("  "), ...branches(below)];
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

function kindOf(node: StepNode): string {
  if (node.node === "block") return "block";
  const called = calledRunbook(node.input);
  return called === null ? node.type : `${node.type} → ${called}`;
}

/** The runbook that an input names, whatever the step type: it says so in a field of that name, or is nothing but a name. */
function calledRunbook(input: Json): string | null {
  const name = isObject(input) ? input["runbook"] : input;
  return typeof name === "string" && /^[a-z0-9_-]+(\/[a-z0-9_-]+)+$/.test(name) ? name : null;
}

function modifiers(node: StepNode): string[] {
  const source = (value: Json) =>
    clip(singleLine(typeof value === "string" ? value : JSON.stringify(value)), 60);
  const loop =
    node.foreach === undefined ? "" : `foreach ${node.as ?? "item"} in ${source(node.foreach)}`;
  return [
    node.when === undefined ? "" : `when ${source(node.when)}`,
    node.parallel === undefined ? loop : `${loop}, ${node.parallel} at once`,
    node.until === undefined
      ? ""
      : `until ${source(node.until)}${node.every === undefined ? "" : `, every ${node.every}`}`,
    node.retry === undefined ? "" : `up to ${node.retry.attempts} attempts`,
    node.timeout === undefined ? "" : `within ${node.timeout}`,
    node.ignore_error ? "errors ignored" : "",
    node.node === "action" && node.undo === false ? "not undone" : "",
  ].filter(Boolean);
}

/** The steps as a Mermaid flow chart; a rescue hangs on a dotted edge, a condition stands on the edge that it guards. */
export function mermaid(steps: readonly StepNode[]): string {
  const lines = ["flowchart TD"];
  let made = 0;
  const draw = (
    nodes: readonly StepNode[],
    from: string | null,
    margin: string,
    edge = "-->",
  ): string | null => {
    let previous = from;
    let arrow = edge;
    for (const node of nodes) {
      const key = `n${(made += 1)}`;
      const { when, ...rest } = node;
      const label = [node.id, kindOf(node), ...modifiers(rest as StepNode)]
        .map(quoted)
        .join("<br>");
      lines.push(`${margin}${key}["${label}"]`);
      const guard = when === undefined ? "" : `|"${quoted(`when ${clip(singleLine(when), 60)}`)}"|`;
      if (previous !== null) lines.push(`${margin}${previous} ${arrow}${guard} ${key}`);
      previous = key;
      for (const [name, below] of groupsOf(node)) {
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
