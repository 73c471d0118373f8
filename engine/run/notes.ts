import { PgdbaError } from "../errors.ts";
import type { Json, JsonObject } from "../types.ts";
import type { RunState } from "./state.ts";

/** A note names what was begun; data belongs into the output. Characters of JSON. */
const MAX_NOTE = 64 * 1024;

/**
 * Puts a note of a step on disk before the step goes on. One that holds a secret is refused: masked, it would be of no use. That of a
 * sensitive step stays in this process.
 * @throws PgdbaError limit_exceeded | secret_exposed | step_failed for what is no JSON | journal_failed
 */
export function takeNote(state: RunState, path: string, value: Json, hidden: boolean): void {
  if (state.plan) return;
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined)
    throw new PgdbaError("step_failed", `${path} noted what is no JSON`, {
      hint: "Note a text, a number, or a mapping of them.",
    });
  if (text.length > MAX_NOTE)
    throw new PgdbaError(
      "limit_exceeded",
      `The note of ${path} has ${text.length} characters; at most ${MAX_NOTE} are kept`,
      {
        hint: "Note by what name or place the step finds its work again, and keep the rest there.",
      },
    );
  const known = JSON.parse(text) as Json;
  if (JSON.stringify(state.secrets.redactData(known)) !== text)
    throw new PgdbaError("secret_exposed", `The note of ${path} holds a secret`, {
      hint: "A note is kept on disk as it is. Note where the secret is found, such as the name of a variable.",
    });
  state.journal.saw(state.id, path, "note", hidden ? { withheld: true } : { value: known });
  state.notes.set(path, known);
}

/** The last note of a step, of this process or an earlier one. */
export function notedBy(state: RunState, path: string): Json | undefined {
  if (state.notes.has(path)) return state.notes.get(path);
  return (state.saw.get(path)?.note as JsonObject | undefined)?.["value"];
}

/** True when an earlier process noted something that was not kept, so that nobody can rely on it. */
export function noteIsLost(state: RunState, path: string): boolean {
  const note = state.saw.get(path)?.note as JsonObject | undefined;
  return note?.["withheld"] === true && !state.notes.has(path);
}

export const NOTE_LOST = "noted what was not kept, for it is sensitive";
