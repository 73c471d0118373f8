import { isMapping } from "../../json.ts";
import type { Front } from "../front.ts";
import { argvOf, type Fixed, wordParam } from "./argv.ts";
import type { Children, Outcome } from "./child.ts";
import { howToConfirm, isAtGate, isAtQuestion, toldAhead, wordOf, wordsOfPlan } from "./confirm.ts";
import type { Args } from "./tools.ts";

/** What a server of the protocol is made with. */
export interface Serving {
  front: Front;
  children: Children;
  fixed: Fixed;
  /** The agent may give `yes` and `confirm` itself, as far as the policy goes. */
  confirms: boolean;
}

const FOR_PROGRAMS = ["--no-input", "--format=json"];

/** The outcome of a run that waits for a confirmation, with how it gets it through this door, as `saying` and as its hint; any other as it is. */
export async function withConfirmation(
  { front, children, fixed, confirms }: Serving,
  args: Args,
  came: Outcome,
): Promise<{ outcome: Outcome; saying?: string | undefined }> {
  if (!isAtGate(came) && !isAtQuestion(came)) return { outcome: came };
  const { runbook = "", approval } = args;
  const argv = await argvOf(front, { ...args, runbook }, fixed);
  const param = await wordParam(front, args, fixed);
  const ahead = (): Promise<string | null> => wordAhead(children, argv);
  const text = param && (isAtGate(came) ? await ahead() : wordOf(came.envelope.error?.data));
  const word = param && text ? { param, text } : null;
  // What was approved may be approved to go on, and is not to be done anew.
  const isOver = isAtQuestion(came) && approval === undefined;
  const outcome = isOver ? await givenUp(children, came, { args, fixed }) : came;
  const isWaiting = isAtQuestion(came) && outcome === came;
  const saying = isWaiting ? undefined : howToConfirm({ confirms, args, argv, outcome, word });
  return { outcome: withHint(outcome, saying), saying };
}

/** What the tool `run` will ask for, as its plan tells it; undefined where that is nothing. */
export async function gateAhead(
  { front, fixed, confirms }: Serving,
  args: Args,
  plan: Outcome,
): Promise<string | undefined> {
  if (plan.envelope.error !== null) return undefined;
  const param = await wordParam(front, args, fixed);
  const text = wordsOfPlan(plan)[0];
  const word = param !== null && text !== undefined ? { param, text } : null;
  return toldAhead(plan.envelope, { confirms, word });
}

/** The word that will be asked for once the gates are open, so that both are told at once. */
async function wordAhead(children: Children, argv: readonly string[]): Promise<string | null> {
  try {
    const plan = await children.run([...argv, "--plan", "--full", ...FOR_PROGRAMS]);
    return wordsOfPlan(plan)[0] ?? null;
  } catch {
    // It is asked for when its turn comes.
    return null;
  }
}

/**
 * Nobody can go on with a run through this door: one that stopped at a question is answered with no, so that it does not wait for ever.
 * @returns what came as it is, where the run could not be ended
 */
async function givenUp(
  children: Children,
  came: Outcome,
  { args, fixed }: { args: Args; fixed: Fixed },
): Promise<Outcome> {
  const { error } = came.envelope;
  const folders = fixed.argv.filter((flag) => !fixed.target.includes(flag));
  const run = error?.run;
  if (error === null || !isMapping(run) || typeof run["id"] !== "string") return came;
  const { id } = run;
  try {
    const resume = ["resume", id, "--give-up", ...folders, ...FOR_PROGRAMS];
    const { exit, envelope } = await children.run(resume);
    const ended = envelope.error?.run;
    if (!isMapping(ended) || ended["status"] === "waiting") return came;
    // What could not be taken back is told instead of the question.
    if (ended["status"] === "needs_operator") return { exit, envelope };
    const { status = null, warnings = [], kept = [] } = ended;
    const shown = args.brief ? { id, status, warnings, kept } : ended;
    const told = { ...error, run: shown };
    return { ...came, envelope: { ...came.envelope, data: null, error: told } };
  } catch {
    return came;
  }
}

/** What is confirmed is told for this door: the command line's own hint would lead an agent to another one. */
function withHint(outcome: Outcome, hint: string | undefined): Outcome {
  const { envelope } = outcome;
  if (hint === undefined || envelope.error === null) return outcome;
  return { ...outcome, envelope: { ...envelope, error: { ...envelope.error, hint } } };
}
