import { EXIT_BY_CODE } from "../../errors.ts";
import { isMapping } from "../../json.ts";
import { shellQuoted } from "../../shared/shell-words.ts";
import type { Json } from "../../types.ts";
import { opensOf } from "../opens.ts";
import type { Outcome } from "./child.ts";
import { A_PERSONS, ALLOWED, type Args } from "./tools.ts";

/** A call of `run` that waits for a confirmation. */
export interface Unconfirmed {
  /** The agent may confirm by itself. */
  confirms: boolean;
  args: Args;
  /** The command line of the runbook with its parameters and its target, and nothing that is the agent's own. */
  argv: readonly string[];
  outcome: Outcome;
  /** The question that is put when the gates are open; null where there is none, or it can't be known. */
  word: Word | null;
}

/** The word that a question asks for, and the parameter that takes it ahead. */
export interface Word {
  param: string;
  text: string;
}

/** True for what asks for a confirmation before it begins, which a flag opens. */
export function isAtGate({ exit, envelope: { error } }: Outcome): boolean {
  return exit === EXIT_BY_CODE.approval_needed && opensOf(error?.data).length > 0;
}

/** True for a run that stopped at a question of its own. */
export function isAtQuestion({ exit, envelope: { error } }: Outcome): boolean {
  return exit === EXIT_BY_CODE.approval_needed && error?.run !== undefined;
}

/** The word that a question, or the preview of one, asks for. */
export function wordOf(asked: Json | undefined): string | null {
  if (!isMapping(asked) || typeof asked["question"] !== "string") return null;
  const { expect } = asked;
  return typeof expect === "string" ? expect : null;
}

/** The words of the questions that a plan has come to; the envelope is that of the plan. */
export function wordsOfPlan({ envelope: { data } }: Outcome): string[] {
  const run = isMapping(data) ? data["run"] : null;
  // A brief answer has what the steps would do.
  const told = isMapping(run) ? (run["steps"] ?? run["would"]) : null;
  const steps = Array.isArray(told) ? told : [];
  return steps.flatMap((step) => (isMapping(step) ? (wordOf(step["preview"]) ?? []) : []));
}

/** What to send through this door, or what to tell the person, as one sentence or two; undefined where the answer's own hint is all there is to say. */
export function howToConfirm(call: Unconfirmed): string | undefined {
  const { confirms, outcome } = call;
  const opens = opensOf(outcome.envelope.error?.data);
  const own = confirms ? argumentsFor(opens, call.word) : undefined;
  const mine = own === undefined ? undefined : `call run again with the same arguments and ${own}`;
  const command = commandFor(call, opens);
  const isLeft = !confirms && argumentsFor(opens, call.word) !== undefined;
  const whose = isLeft ? ` ${A_PERSONS}` : "";
  if (isAtGate(outcome))
    return mine === undefined
      ? `It needs a person's approval, and nothing was done yet. Tell the person what error.message says and what would be done (the tool plan shows it); they run: ${command} — ${ALLOWED}${whose}`
      : `It needs a confirmation, and nothing was done yet. You may give it: read error.message and what would be done (the tool plan shows it); when that is wanted, ${mine}.`;
  if (!isAtQuestion(outcome)) return undefined;
  const ended =
    "nothing waits, and what it had done was taken back, but for what error.run.kept names";
  // Where no parameter takes the word, the question is put on a terminal alone.
  const where = call.word === null ? " on a terminal" : "";
  return mine === undefined
    ? `It stopped at a question that a person must answer; ${ended}. Tell them what error.message asks; when they want it, they run${where}: ${command} — ${ALLOWED}${whose}`
    : `It stopped at a question, error.message, that you may answer; ${ended}. When the answer is yes, ${mine}.`;
}

/** What the tool `run` will ask for, from the plan of it; undefined where nothing stands before it. */
export function toldAhead(
  { data }: Outcome["envelope"],
  { confirms, word }: Pick<Unconfirmed, "confirms" | "word">,
): string | undefined {
  const run = isMapping(data) ? data["run"] : null;
  const gate = isMapping(run) ? run["gate"] : null;
  if (!isMapping(gate)) return undefined;
  const opens = opensOf(gate);
  const who = Array.isArray(gate["approvers"]) ? gate["approvers"].join(" or ") : "";
  if (gate["answer"] === "approve")
    return `The tool run will ask for an approval by ${who || "a person whom the policy names"}: it then tells the id that they approve.`;
  if (opens.length === 0) return `The tool run would be refused: ${String(gate["message"])}.`;
  const own = argumentsFor(opens, word);
  if (own === undefined)
    return "The tool run will be refused: what it needs is a person's to give, who runs it by command line.";
  return confirms
    ? `The tool run will ask for a confirmation, which you may give when this is wanted: ${own}.`
    : `The tool run will ask for a confirmation. ${A_PERSONS}`;
}

/** The arguments of the tool `run` that stand for these flags; undefined where one of them is never an agent's to give. */
function argumentsFor(opens: readonly string[], word: Word | null): string | undefined {
  const own = opens.map((flag) => {
    if (flag === "--yes") return "yes: true";
    const [name, ...value] = flag.split("=");
    return name === "--confirm" ? `confirm: ${JSON.stringify(value.join("="))}` : undefined;
  });
  if (own.includes(undefined)) return undefined;
  const all = [
    ...own,
    ...(word === null ? [] : [`params.${word.param}: ${JSON.stringify(word.text)}`]),
  ];
  return all.length === 0 ? undefined : all.join(", ");
}

function commandFor({ args, argv, word }: Unconfirmed, opens: readonly string[]): string {
  const said = [
    ...(args.yes === true ? ["--yes"] : []),
    ...(args.confirm === undefined ? [] : [`--confirm=${args.confirm}`]),
  ];
  const flags = new Set([
    ...said,
    ...opens,
    ...(word === null ? [] : [`--${word.param.replaceAll("_", "-")}=${word.text}`]),
  ]);
  return shortened(["pgdba", ...argv], [...flags]);
}

/** The most characters of a command that a person is to type, and of a word in a longer one: an answer has its bounds. */
const MAX_COMMAND = 1_500;
const MAX_WORD = 160;

/** The command, or one that is told to be shortened. The flags at its end, which confirm, stay whole. */
function shortened(words: readonly string[], last: readonly string[]): string {
  const written = (all: readonly string[]): string => all.map(shellQuoted).join(" ");
  const whole = written([...words, ...last]);
  if (whole.length <= MAX_COMMAND) return whole;
  const parts = words.map((word) => clipped(word, MAX_WORD));
  const start = clipped(written(parts), MAX_COMMAND - 300);
  return `${start} ${clipped(written(last), 300)} (shortened here: they give each parameter as whole as you did)`;
}

function clipped(text: string, most: number): string {
  if (text.length <= most) return text;
  // A character that takes two units is not cut in half.
  const start = text.slice(0, most).replace(/[\ud800-\udbff]$/, "");
  return `${start}… (${text.length - start.length} more characters)`;
}
