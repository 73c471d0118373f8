import { isMapping } from "../json.ts";
import type { Json } from "../types.ts";
import { type Canvas, narrowed } from "./canvas.ts";
import { severityMark } from "./marks.ts";
import { asFinding, type Finding, findingTitle } from "./finding.ts";
import { clip, indent, printable, singleLine, wrap } from "./text.ts";

/** Lines of one level of consequences on a terminal; the JSON has them all. */
const LINES = 6;
/** Objects named of findings that are alike. */
const OBJECTS = 5;

/** The consequences of a finding, one line for each kind, with their own consequences below them. */
export function renderConsequences(value: Json | undefined, canvas: Canvas): string[] {
  const list = findingsIn(value);
  if (list.length === 0) return [];
  return [canvas.paint.dim("leads to"), ...indent(lines(list, narrowed(canvas, 2)), "  ")];
}

function lines(list: readonly Finding[], canvas: Canvas): string[] {
  const groups = [
    ...Map.groupBy(list, (one) => `${one.severity} ${findingTitle(one) ?? one.message}`).values(),
  ];
  const shown = groups.slice(0, LINES).flatMap((group) => {
    const [first] = group as [Finding];
    const { mark, color } = severityMark(first.severity);
    const below = group.flatMap(({ fields }) => findingsIn(fields["consequences"]));
    const [head = "", ...rest] = wrap(textOf(group), canvas.columns - 2);
    return [
      `${canvas.paint[color](mark)} ${head}`,
      ...indent([...rest, ...(below.length === 0 ? [] : lines(below, narrowed(canvas, 2)))], "  "),
    ];
  });
  const more = groups.slice(LINES).flat().length;
  return more === 0 ? shown : [...shown, canvas.paint.dim(`… ${more} more`)];
}

function textOf(group: readonly Finding[]): string {
  const [first] = group as [Finding];
  const title = findingTitle(first);
  const message = singleLine(first.message);
  if (group.length === 1)
    return title === null || title === message ? message : `${printable(title)}: ${message}`;
  return `${group.length} × ${printable(title ?? message)}: ${named(group.map(({ fields }) => fields["object"] ?? null))}`;
}

/** The names of the other objects that a finding stands for. */
export function renderAlike(value: Json | undefined, canvas: Canvas): string[] {
  if (!Array.isArray(value) || value.length === 0) return [];
  const names = value.map((one) => (isMapping(one) ? (one["object"] ?? null) : one));
  return wrap(`also ${named(names)}`, canvas.columns).map(canvas.paint.dim);
}

function named(values: readonly Json[]): string {
  const texts = values
    .filter((value) => typeof value === "string")
    .map((text) => clip(singleLine(text), 80));
  const more = values.length - Math.min(texts.length, OBJECTS);
  return [...texts.slice(0, OBJECTS), ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

function findingsIn(value: Json | undefined): Finding[] {
  return Array.isArray(value) ? value.map(asFinding).filter((one) => one !== null) : [];
}
