import { isMapping } from "../json.ts";
import { cutEvidence } from "../shared/cut.ts";
import type { Json, JsonObject } from "../types.ts";
import type { Asked, RunRequest } from "./request.ts";

/** The answer that came with `resume`, and what it answers. */
export interface Answer {
  path: string;
  question: string;
  /** The word that was given; null for a plain yes. */
  word: string | null;
  yes: boolean;
  /** When the run stopped at it: what it tells is of then, but for reads that are `fresh`. */
  at: string;
}

/** The question that a run waits with; null for one that waits with none. */
export function questionOf(row: NonNullable<RunRequest["resume"]>["row"]): string | null {
  const data: Json | undefined = row.error?.data;
  const { question } = isMapping(data) ? data : {};
  return row.status === "waiting" && typeof question === "string" ? question : null;
}

/** Nothing but a flag of this very command answers: those with which the run began were given before its question was put. */
export function answerOf({ resume, asked }: RunRequest): Answer | null {
  const question = resume ? questionOf(resume.row) : null;
  const path = resume?.row.error?.step;
  if (question === null || !path) return null;
  const { confirm, yes } = asked.flags;
  return { path, question, word: confirm, yes, at: resume!.row.finished_at ?? "before" };
}

/**
 * Puts a question: the answer that came with `resume` counts for the question it was read in, word for word, and once; else whoever is at the
 * terminal is asked. @returns null when nobody can answer
 */
export async function askOrWait(
  state: { ask: Asked["confirm"]; answer: Answer | null },
  path: string,
  question: string,
  expect: string | null,
): Promise<"terminal" | "resume" | false | null> {
  const before = state.answer?.path === path ? state.answer : null;
  const same = before?.question === kept(question);
  if (before) state.answer = null;
  if (same && (expect === null ? before!.yes : before!.word === expect)) return "resume";
  const since = same ? `As of ${before!.at}: ` : "";
  const said = (await state.ask?.(since + question, expect, {})) ?? null;
  return said === true ? "terminal" : said;
}

/** As the record of an error keeps it, where a long text is cut. */
const kept = (question: string): Json =>
  (cutEvidence({ question }) as JsonObject)["question"] ?? null;
